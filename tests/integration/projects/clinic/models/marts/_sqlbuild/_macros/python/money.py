def total(expression: str) -> str:
    return f"CAST(COALESCE(SUM({expression}), 0) AS DECIMAL(12, 2))"
