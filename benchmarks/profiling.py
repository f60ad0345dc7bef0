"""What the time of the `sqb` processes of a benchmark is made of, told by samples of their stacks that py-spy takes.

Each process has a table of the samples in which a thread was busy, in percent of those of the main thread: by the package
that was at work, with what it called in libraries, in the main thread and in all others together, and the files that have
most of it. The loading of modules, ours and those of libraries, is a line of its own; so are the start and the end of the process.

    python benchmarks/profiling.py NAME [ARGUMENT ...]    a benchmark with its arguments, one round
    python benchmarks/profiling.py --stacks FILE ...      stacks that `py-spy record --threads --format raw` has written
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from measuring import PROFILES, PY_SPY, print_table
from peers import peer

LOADING, EVENT_LOOP, NODES = "loading modules", "event loop, or waiting", "the nodes themselves"
NOBODY = "start and end"
_LOOPS = frozenset({"run_async", "_run_once"})
_LOOP_LIBRARIES = frozenset({"asyncio", "anyio", "uvloop", "contextlib.py"})
_OF_PROJECTS = frozenset({"assets", "tasks", "providers", "loaders"})
_FRAME = re.compile(r"(.*) \((.*):\d+\)")
_THREAD = re.compile(r"^thread \((\d+)\)")
_MOST = 3
_LEAST_PERCENT = 0.5


def main() -> int:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    if arguments[0] == "--stacks":
        for path in arguments[1:]:
            show(Path(path).stem, Path(path).read_text(encoding="utf-8").splitlines())
        return 0
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, PROFILES: folder, PY_SPY: str(peer("py-spy").parent / "py-spy")}
        command = [sys.executable, Path(__file__).with_name("__main__.py"), *arguments, "--rounds", "1"]
        ended = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
        for path in sorted(Path(folder).glob("*.txt")):
            show(path.stem, path.read_text(encoding="utf-8").splitlines())
    return ended.returncode


def show(title: str, stacks: Iterable[str]) -> None:
    samples = Samples(stacks)
    print_table(
        f"{title}: {samples.of_main:,} samples",
        ("% of the main thread's", "main", "others", "most of it in"),
        samples.rows(),
    )
    print(flush=True)


class Samples:
    """Lines of frames from the outermost to the innermost, and how often they were seen."""

    def __init__(self, stacks: Iterable[str]) -> None:
        self._main: Counter[str] = Counter()
        self._others: Counter[str] = Counter()
        self._files: defaultdict[str, Counter[str]] = defaultdict(Counter)
        found = [(int(thread), frames.split(";"), int(count)) for thread, frames, count in map(_parts, stacks)]
        # The number of the main thread is that of the process; those that it starts have higher ones.
        main = min((thread for thread, _, _ in found if thread), default=0)
        for thread, frames, count in found:
            package, file = place_of(frames)
            (self._main if thread == main else self._others)[package] += count
            self._files[package][file] += count
        self.of_main = self._main.total()

    def rows(self) -> list[tuple[str, str, str, str]]:
        """The package with the most samples first; what is left of those with few of them together last."""
        found = (self._main + self._others).most_common()
        shown = [name for name, count in found if self._percent(count) >= _LEAST_PERCENT]
        rows = [
            (name, self._shown(self._main[name]), self._shown(self._others[name]), self._most(name)) for name in shown
        ]
        main, others = (
            sum(count for name, count in each.items() if name not in shown) for each in (self._main, self._others)
        )
        return [*rows, ("the rest", self._shown(main), self._shown(others), "")]

    def _most(self, package: str) -> str:
        return ", ".join(
            f"{file} {self._shown(count)}" for file, count in self._files[package].most_common(_MOST) if file != package
        )

    def _shown(self, count: int) -> str:
        return f"{self._percent(count):.1f}"

    def _percent(self, count: int) -> float:
        return 100 * count / max(1, self.of_main)


def _parts(line: str) -> tuple[str, str, str]:
    """The number of the thread, its frames and the count of `thread (7): name;frame;frame 12`."""
    stack, _, count = line.rpartition(" ")
    thread, _, frames = stack.partition(";")
    return _THREAD.findall(thread)[0], frames, count


def place_of(frames: Iterable[str]) -> tuple[str, str]:
    """Who was at work in a stack, and where: the innermost that says it."""
    place = (NOBODY, NOBODY)
    for frame in frames:
        match = _FRAME.fullmatch(frame)
        function, path = match.groups() if match else ("", frame)
        folder, _, file = path.partition("/")
        if path.startswith("<frozen importlib"):
            place = (LOADING, LOADING)
        elif function in _LOOPS:
            place = (EVENT_LOOP, EVENT_LOOP)
        elif folder in _OF_PROJECTS:
            place = (NODES, path)
        elif folder == "sqlbuild" and function != "<module>":
            package, _, module = file.rpartition("/")
            place = (package or folder, module)
        elif place[0] == EVENT_LOOP and folder not in _LOOP_LIBRARIES:
            place = (folder, folder)
    return place


if __name__ == "__main__":
    sys.exit(main())
