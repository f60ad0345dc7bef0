"""The instances of a project's providers: made from the environment, and what is wrong with it told at once.

Loads pydantic; imported only for a project that has providers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from sqlbuild.app.secret_values import secret_values
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.providers import ProviderDeclaration
from sqlbuild.errors import Problem, ProjectError, ProviderError
from sqlbuild.providers import environment_variables


class ProjectProviders:
    """`interfaces.providers.ProviderSet` of one run; `hide` is told the secrets of each that is made."""

    def __init__(
        self, declarations: Sequence[ProviderDeclaration], hide: Callable[[Iterable[str]], None] = lambda _: None
    ) -> None:
        self._hide = hide
        self._declared = {declared.name: declared for declared in declarations}
        self._instances: dict[str, Any] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._declared)

    def validate(self, names: Iterable[str]) -> None:
        """Read the fields of these providers. Raises ProjectError with everything that is wrong with any of them."""
        problems = [problem for name in dict.fromkeys(names) for problem in self._problems(name)]
        if problems:
            raise ProjectError(problems)

    def make(self, name: str) -> Any:
        problems = () if name in self._instances else tuple(self._problems(name))
        if problems:
            raise ProviderError("; ".join(problem.message for problem in problems), help=problems[0].help)
        return self._instances[name]

    def _problems(self, name: str) -> Iterator[Problem]:
        declared = self._declared[name]
        try:
            instance = self._instances[name] = declared.type()
            self._hide(secret_values(instance))
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False, include_context=False):
                yield self._of_field(declared, found["loc"], found["msg"], missing=found["type"] == "missing")
        except SettingsError as error:
            yield self._problem(declared, str(error), "write a value that takes several parts as JSON")
        except Exception as error:  # noqa: BLE001 - a class of the project, whatever its own code does
            what = f"cannot be made: {type(error).__name__}: {error}"
            yield self._problem(declared, what, "open connections in `setup`, which may fail on its own")

    def _of_field(
        self, declared: ProviderDeclaration, place: tuple[int | str, ...], message: str, *, missing: bool
    ) -> Problem:
        if not place:
            return self._problem(declared, message, "correct what it reads from the environment")
        field, *inside = place
        where = f"{field}{''.join(f'[{each!r}]' for each in inside)}"
        variable = environment_variables(declared.type).get(str(field), (str(field).upper(), ""))[0]
        verb = "set" if missing else "correct"
        return self._problem(declared, f"{where}: {message}", f"{verb} the environment variable {variable}")

    def _problem(self, declared: ProviderDeclaration, what: str, help: str) -> Problem:
        # Text of the project's own validators may hold what was in the environment.
        values = (value for _, value in environment_variables(declared.type).values())
        message = f"the provider {declared.type.__name__}: {Masker(values).text(what)}"
        place = declared.place
        return Problem(code="PROVIDER", message=message, help=help, path=place.path, line=place.line)
