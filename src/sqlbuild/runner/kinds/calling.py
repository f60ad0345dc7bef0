"""The call of an author's function: with its context, and with the providers that its parameters name."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from sqlbuild.authoring.functions import parameters_to_fill
from sqlbuild.domain.nodes import PythonNode
from sqlbuild.interfaces.node_session import NodeSession


def call_function(node: PythonNode, context: object, session: NodeSession) -> Any:
    """What the function returns; of an `async def` that is still to be awaited. Raises ProviderError."""
    declared = node.declared
    function = declared.function
    if declared.providers:
        assert isinstance(function, FunctionType)
        positional, keywords = parameters_to_fill(function)
        given = [session.provider(name) for name in positional]
        named = {name: session.provider(name) for name in keywords}
        return function(context, *given, **named) if declared.takes_context else function(**named)
    return function(context) if declared.takes_context else function()
