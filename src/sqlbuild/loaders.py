"""Loaders: nodes that fill the managed source of the same name, and the only way from Python into SQL."""

from __future__ import annotations

from sqlbuild.authoring.declare import loader
from sqlbuild.authoring.loader_contexts import AsyncLoaderContext, AsyncUpstreamTable, LoaderContext, UpstreamTable
from sqlbuild.domain.nodes import WriteStrategy
from sqlbuild.domain.results import SkipMode

__all__ = [
    "AsyncLoaderContext",
    "AsyncUpstreamTable",
    "LoaderContext",
    "SkipMode",
    "UpstreamTable",
    "WriteStrategy",
    "loader",
]
