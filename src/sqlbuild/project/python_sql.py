"""SQL that stands in the code of Python nodes: which tables it names, and what a node exports, as far as that is sure."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Mapping
from types import CodeType, FunctionType, ModuleType
from typing import cast

from sqlbuild import refs
from sqlbuild.authoring.code_reads import MISSING, cell_values
from sqlbuild.authoring.hook_functions import CONTEXT_NAMES
from sqlbuild.domain.ids import Place
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.project import ExportedSql, NamedTable
from sqlbuild.domain.record import record
from sqlbuild.domain.sql_reference import SqlReference
from sqlbuild.project.canonical_code import SourceFile
from sqlbuild.project.named_tables import HOLE, tables_named
from sqlbuild.refs import CALLS, Reference

_CALLS = frozenset({"query", "execute_sql", "export"})
_OTHER_ACCESS = frozenset({"query", "execute_sql", "connection", "loader"})
_TABLE_FOLLOWS = pattern(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+[\w\"]|,\s*[\w\"]", re.IGNORECASE)
_CREATES = pattern(r"\bCREATE\b", re.IGNORECASE)
_UNCHANGED = frozenset({"strip", "lstrip", "rstrip"})
_REFERENCES = (refs.model, refs.source, refs.seed)
Definition = ast.FunctionDef | ast.AsyncFunctionDef


@record(frozen=True, slots=True)
class _Text:
    """A text of the code: `holes` are the expressions whose values stand at each `HOLE`.

    `is_whole` if nothing else happens to it.
    """

    text: str
    holes: tuple[ast.expr, ...] = ()
    is_whole: bool = True


@record(frozen=True, slots=True)
class FunctionSql:
    """Of one function; `export` is what its one call of `ctx.export` is given, if that is all that it does in the warehouse."""

    tables: tuple[NamedTable, ...] = ()
    export: ast.expr | None = None
    local: Mapping[str, ast.expr | None] = dataclasses.field(default_factory=dict)
    """Names that are given a value in the function, and what to those that are given one once."""
    context: str = ""
    text: _Text | None = None
    """Of `export`."""


NOTHING = FunctionSql()


def may_hold_sql(code: CodeType) -> bool:
    """Whether it is worth looking at its syntax tree."""
    if not _CALLS.isdisjoint(code.co_names) and ("export" in code.co_names or _names_tables(code)):
        return True
    return any(may_hold_sql(inner) for inner in code.co_consts if isinstance(inner, CodeType))


def _names_tables(code: CodeType) -> bool:
    return any(isinstance(value, str) and _TABLE_FOLLOWS.search(value) is not None for value in code.co_consts)


def sql_of_function(definition: Definition, file: SourceFile, path: str) -> FunctionSql:
    """`path` is relative to the project."""
    arguments = [*definition.args.posonlyargs, *definition.args.args]
    context = arguments[0].arg if arguments else ""
    contexts = {context, *CONTEXT_NAMES}
    nodes = list(ast.walk(definition))
    local = _assigned(nodes)
    tables: list[NamedTable] = []
    creates = any(
        isinstance(each, ast.Constant) and isinstance(each.value, str) and _CREATES.search(each.value) for each in nodes
    )
    for call in nodes:
        if not _is_call_of(call, contexts, _CALLS):
            continue
        statement = _given(call)
        while isinstance(statement, ast.Name):
            statement = local[statement.id] if statement.id in local else file.constant(statement.id)
        found = _text(statement, local) if statement is not None else None
        if found is None or statement is None:
            continue
        for table in tables_named(found.text):
            # What is created here under a bare name may hide the table of the project.
            if len(table.parts) > 1 or not creates:
                written = found.text[table.start : table.end]
                nth = len(_occurrences(written, found.text[: table.end])) - 1
                place = _place(file, path, statement, written, nth)
                tables.append(NamedTable(parts=table.parts, written=written, place=place, is_read=table.is_read))
    export = _exported(nodes, context)
    while isinstance(export, ast.Name) and local.get(export.id) is not None:
        export = local[export.id]
    text = _text(export, local) if export is not None else None
    tables.sort(key=lambda each: (each.place.line or 0, each.place.column or 0))
    return FunctionSql(tuple(tables), export, local, context, text)


def exported_sql(found: FunctionSql, function: FunctionType) -> ExportedSql | None:
    """What `function` exports, with the values that its names have. None if that is not one statement for sure."""
    values = _Values(function, found)
    text = found.text
    reference = values.reference(found.export) if found.export is not None and text is None else None
    if reference is not None:
        return ExportedSql(references=(SqlReference(reference=reference, start=0, end=0, place=_NO_PLACE),))
    if text is None or not text.is_whole or not text.holes:
        return None
    sql, references = "", []
    for piece, hole in zip(text.text.split(HOLE), (*text.holes, None), strict=True):
        sql += piece
        if hole is None:
            break
        named = values.relation(hole)
        if named is None:
            return None
        call = f'{CALLS[named.kind]}("{named.name}")'
        references.append(SqlReference(reference=named, start=len(sql), end=len(sql) + len(call), place=_NO_PLACE))
        sql += call
    return ExportedSql(sql=sql, references=tuple(references))


_NO_PLACE = Place("")


class _Values:
    """What names of a function stand for when it runs."""

    def __init__(self, function: FunctionType, found: FunctionSql) -> None:
        self._function = function
        self._found = found

    def relation(self, expression: ast.expr) -> Reference | None:
        """Of `ctx.relation(...)`."""
        while isinstance(expression, ast.Name) and self._found.local.get(expression.id) is not None:
            expression = cast(ast.expr, self._found.local[expression.id])
        if not _is_call_of(expression, {self._found.context}, frozenset({"relation"})):
            return None
        given = cast(ast.Call, expression).args
        return self.reference(given[0]) if len(given) == 1 else None

    def reference(self, expression: ast.expr) -> Reference | None:
        if isinstance(expression, ast.Call):
            if len(expression.args) != 1 or expression.keywords or self._value(expression.func) not in _REFERENCES:
                return None
            made = cast(FunctionType, self._value(expression.func))
            name = self._value(expression.args[0])
            return made(name) if isinstance(name, str) and name else None
        value = self._value(expression)
        return value if isinstance(value, Reference) else None

    def _value(self, expression: ast.expr) -> object:
        match expression:
            case ast.Constant():
                return expression.value
            case ast.Name() if expression.id in self._found.local:
                assigned = self._found.local[expression.id]
                if isinstance(assigned, ast.Call):
                    return self.reference(assigned)
                return assigned.value if isinstance(assigned, ast.Constant) else MISSING
            case ast.Name():
                return self._named(expression.id)
            case ast.Attribute(value=ast.Name() as module):
                holder = self._value(module)
                return vars(holder).get(expression.attr, MISSING) if isinstance(holder, ModuleType) else MISSING
            case _:
                return MISSING

    def _named(self, name: str) -> object:
        function = self._function
        code, defaults = function.__code__, function.__defaults__ or ()
        parameters = code.co_varnames[: code.co_argcount]
        if name in parameters:
            place = parameters.index(name) - len(parameters) + len(defaults)
            return defaults[place] if place >= 0 else MISSING
        if name in code.co_varnames:
            return (function.__kwdefaults__ or {}).get(name, MISSING)
        if name in code.co_freevars:
            return cell_values(function)[code.co_freevars.index(name)]
        return function.__globals__.get(name, MISSING)


def _exported(nodes: list[ast.AST], context: str) -> ast.expr | None:
    """What the one export of a function is given, if the function does nothing else in the warehouse, nor hands its
    context on to others that may."""
    used = [each for each in nodes if isinstance(each, ast.Attribute) and _is_named(each.value, context)]
    names = sum(isinstance(each, ast.Name) and each.id == context for each in nodes)
    exports = [each for each in nodes if _is_call_of(each, {context}, frozenset({"export"}))]
    attributes = [each.attr for each in used]
    if len(exports) != 1 or attributes.count("export") != 1 or names != len(used):
        return None
    return _given(exports[0]) if _OTHER_ACCESS.isdisjoint(attributes) else None


def _assigned(nodes: list[ast.AST]) -> dict[str, ast.expr | None]:
    stored = [each.id for each in nodes if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)]
    found: dict[str, ast.expr | None] = dict.fromkeys(stored)
    for each in nodes:
        if isinstance(each, ast.Assign | ast.AnnAssign) and each.value is not None:
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            if len(targets) == 1 and isinstance(targets[0], ast.Name) and stored.count(targets[0].id) == 1:
                found[targets[0].id] = each.value
    return found


def _is_named(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_call_of(node: ast.AST, contexts: set[str], methods: frozenset[str]) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    receiver = node.func.value
    return node.func.attr in methods and isinstance(receiver, ast.Name) and receiver.id in contexts


def _given(call: ast.AST) -> ast.expr | None:
    assert isinstance(call, ast.Call)
    if call.args:
        return call.args[0]
    return next((each.value for each in call.keywords if each.arg in ("sql", "what")), None)


def _text(node: ast.expr, local: Mapping[str, ast.expr | None]) -> _Text | None:
    """A text with what is not known of it as holes; None if nothing of it is known."""
    match node:
        case ast.Constant(value=str() as value):
            return _Text(value) if HOLE not in value else None
        case ast.JoinedStr():
            return _joined([_text(each, local) or _Text(HOLE, (each,)) for each in node.values])
        case ast.BinOp(op=ast.Add()):
            sides = [_text(each, local) for each in (node.left, node.right)]
            if not any(sides):
                return None
            pairs = zip(sides, (node.left, node.right), strict=True)
            return _joined([side or _Text(HOLE, (each,)) for side, each in pairs])
        case ast.BinOp(op=ast.Mod()):
            found = _text(node.left, local)
            return dataclasses.replace(found, is_whole=False) if found is not None else None
        case ast.Call(func=ast.Attribute(value=inner, attr=attribute)) if attribute in {*_UNCHANGED, "format"}:
            found = _text(inner, local)
            whole = attribute in _UNCHANGED and not node.args
            return dataclasses.replace(found, is_whole=found.is_whole and whole) if found is not None else None
        case ast.Call(func=ast.Name(id="dedent" | "cleandoc") | ast.Attribute(attr="dedent" | "cleandoc"), args=[only]):
            return _text(only, local)
        case ast.FormattedValue():
            return _Text(HOLE, (node.value,), is_whole=node.conversion == -1 and node.format_spec is None)
        case ast.Name() if isinstance(assigned := local.get(node.id), ast.Constant | ast.JoinedStr):
            return _text(assigned, local)
        case _:
            return None


def _joined(parts: list[_Text]) -> _Text:
    return _Text(
        "".join(each.text for each in parts),
        tuple(hole for each in parts for hole in each.holes),
        all(each.is_whole for each in parts),
    )


def _occurrences(written: str, text: str) -> list[re.Match[str]]:
    return list(re.finditer(rf"(?<![\w.]){re.escape(written)}(?![\w.])", text))


def _place(file: SourceFile, path: str, node: ast.expr, written: str, nth: int) -> Place:
    """Where the text of `node` has `written` for the `nth` time, from 0; else where the text begins."""
    line, column = node.lineno, node.col_offset
    source = file.segment(node)
    found = _occurrences(written, source)
    if nth >= len(found):
        return Place(path, line, len(file.line(line)[:column].decode(errors="replace")) + 1)
    before = source[: found[nth].start()]
    if "\n" in before:
        return Place(path, line + before.count("\n"), len(before) - before.rfind("\n"))
    return Place(path, line, len(file.line(line)[:column].decode(errors="replace")) + len(before) + 1)
