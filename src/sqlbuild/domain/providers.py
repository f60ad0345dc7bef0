"""Shared clients, as a project declares them in `providers/*.py`."""

from __future__ import annotations

from sqlbuild.domain.ids import Place
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record

_WORDS = pattern(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@record(frozen=True, slots=True, kw_only=True)
class ProviderDeclaration:
    name: str
    """Of parameters and of `ctx.providers`: the class's name in snake_case."""
    type: type[object]
    place: Place


def provider_name(class_name: str) -> str:
    """`warehouse_client` for `WarehouseClient`, `http_client` for `HTTPClient`."""
    return _WORDS.sub("_", class_name).lower()
