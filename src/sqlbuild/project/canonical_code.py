"""Python source as it counts for a fingerprint: layout, comments, docstrings and decorators do not."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from types import CodeType
from typing import cast

_LEFT_OUT = frozenset({"ctx", "type_comment", "kind"})
_WITH_DOCSTRING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_PLAIN_STATEMENTS = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return, ast.Import, ast.ImportFrom)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class SourceFile:
    """One project file; definitions in it are found by what their code objects and classes say of themselves."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._source_lines: list[bytes] | None = None
        self._constants: dict[str, ast.expr | None] | None = None
        self._tree = ast.parse(source)
        self._functions: dict[tuple[int, str], list[ast.AST]] = {}
        self._classes: dict[str, list[ast.AST]] = {}
        self._lambdas: dict[int, list[ast.AST]] | None = None
        for definition, qualified_name in _definitions(self._tree):
            if isinstance(definition, ast.ClassDef):
                self._classes.setdefault(qualified_name, []).append(definition)
            else:
                line = min([definition.lineno, *(each.lineno for each in definition.decorator_list)])
                self._functions.setdefault((line, definition.name), []).append(definition)

    def digest_of_function(self, code: CodeType) -> str | None:
        """None if the file does not hold that function. Lambdas that share a line share a digest."""
        if code.co_name == "<lambda>":
            return _digest_of_nodes(self._lambdas_by_line().get(code.co_firstlineno))
        return _digest_of_nodes(self._functions.get((code.co_firstlineno, code.co_name)))

    def definition(self, code: CodeType) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The function that `code` was made from, if that is sure."""
        found = self._functions.get((code.co_firstlineno, code.co_name), ())
        only = found[0] if len(found) == 1 else None
        return only if isinstance(only, ast.FunctionDef | ast.AsyncFunctionDef) else None

    def constant(self, name: str) -> ast.expr | None:
        """What the file gives to `name` at its top level, if it does so once, by itself."""
        if self._constants is None:
            self._constants = {}
            for statement in self._tree.body:
                if isinstance(statement, ast.Assign | ast.AnnAssign):
                    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                    for target in targets:
                        if isinstance(target, ast.Name):
                            again = target.id in self._constants or len(targets) > 1
                            self._constants[target.id] = None if again else statement.value
        return self._constants.get(name)

    def line(self, number: int) -> bytes:
        """Counted from 1, as syntax trees do."""
        if self._source_lines is None:
            self._source_lines = re.split(rb"\r\n|\r|\n", self._source)
        return self._source_lines[number - 1]

    def segment(self, node: ast.expr) -> str:
        """The text that an expression was written as."""
        last = node.end_lineno or node.lineno
        lines = [self.line(number) for number in range(node.lineno, last + 1)]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        return b"\n".join(lines).decode(errors="replace")

    def digest_of_class(self, qualified_name: str) -> str | None:
        return _digest_of_nodes(self._classes.get(qualified_name))

    def digest(self) -> str:
        return digest_of(canonical_text(self._tree))

    def _lambdas_by_line(self) -> dict[int, list[ast.AST]]:
        if self._lambdas is None:
            self._lambdas = {}
            for node in ast.walk(self._tree):
                if isinstance(node, ast.Lambda):
                    self._lambdas.setdefault(node.lineno, []).append(node)
        return self._lambdas


def _digest_of_nodes(nodes: list[ast.AST] | None) -> str | None:
    return digest_of("".join(map(canonical_text, nodes))) if nodes else None


def _definitions(tree: ast.Module) -> Iterator[tuple[Definition, str]]:
    """Every function and class with its qualified name as Python forms it; expressions are not searched."""
    pending: list[tuple[ast.AST, str]] = [(tree, "")]
    while pending:
        node, prefix = pending.pop()
        for block in _BLOCKS:
            for child in getattr(node, block, ()):
                inside = prefix
                if isinstance(child, ast.ClassDef):
                    yield child, prefix + child.name
                    inside = f"{prefix}{child.name}."
                elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield child, prefix + child.name
                    inside = f"{prefix}{child.name}.<locals>."
                elif isinstance(child, _PLAIN_STATEMENTS):
                    continue
                pending.append((child, inside))


def canonical_text(node: ast.AST) -> str:
    """The syntax tree as text without positions; the decorators of `node` itself are left out.

    Without recursion, so that a very long expression is no problem.
    """
    written: list[str] = []
    pending: list[object] = _fields(node, leave_out="decorator_list")
    while pending:
        item = pending.pop()
        if type(item) is str:
            written.append(item)
        elif type(item) is list:
            pending.append("]")
            pending += [each if isinstance(each, ast.AST) else repr(each) for each in reversed(item)]
            written.append("[")
        else:
            pending += _fields(cast(ast.AST, item))
    return " ".join(written)


_FIELDS_OF = {
    kind: tuple((name, f"{name}=") for name in reversed(kind._fields) if name not in _LEFT_OUT)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}


def _fields(node: ast.AST, leave_out: str = "") -> list[object]:
    """What a node is written as, the end first: ready text, lists and nodes.

    Empty fields are left out: new versions of Python add some.
    """
    kind = type(node)
    if kind is ast.Constant:
        value = cast(ast.Constant, node).value
        return [f"{type(value).__name__} {value!r}"]
    fields: list[object] = [")"]
    for name, written in _FIELDS_OF[kind]:
        value = getattr(node, name, None)
        if value is None or value == [] or name == leave_out:
            continue
        if name == "body" and kind in _WITH_DOCSTRING and _is_docstring(value[0]):
            value = value[1:]
        fields += (value if isinstance(value, ast.AST | list) else repr(value), written)
    fields.append(f"{kind.__name__}(")
    return fields


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
