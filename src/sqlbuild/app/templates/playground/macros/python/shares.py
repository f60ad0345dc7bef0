"""Called in SQL as @py.percent(...): what a macro returns stands there instead."""


def percent(part: str, whole: str, digits: int = 1) -> str:
    return f"round(100.0 * {part} / nullif({whole}, 0), {digits})"
