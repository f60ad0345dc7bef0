"""`${ENV:NAME}` and `${SECRET:NAME}` in settings, and which of the values must never be shown."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping

from sqlbuild.domain.masking import SHORTEST_SECRET, Masker
from sqlbuild.domain.pattern import pattern
from sqlbuild.errors import Problem
from sqlbuild.project.located import Located

_PLACEHOLDER = pattern(r"\$\{([^{}]*)\}")
_NAMED = pattern(r"(ENV|SECRET):([A-Za-z_][A-Za-z0-9_]*)")
_SECRET_KEY = pattern(r"password|passwd|token|secret|.*_key", re.IGNORECASE)


class Placeholders:
    """Fills in placeholders and collects the secrets it meets.

    A missing variable or a placeholder of another form is a problem where `report` is set; else the text stays.
    """

    def __init__(self, environ: Mapping[str, str], problems: list[Problem]) -> None:
        self._environ = environ
        self._problems = problems
        self._secrets: dict[str, None] = {}

    @property
    def secrets(self) -> tuple[str, ...]:
        """Longest first, so that a secret that holds another one is masked as a whole."""
        return tuple(sorted(self._secrets, key=len, reverse=True))

    def fill(self, located: Located, *, report: bool = True, key: str = "") -> Located:
        """The same values with all placeholders filled in; `key` is the key that `located` stands under."""
        value: object = located.value
        if isinstance(value, str):
            value = self._fill_text(value, located, key, report=report) if "${" in value else value
        elif isinstance(value, dict):
            value = {inner: self.fill(entry, report=report, key=inner) for inner, entry in value.items()}
        elif isinstance(value, tuple):
            value = tuple(self.fill(entry, report=report, key=key) for entry in value)
        return Located(value, located.file, located.offset, located.key_offset)

    def hide_variable(self, name: str, where: Located) -> None:
        """The value of the environment variable `name`, if it is set, is a secret."""
        self._hide(self._environ.get(name, ""), name, where, report=True)

    def hide(self, value: str) -> None:
        """A secret that is written out in the settings; one that is too short to be masked is not."""
        if len(value) >= SHORTEST_SECRET:
            self._secrets[value] = None

    def mask(self, problem: Problem) -> Problem:
        """The same problem with no secret in its words."""
        return Masker(self.secrets).problem(problem)

    def _fill_text(self, text: str, where: Located, key: str, *, report: bool) -> str:
        names: list[str] = []

        def replace(found: re.Match[str]) -> str:
            named = _NAMED.fullmatch(found.group(1))
            if named is None:
                if report:
                    self._refuse(found.group(), where)
                return found.group()
            kind, name = named.groups()
            value = self._environ.get(name)
            if value is None:
                if report:
                    self._problems.append(
                        where.problem(
                            "VARIABLE",
                            f"the environment variable {name} is not set",
                            f"set it: export {name}=...",
                        )
                    )
                return found.group()
            names.append(name)
            if kind == "SECRET" or _SECRET_KEY.fullmatch(key):
                self._hide(value, name, where, report=report)
            return value

        filled = _PLACEHOLDER.sub(replace, text)
        if key == "dsn" and names:
            for password in _passwords_of(filled):
                self._hide(password, names[0], where, report=report)
        return filled

    def _refuse(self, written: str, where: Located) -> None:
        self._problems.append(
            where.problem(
                "VARIABLE",
                f"the placeholder {written} is not known",
                "write ${ENV:NAME} or ${SECRET:NAME} with the name of an environment variable",
            )
        )

    def _hide(self, value: str, name: str, where: Located, *, report: bool) -> None:
        if len(value) >= SHORTEST_SECRET:
            self._secrets[value] = None
        elif value and report:
            self._problems.append(
                where.problem(
                    "SECRET",
                    f"the value of {name} is too short to be masked",
                    f"use a secret of at least {SHORTEST_SECRET} characters",
                    severity="warning",
                )
            )


def _passwords_of(dsn: str) -> list[str]:
    """The password of a `scheme://user:password@host/...` or `key=value` connection string, also unquoted."""
    try:
        password = urllib.parse.urlsplit(dsn).password
    except ValueError:
        return []
    if password is None:
        found = re.search(r"\bpassword\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))", dsn)
        password = (found.group(1) or found.group(2)) if found else None
    return [password, urllib.parse.unquote(password)] if password else []
