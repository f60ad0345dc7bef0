def summed(expression: str) -> str:
    return f"CAST(SUM({expression}) AS BIGINT)"
