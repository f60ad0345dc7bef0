"""How text, durations and counts are written, for those who do not know reporting/. Light to import."""

from __future__ import annotations

from sqlbuild.reporting.wording import counted, first_few, one_line, safe_text, seconds_text, waiting_text

__all__ = ["counted", "first_few", "one_line", "safe_text", "seconds_text", "waiting_text"]
