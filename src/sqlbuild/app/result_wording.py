"""How results are written, for those who do not know reporting/."""

from __future__ import annotations

from sqlbuild.reporting.loads import loaded_text
from sqlbuild.reporting.summary import counts_text

__all__ = ["counts_text", "loaded_text"]
