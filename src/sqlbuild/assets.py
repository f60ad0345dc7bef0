"""Assets: nodes that produce or observe something outside of the warehouse."""

from __future__ import annotations

from sqlbuild.authoring.contexts import AssetContext, AsyncAssetContext
from sqlbuild.authoring.declare import asset
from sqlbuild.domain.results import SkipMode

__all__ = ["AssetContext", "AsyncAssetContext", "SkipMode", "asset"]
