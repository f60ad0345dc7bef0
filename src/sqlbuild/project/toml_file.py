"""TOML with places. tomllib knows none, so the lines of tables and keys are found by a search in the text."""

from __future__ import annotations

import tomllib

from sqlbuild.domain.pattern import pattern
from sqlbuild.errors import Problem
from sqlbuild.project.located import Located
from sqlbuild.project.text_file import TextFile

_TABLE = pattern(r"[ \t]*(\[\[?)((?:[^\[\]\"'#\n]|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')+)\]")
_KEY = pattern(r"[ \t]*((?:[A-Za-z0-9_.\- \t]|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')+?)[ \t]*=")
_PART = pattern(r"\"((?:[^\"\\\n]|\\.)*)\"|'([^'\n]*)'|([A-Za-z0-9_\-]+)")
_POSITION = pattern(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_LONG_QUOTES = pattern(r'"""|\'\'\'')

KeyPath = tuple[str, ...]


def read_toml(file: TextFile, problems: list[Problem]) -> Located | None:
    """The whole file as one table; None if it is no TOML, which is a problem."""
    try:
        return _located(tomllib.loads(file.text), file, (), _positions(file.text), None)
    except ValueError as error:
        problems.append(_syntax_problem(file, str(error)))
    except RecursionError:
        problems.append(file.problem("TOML_SYNTAX", "values are nested too deep", "nest less"))
    return None


def merge_tables(below: Located, above: Located) -> Located:
    """`above` wins, table by table and key by key; each value keeps the file it comes from."""
    merged = dict(below.table)
    for key, value in above.table.items():
        lower = merged.get(key)
        if lower is not None and isinstance(lower.value, dict) and isinstance(value.value, dict):
            merged[key] = merge_tables(lower, value)
        else:
            merged[key] = value
    return Located(merged, below.file, below.offset, below.key_offset)


def _syntax_problem(file: TextFile, message: str) -> Problem:
    position = _POSITION.search(message)
    line, column = position.groups() if position else (None, None)
    if position and line is None:
        ends_at = file.line_and_column(len(file.text))
        line, column = str(ends_at[0]), str(ends_at[1])
    return Problem(
        code="TOML_SYNTAX",
        message=f"this is no TOML: {_POSITION.sub('', message)}",
        help="correct the syntax; texts stand in double quotes",
        path=file.path,
        line=int(line) if line else None,
        column=int(column) if column else None,
    )


def _located(
    value: object, file: TextFile, path: KeyPath, positions: dict[KeyPath, int], parent: int | None
) -> Located:
    offset = positions.get(path, parent)
    if isinstance(value, dict):
        content: object = {key: _located(entry, file, (*path, key), positions, offset) for key, entry in value.items()}
    elif isinstance(value, list):
        content = tuple(_located(entry, file, (*path, ""), positions, offset) for entry in value)
    else:
        content = value
    return Located(content, file, offset, offset)


def _positions(text: str) -> dict[KeyPath, int]:
    """Offsets of keys by their path, as far as lines show them; a table that is only part of a path has the path's."""
    found: dict[KeyPath, int] = {}
    implied: dict[KeyPath, int] = {}
    table: KeyPath = ()
    start, open_quotes = 0, ""
    for line in text.splitlines(keepends=True):
        if not open_quotes:
            if header := _TABLE.match(line):
                path = table = _parts(header.group(2))
                offset = start + header.start(1)
            elif key := _KEY.match(line):
                path = (*table, *_parts(key.group(1)))
                offset = start + key.start(1)
            else:
                path, offset = (), 0
            if path:
                found.setdefault(path, offset)
            for length in range(1, len(path)):
                implied.setdefault(path[:length], offset)
        for quotes in _LONG_QUOTES.findall(line):
            open_quotes = quotes if not open_quotes else "" if quotes == open_quotes else open_quotes
        start += len(line)
    return implied | found


def _parts(written: str) -> KeyPath:
    return tuple(next(part for part in parts if part) if any(parts) else "" for parts in _PART.findall(written))
