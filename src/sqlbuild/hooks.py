"""Hooks: functions that run before or after a model is built, on its connection."""

from __future__ import annotations

from sqlbuild.authoring.hook_contexts import AsyncHookContext, HookContext, HookDestination
from sqlbuild.authoring.hook_functions import hook
from sqlbuild.domain.results import SkipMode

__all__ = ["AsyncHookContext", "HookContext", "HookDestination", "SkipMode", "hook"]
