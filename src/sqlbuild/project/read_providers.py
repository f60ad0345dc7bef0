"""Finds the providers in the files of `providers/` that were imported."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType

from sqlbuild.domain.ids import Place
from sqlbuild.domain.providers import ProviderDeclaration, provider_name
from sqlbuild.errors import Problem

PROVIDERS_FOLDER = "providers/"
_MARK = "__sqlbuild_provider__"


def read_providers(
    paths: Sequence[str], sources: Mapping[str, bytes], root: str
) -> tuple[tuple[ProviderDeclaration, ...], list[Problem]]:
    """Every class that derives from `sqlbuild.providers.Provider` and whose name does not begin with `_`.

    `paths` and the keys of `sources` are absolute. A class counts for the module that defines it, not where it is
    imported.
    """
    found: dict[str, ProviderDeclaration] = {}
    problems: list[Problem] = []
    for path in paths:
        relative = path.removeprefix(f"{root}/")
        module = sys.modules.get(relative.removesuffix(".py").replace("/", "."))
        if module is None or not relative.startswith(PROVIDERS_FOLDER):
            continue
        lines = _lines_of_classes(sources.get(path, b""))
        for declared in _classes(module):
            place = Place(relative, lines.get(declared.__name__))
            name = provider_name(declared.__name__)
            first = found.setdefault(name, ProviderDeclaration(name=name, type=declared, place=place))
            if first.type is not declared:
                problems.append(_twice(declared, first, place))
            elif _has_both(declared):
                problems.append(_two_lives(declared, place))
    return tuple(found.values()), problems


def _classes(module: ModuleType) -> Iterator[type[object]]:
    for name, value in vars(module).items():
        # By the mark: importing the class itself would load pydantic for projects without any provider.
        if not isinstance(value, type) or name.startswith("_") or not getattr(value, _MARK, False):
            continue
        if value.__module__ == module.__name__ and value.__name__ == name:
            yield value


def _lines_of_classes(source: bytes) -> dict[str, int]:
    return {node.name: node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)}


def _has_both(declared: type[object]) -> bool:
    """Whether two ways of opening and closing stand in the project's own code."""
    own = [base for base in declared.__mro__ if getattr(base, _MARK, False) and base.__module__ != "sqlbuild.providers"]
    return any("__aenter__" in vars(base) for base in own) and any(
        name in vars(base) for base in own for name in ("setup", "teardown")
    )


def _twice(declared: type[object], first: ProviderDeclaration, place: Place) -> Problem:
    return Problem(
        code="DUPLICATE_NAME",
        message=f"{declared.__name__} gives the provider `{first.name}`, as {first.type.__name__} at {first.place} does",
        help="rename one of the two classes",
        path=place.path,
        line=place.line,
    )


def _two_lives(declared: type[object], place: Place) -> Problem:
    return Problem(
        code="PROVIDER",
        message=f"{declared.__name__} has both setup/teardown and __aenter__/__aexit__",
        help="keep one of the two pairs",
        path=place.path,
        line=place.line,
    )
