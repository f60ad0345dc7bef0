"""What is wrong with one decoration, before it has a place."""

from __future__ import annotations

from sqlbuild.domain.record import record


@record(frozen=True, slots=True)
class Finding:
    message: str
    help: str
    code: str = "DECLARATION"


Findings = list[Finding]
