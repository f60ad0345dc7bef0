"""`ctx.providers`: the project's shared clients as attributes."""

from __future__ import annotations

from typing import Any

from sqlbuild.interfaces.node_session import NodeSession


class Provided:
    __slots__ = ("_session",)

    def __init__(self, session: NodeSession) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        """The provider of that name. Raises ProviderError if there is none or it could not be set up."""
        if name.startswith("_"):
            raise AttributeError(name)
        return self._session.provider(name)
