"""Factories: functions that make nodes."""

from __future__ import annotations

from sqlbuild.authoring.factories import factory

__all__ = ["factory"]
