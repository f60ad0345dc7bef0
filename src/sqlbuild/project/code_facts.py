"""What the fingerprint of a Python node is made of: its source, the project code it calls, and the values bound to it.

Nodes made from one code object share all but their default and closure values, so ten thousand nodes made in a loop
cost little more than one.
"""

from __future__ import annotations

import builtins
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import cast

from sqlbuild.authoring.code_reads import MISSING, CodeReads, cell_values
from sqlbuild.authoring.declare import declaration_of
from sqlbuild.domain.nodes import Asset, PythonNode
from sqlbuild.domain.project import CodeFacts, ExportedSql, NamedTable
from sqlbuild.domain.record import record
from sqlbuild.project.canonical_code import SourceFile, digest_of
from sqlbuild.project.canonical_value import canonical_json
from sqlbuild.project.python_sql import NOTHING, FunctionSql, exported_sql, may_hold_sql, sql_of_function

_DYNAMIC = frozenset({"eval", "exec", "__import__", "globals"})
_ALWAYS_THERE = frozenset({*sys.stdlib_module_names, "sqlbuild", "builtins", "__main__"})

_NO_VALUES: Mapping[str, str] = {}

Followed = FunctionType | type


@record(slots=True)
class _Found:
    """What was found so far; dicts without values keep the order of finding."""

    digests: dict[str, None] = dataclasses.field(default_factory=dict)
    values: dict[str, str] = dataclasses.field(default_factory=dict)
    not_tracked: dict[str, None] = dataclasses.field(default_factory=dict)
    nodes: dict[int, FunctionType] = dataclasses.field(default_factory=dict)
    """Functions of other nodes by identity; the fingerprint of an upstream stands for its own function."""
    reads_vars: bool = False
    reads_providers: bool = False
    tables: dict[NamedTable, None] = dataclasses.field(default_factory=dict)
    provider_names: set[str] = dataclasses.field(default_factory=set)
    """Names of providers that stand in the code, which count if it reads `ctx.providers` anywhere."""

    def add_value(self, label: str, text: str) -> None:
        while self.values.get(label, text) != text:
            label += "'"
        self.values[label] = text

    def add(self, other: _Found) -> None:
        self.digests |= other.digests
        self.not_tracked |= other.not_tracked
        self.nodes |= other.nodes
        self.reads_vars |= other.reads_vars
        self.reads_providers |= other.reads_providers
        self.tables |= other.tables
        self.provider_names |= other.provider_names
        if not other.values:
            return
        if not self.values:
            self.values = dict(other.values)
            return
        for label, text in other.values.items():
            self.add_value(label, text)


