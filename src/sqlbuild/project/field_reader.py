"""Checked values out of one table of a file: what is wrong becomes a problem, never an exception."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping

from sqlbuild.errors import Problem
from sqlbuild.project.located import Located, describe, plain


def nearest(key: str, known: Iterable[str], *, also: Iterable[str] = ()) -> str:
    """Help for a word that is not known: the nearest one, of `also` too, or all that are known."""
    words = sorted(known)
    close = difflib.get_close_matches(key, [*words, *also], n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else "known here: " + ", ".join(words)


class FieldReader:
    """Reads one table. `path` names it in messages (`targets.dev`); problems are appended to `problems`.

    Each method returns None where the key is missing, null or wrong.
    """

    __slots__ = ("entries", "located", "path", "problems")

    def __init__(self, located: Located, path: str, problems: list[Problem]) -> None:
        self.located = located
        self.entries = located.table
        self.path = path
        self.problems = problems

    def name_of(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def refuse(self, key: str, message: str, help: str, *, code: str = "BAD_VALUE", at_key: bool = False) -> None:
        entry = self.entries.get(key, self.located)
        self.problems.append(entry.problem(code, message, help, at_key=at_key))

    def refuse_unknown(
        self, known: Iterable[str], unsupported: Mapping[str, str] | None = None, *, told: Iterable[str] = ()
    ) -> None:
        """A problem for each key that is not `known`; for keys of `unsupported` a warning with that text as help.

        The caller has already said what is wrong with the keys of `told`.
        """
        known = set(known)
        for key, entry in self.entries.items():
            if key in known or key in told:
                continue
            if unsupported is not None and key in unsupported:
                self.problems.append(
                    entry.problem(
                        "UNSUPPORTED",
                        f"`{self.name_of(key)}` is not supported yet and is ignored",
                        unsupported[key],
                        at_key=True,
                        severity="warning",
                    )
                )
                continue
            self.problems.append(
                entry.problem(
                    "UNKNOWN_KEY",
                    f"unknown key `{self.name_of(key)}`",
                    nearest(key, known, also=unsupported or ()),
                    at_key=True,
                )
            )

    def require(self, key: str, help: str) -> None:
        if key not in self.entries:
            self.problems.append(
                self.located.problem("MISSING_KEY", f"`{self.name_of(key)}` is missing", help, at_key=True)
            )

    def text(self, key: str, *, empty: bool = False) -> str | None:
        entry = self.entries.get(key)
        if entry is None or entry.value is None:
            return None
        if not isinstance(entry.value, str):
            self._wrong_type(entry, key, "text", 'write it in double quotes, for example "abc"')
            return None
        if not entry.value.strip() and not empty:
            self.refuse(key, f"`{self.name_of(key)}` is empty", "give it a value or leave the key out")
            return None
        return entry.value

    def choice(self, key: str, words: tuple[str, ...]) -> str | None:
        written = self.text(key)
        if written is None or written in words:
            return written
        self.refuse(key, f"`{self.name_of(key)}`: unknown value {written!r}", f"write one of {', '.join(words)}")
        return None

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts, or one text; without repetitions."""
        entry = self.entries.get(key)
        if entry is None or entry.value is None:
            return None
        items = entry.value if isinstance(entry.value, tuple) else (entry,)
        found: dict[str, None] = {}
        for item in items:
            if not isinstance(item.value, str) or not item.value.strip():
                kind = "empty text" if isinstance(item.value, str) else describe(item.value)
                self.problems.append(
                    item.problem(
                        "WRONG_TYPE",
                        f"`{self.name_of(key)}` must be a list of texts, not {kind}",
                        f"write for example {key} [first, second]"
                        if item.file.path.endswith(".sql")
                        else f'write for example ["first", "second"] for `{key}`',
                    )
                )
                return None
            found[item.value] = None
        return tuple(found)

    def boolean(self, key: str) -> bool | None:
        entry = self.entries.get(key)
        if entry is None or entry.value is None:
            return None
        if not isinstance(entry.value, bool):
            self._wrong_type(entry, key, "true or false", "write true or false, in lower case and without quotes")
            return None
        return entry.value

    def whole_number(self, key: str, *, minimum: int) -> int | None:
        entry = self.entries.get(key)
        if entry is None or entry.value is None:
            return None
        value = entry.value
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong_type(entry, key, "a whole number", f"write a whole number of at least {minimum}")
            return None
        if value < minimum:
            self.refuse(
                key,
                f"`{self.name_of(key)}` must be at least {minimum}, not {value}",
                f"write a whole number of at least {minimum}, or leave the key out",
            )
            return None
        return value

    def number(self, key: str, *, above: float) -> float | None:
        entry = self.entries.get(key)
        if entry is None or entry.value is None:
            return None
        value = entry.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong_type(entry, key, "a number", f"write a number above {above:g}")
            return None
        if not is_finite(value) or value <= above:
            self.refuse(
                key,
                f"`{self.name_of(key)}` must be a number above {above:g}, not {value}",
                f"write a finite number above {above:g}, or leave the key out",
            )
            return None
        return float(value)

    def table(self, key: str) -> FieldReader | None:
        entry = self.entries.get(key)
        if entry is None or entry.value is None:
            return None
        if not isinstance(entry.value, dict):
            self._wrong_type(entry, key, "a table", f"give `{self.name_of(key)}` keys of its own")
            return None
        return FieldReader(entry, self.name_of(key), self.problems)

    def tables(self) -> dict[str, FieldReader]:
        """All entries of this table as tables, by key."""
        readers = {key: self.table(key) for key in self.entries}
        return {key: reader for key, reader in readers.items() if reader is not None}

    def json_table(self, key: str) -> dict[str, object] | None:
        """A table of any values that JSON can hold."""
        reader = self.table(key)
        if reader is None or not all(reader.is_json(inner) for inner in reader.entries):
            return None
        return {inner: plain(entry) for inner, entry in reader.entries.items()}

    def is_json(self, key: str) -> bool:
        """Whether JSON can hold the value of `key`; if not, that is a problem."""
        waiting = [(self.name_of(key), self.entries[key])]
        while waiting:
            path, entry = waiting.pop()
            match entry.value:
                case dict():
                    waiting += ((f"{path}.{inner}", value) for inner, value in entry.value.items())
                case tuple():
                    waiting += ((f"{path}[{index}]", value) for index, value in enumerate(entry.value))
                case None | bool() | str():
                    pass
                case int() | float() if is_finite(entry.value):
                    pass
                case other:
                    self.problems.append(
                        entry.problem(
                            "WRONG_TYPE",
                            f"`{path}` must be text, a finite number, true, false, null, a list or a table,"
                            f" not {describe(other)}",
                            "write it as text, in quotes",
                        )
                    )
                    return False
        return True

    def _wrong_type(self, entry: Located, key: str, wanted: str, help: str) -> None:
        self.problems.append(
            entry.problem("WRONG_TYPE", f"`{self.name_of(key)}` must be {wanted}, not {describe(entry.value)}", help)
        )


def is_finite(number: float) -> bool:
    """Also for whole numbers that no float can hold: those are not."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False
