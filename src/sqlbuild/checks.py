"""Checks: nodes that say whether what others have made is right."""

from __future__ import annotations

from sqlbuild.authoring.contexts import AsyncCheckContext, CheckContext
from sqlbuild.authoring.declare import check
from sqlbuild.domain.nodes import Severity
from sqlbuild.domain.results import SkipMode

__all__ = ["AsyncCheckContext", "CheckContext", "Severity", "SkipMode", "check"]
