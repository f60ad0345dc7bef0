"""Where the history of a target is read: its warehouse, where nobody has to be waited for, and the journals of its runs."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from sqlbuild.app.event_loop import run_async
from sqlbuild.app.target_access import Patience
from sqlbuild.app.target_folder import state_json
from sqlbuild.app.wiring import (
    make_access,
    make_lock,
    make_store,
    make_stored_history,
    make_warehouse,
)
from sqlbuild.domain.past import Past
from sqlbuild.domain.record import record
from sqlbuild.domain.settings import Settings
from sqlbuild.errors import TargetLocked
from sqlbuild.state.journal import FILE_NAME, target_of_journal
from sqlbuild.state.past_file import read_past
from sqlbuild.state.run_journal import RunJournal
from sqlbuild.state.stored_history import StoredHistory

TESTS_FOLDER = "tests"
"""The folder of target/ with the journals of unit tests that were run alone: they lock no target and leave nothing in it."""

Found = TypeVar("Found")


@record(frozen=True, slots=True, kw_only=True)
class Answer(Generic[Found]):
    """What the warehouse said. `found` is None where it has no state or was not asked; then `why_not` says why."""

    past: Past
    found: Found | None
    why_not: str = ""


def ask_warehouse(
    settings: Settings, root: str, question: Callable[[StoredHistory], Awaitable[Found]]
) -> Answer[Found]:
    """Waits for nobody and changes nothing. Raises WarehouseUnreachable where there is no database but something else."""
    answer: Answer[Found] = run_async(_ask, settings, root, question, backend="asyncio")
    return answer


def journals_of(root: str, target: str) -> dict[str, str]:
    """Run id -> path of its journal, of the runs of `target` and of those that do not tell whose they are."""
    paths: dict[str, str] = {}
    for folder in ("runs", TESTS_FOLDER):
        runs = os.path.join(root, "target", folder)
        with contextlib.suppress(OSError):
            paths |= {run: os.path.join(runs, run, FILE_NAME) for run in os.listdir(runs)}
    return {
        run: path for run, path in paths.items() if os.path.isfile(path) and target_of_journal(path) in (target, None)
    }


def goes_on(journal: RunJournal, live_run_id: str | None, settings: Settings) -> bool:
    """Whether the journal's run is at work; `live_run_id` is the one that holds the target."""
    if journal.ended_with is not None or journal.run_id is None:
        return False
    if journal.run_id == live_run_id:
        return True
    if ran_tests_alone(journal):
        return is_process_alive(journal)
    # Without a lock there is nobody to ask but the system.
    return make_lock(settings) is None and is_process_alive(journal)


def ran_tests_alone(journal: RunJournal) -> bool:
    """Whether it was `sqb test`."""
    return journal.request is not None and bool(journal.request["selection"].get("tests_alone"))


def is_process_alive(journal: RunJournal) -> bool:
    """Whether this machine has a process of the number that the journal's run had here."""
    return journal.host == socket.gethostname() and is_alive(journal.pid)


async def _ask(settings: Settings, root: str, question: Callable[[StoredHistory], Awaitable[Any]]) -> Answer[Any]:
    target = settings.target
    warehouse = make_warehouse(settings, root)
    if not warehouse.exists():
        return _not_asked(settings, root, f"target {target.name} has no database that could be read")
    access = make_access(settings, "sqb history", Patience(seconds=0.0))
    try:
        await access.wait_until_readable()
        await access.open(warehouse, read_only=True)
        past = await make_store(warehouse, settings).past()
        stored = make_stored_history(warehouse, settings)
        return Answer(past=past, found=await question(stored) if stored.is_among(past.relations) else None)
    except TargetLocked as error:
        return _not_asked(settings, root, str(error.args[0]))
    finally:
        await access.close()


def _not_asked(settings: Settings, root: str, why: str) -> Answer[Any]:
    past, _ = read_past(state_json(root), settings.target.name)
    return Answer(past=past, found=None, why_not=why)


def is_alive(process: int | None) -> bool:
    """Whether there is a process of that number on this machine."""
    if process is None:
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