class ProjectCode:
    """The imported code of the project at `root`. `sources` are its files; all paths are absolute."""

    def __init__(
        self,
        root: str,
        sources: Mapping[str, bytes],
        reads_of: Callable[[CodeType], CodeReads],
        providers: frozenset[str] = frozenset(),
    ) -> None:
        self._root = root
        self._sources = sources
        self._reads_of = reads_of
        self._providers = providers
        self._files: dict[str, SourceFile | None] = {}
        self._shared: dict[tuple[int, int], _Found] = {}
        self._totals: dict[tuple[str, ...], str] = {}
        self._facts: dict[tuple[object, ...], CodeFacts] = {}
        self._sql_of_code: dict[int, FunctionSql] = {}

    def facts_of(self, node: PythonNode) -> CodeFacts:
        function = node.declared.function
        assert isinstance(function, FunctionType)
        found = _Found()
        upstreams = {id(function), *map(id, node.declared.depends_on)}
        pending: list[Followed] = [function]
        seen: set[int] = set()
        while pending:
            target = pending.pop()
            if id(target) in seen:
                continue
            seen.add(id(target))
            if isinstance(target, type):
                self._follow([target], found)
            else:
                found.add(self._shared_by_code(target))
                pending += self._bound(target, found)
            if found.nodes:
                pending += [other for key, other in found.nodes.items() if key not in upstreams]
        facts = CodeFacts(
            source_digest=self._total(found.digests),
            values=found.values or _NO_VALUES,
            not_tracked=tuple(found.not_tracked),
            providers=tuple(sorted(found.provider_names)) if found.reads_providers else (),
            reads_vars=found.reads_vars,
            tables=tuple(found.tables),
            export=self._export(function) if isinstance(node, Asset) and not node.columns else None,
        )
        # Nodes that a loop makes of one function often have the same: once is enough for a hundred thousand of them.
        if facts.values:
            return facts
        known = facts.source_digest, facts.not_tracked, facts.providers, facts.reads_vars, facts.tables, facts.export
        return self._facts.setdefault(known, facts)

    def _export(self, function: FunctionType) -> ExportedSql | None:
        found = self._sql(function.__code__)
        if found.export is None or "__wrapped__" in function.__dict__:
            return None
        return exported_sql(found, function)

    def _sql(self, code: CodeType) -> FunctionSql:
        found = self._sql_of_code.get(id(code))
        if found is None:
            file = self._file(code.co_filename) if may_hold_sql(code) else None
            definition = file.definition(code) if file is not None else None
            found = NOTHING
            if file is not None and definition is not None:
                path = code.co_filename.removeprefix(self._root).lstrip("/")
                found = sql_of_function(definition, file, path)
            self._sql_of_code[id(code)] = found
        return found

    def _total(self, digests: Iterable[str]) -> str:
        key = tuple(sorted(digests))
        total = self._totals.get(key)
        if total is None:
            total = self._totals[key] = digest_of("\n".join(key))
        return total

    def _shared_by_code(self, function: FunctionType) -> _Found:
        """The function's source and all that it reaches through globals: the same for every function of this code."""
        key = (id(function.__code__), id(function.__globals__))
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _Found()
            self._follow(self._code(function, shared), shared)
        return shared

    def _follow(self, start: Iterable[Followed], found: _Found) -> None:
        pending = list(start)
        seen: set[int] = set()
        while pending:
            target = pending.pop()
            if id(target) in seen:
                continue
            seen.add(id(target))
            if isinstance(target, type):
                pending += self._class(target, found)
            else:
                pending += self._code(target, found)
                pending += self._bound(target, found)

    def _code(self, function: FunctionType, found: _Found) -> Iterator[Followed]:
        """Adds the function's source; gives what it reads from globals and has to be followed."""
        code = function.__code__
        file = self._file(code.co_filename)
        digest = file.digest_of_function(code) if file is not None else None
        if digest is None:
            found.not_tracked[f"the source of {code.co_name}"] = None
            digest = digest_of(f"{code.co_code.hex()} {code.co_names}")
        found.digests[digest] = None
        found.reads_vars |= _names_vars(code)
        found.tables.update(dict.fromkeys(self._sql(code).tables))
        yield from self._read(code, function.__globals__, found)

    def _read(self, code: CodeType, namespace: Mapping[str, object], found: _Found) -> Iterator[Followed]:
        if self._providers:
            names = _names_in(code)
            found.reads_providers |= "providers" in names
            found.provider_names |= self._providers & names
        reads = self._reads_of(code)
        module = namespace.get("__name__")
        for name, *attributes in reads.chains:
            value = namespace.get(name, MISSING)
            label = f"{module}.{name}"
            if value is MISSING:
                if name in _DYNAMIC and hasattr(builtins, name):
                    found.not_tracked[f"{name}() in {code.co_name}"] = None
                continue
            for attribute in attributes:
                inside = self._in_module(value, attribute)
                if inside is MISSING:
                    break
                value, label = inside, f"{cast(ModuleType, value).__name__}.{attribute}"
            yield from self._value(label, value, found)
        for name in reads.imports:
            self._imported_when_run(name, found)

    def _in_module(self, module: object, attribute: str) -> object:
        """A name of a project module; MISSING for anything else."""
        if not issubclass(type(module), ModuleType) or not self._is_project_module(cast(ModuleType, module)):
            return MISSING
        return vars(module).get(attribute, MISSING)

    def _bound(self, function: FunctionType, found: _Found) -> Iterator[Followed]:
        """Adds default and closure values; gives the functions and classes among them, and a wrapped function."""
        for label, value in _bound_values(function):
            yield from self._value(label, value, found)
        wrapped = function.__dict__.get("__wrapped__")
        if wrapped is not None:
            yield from self._value(f"{function.__name__}.__wrapped__", wrapped, found)

    def _value(self, label: str, value: object, found: _Found) -> Iterator[Followed]:
        """Adds a value by its text, or gives it if it is code, or says that it is not tracked."""
        # By type(): asking a foreign object for its __class__ may run code that raises.
        kind = type(value)
        if kind is FunctionType:
            yield from self._function(cast(FunctionType, value), found)
        elif issubclass(kind, type):
            if self._is_of_project(cast(type, value)):
                yield cast(type, value)
            else:
                _package(cast(type, value).__module__, found)
        elif issubclass(kind, ModuleType):
            self._module(cast(ModuleType, value), found)
        elif kind is BuiltinFunctionType:
            _package(cast(BuiltinFunctionType, value).__module__, found)
        elif kind is MethodType:
            yield from self._value(label, cast(MethodType, value).__func__, found)
            yield from self._value(label, cast(MethodType, value).__self__, found)
        elif kind is functools.partial:
            partial = cast("functools.partial[object]", value)
            yield from self._value(label, partial.func, found)
            for key, each in (*enumerate(partial.args), *partial.keywords.items()):
                yield from self._value(f"{label}[{key}]", each, found)
        elif kind is functools._lru_cache_wrapper:
            yield from self._value(label, cast("functools._lru_cache_wrapper[object]", value).__wrapped__, found)
        elif value is not MISSING:
            yield from self._object(label, value, found)

    def _function(self, function: FunctionType, found: _Found) -> Iterator[Followed]:
        if declaration_of(function) is not None:
            found.nodes[id(function)] = function
        elif function.__code__.co_filename in self._sources:
            yield function
        elif self._is_of_project(function):
            found.not_tracked[f"the source of {function.__name__}"] = None
        else:
            _package(function.__module__, found)

    def _object(self, label: str, value: object, found: _Found) -> Iterator[Followed]:
        text = canonical_json(value)
        if text is not None:
            found.add_value(label, text)
            return
        kind = type(value)
        if self._is_of_project(kind):
            yield kind
        if kind.__module__ not in ("logging", "typing"):
            found.not_tracked[f"{label}, an object of type {kind.__qualname__}"] = None

    def _class(self, followed: type, found: _Found) -> Iterator[Followed]:
        file = self._file(getattr(sys.modules.get(followed.__module__), "__file__", None))
        digest = file.digest_of_class(followed.__qualname__) if file is not None else None
        if digest is None:
            found.not_tracked[f"the source of {followed.__qualname__}"] = None
        else:
            found.digests[digest] = None
        for member in vars(followed).values():
            for function in _functions_in(member):
                if function.__code__.co_filename in self._sources:
                    yield from self._read(function.__code__, function.__globals__, found)
        yield from (base for base in followed.__bases__ if self._is_of_project(base))

    def _module(self, module: ModuleType, found: _Found) -> None:
        """A module that is used as a whole: its file as a whole."""
        file = self._file(getattr(module, "__file__", None))
        if file is not None:
            found.digests[file.digest()] = None
        else:
            _package(module.__name__, found)

    def _imported_when_run(self, name: str, found: _Found) -> None:
        module = sys.modules.get(name)
        if module is not None and self._is_project_module(module):
            self._module(module, found)
        elif name.startswith("."):
            found.not_tracked[f"the module {name}, imported when the node runs"] = None
        else:
            _package(name, found)

    def _is_project_module(self, module: ModuleType) -> bool:
        if getattr(module, "__file__", None) in self._sources:
            return True
        # A folder without __init__.py has no file of its own.
        folders = list(getattr(module, "__path__", ()))
        return bool(folders) and str(folders[0]).startswith(f"{self._root}/")

    def _is_of_project(self, defined: Followed) -> bool:
        return getattr(sys.modules.get(defined.__module__), "__file__", None) in self._sources

    def _file(self, path: str | None) -> SourceFile | None:
        if path is None or path not in self._sources:
            return None
        if path not in self._files:
            self._files[path] = _parsed(self._sources[path])
        return self._files[path]


