"""Values of YAML, headers and decorators as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping


def plain_json(value: object) -> object:
    """`value` with only what JSON has; anything else, such as a date or infinity, becomes its text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(entry) for entry in value]
    return str(value)
