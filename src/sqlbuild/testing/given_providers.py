"""Providers that a test hands in, instead of those of a project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class GivenProviders:
    """`sqlbuild.interfaces.providers.ProviderSet` of objects that are there already; nobody opens or closes them."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def make(self, name: str) -> Any:
        return _Given(self._values[name])


class _Given:
    def __init__(self, value: object) -> None:
        self._value = value

    async def __aenter__(self) -> object:
        return self._value

    async def __aexit__(self, *error: object) -> None:
        """It is the test's own."""