def _parsed(source: bytes) -> SourceFile | None:
    try:
        return SourceFile(source)
    except RecursionError:  # an expression of thousands of terms, which compiles all the same
        return None


def _bound_values(function: FunctionType) -> Iterator[tuple[str, object]]:
    code = function.__code__
    name = code.co_name
    defaults = function.__defaults__ or ()
    first = code.co_argcount - len(defaults)
    for parameter, value in zip(code.co_varnames[first : code.co_argcount], defaults, strict=True):
        yield f"{name}({parameter})", value
    for parameter, value in (function.__kwdefaults__ or {}).items():
        yield f"{name}({parameter})", value
    if function.__closure__:
        for variable, value in zip(code.co_freevars, cell_values(function), strict=True):
            yield f"{name}({variable})", value


def _functions_in(member: object) -> Iterator[FunctionType]:
    """The functions that a class attribute is made of."""
    if isinstance(member, property):
        members: tuple[object, ...] = (member.fget, member.fset, member.fdel)
    elif isinstance(member, staticmethod | classmethod):
        members = (member.__func__,)
    else:
        members = (member,)
    return (each for each in members if isinstance(each, FunctionType))


def _package(module: str | None, found: _Found) -> None:
    top = (module or "").partition(".")[0]
    if top and top not in _ALWAYS_THERE:
        found.not_tracked[f"the package {top}"] = None


def _names_in(code: CodeType) -> set[str]:
    """Global names and attributes that the code, and code inside of it, reads."""
    inner = (_names_in(each) for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*inner)


def _names_vars(code: CodeType) -> bool:
    """Whether the code, or code inside of it, reads an attribute called `vars`."""
    return "vars" in code.co_names or any(_names_vars(inner) for inner in code.co_consts if isinstance(inner, CodeType))
