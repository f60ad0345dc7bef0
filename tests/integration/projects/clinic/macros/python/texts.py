def surname(expression: str) -> str:
    return f"SPLIT_PART({expression}, ' ', 2)"
