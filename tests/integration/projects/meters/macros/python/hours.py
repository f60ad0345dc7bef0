from sqlbuild.refs import SqlResourceRef


def hour_of(expression: str) -> str:
    return f"DATE_TRUNC('hour', {expression})"


def hours_in(relations: dict[str, SqlResourceRef], counted: list[str]) -> str:
    """The hours in which several things have rows, each with a column of ones or zeros for every thing."""
    return " UNION ALL ".join(
        f"SELECT {hour_of(column)} AS hour_at, "
        + ", ".join(f"{int(name == other)} AS {other}" for other in counted)
        + f" FROM {relation}"
        for name, (column, relation) in relations.items()
    )
