def side_of(cents: str, debit: str = "debit", credit: str = "credit") -> str:
    return f"CASE WHEN {cents} > 0 THEN '{debit}' ELSE '{credit}' END"
