"""Ids of runs: `20270115T080000Z-800abc`. They sort by the time at which the runs began."""

from __future__ import annotations

import datetime

_PARTS = 4096
"""What a second is divided into: three hex digits."""


def run_id_at(moment: datetime.datetime, chance: str) -> str:
    """UTC seconds, then three hex digits of a fraction of a second and three of `chance`."""
    moment = moment.astimezone(datetime.UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{moment.microsecond * _PARTS // 1_000_000:03x}{chance[:3]}"


def time_of_run_id(run_id: str) -> float:
    """When a run began, in seconds since 1970, to the 4096th of a second; 0 for what is no id of a run."""
    second, _, rest = run_id.partition("-")
    try:
        return datetime.datetime.strptime(second, "%Y%m%dT%H%M%S%z").timestamp() + int(rest[:3], 16) / _PARTS
    except ValueError:
        return 0.0
