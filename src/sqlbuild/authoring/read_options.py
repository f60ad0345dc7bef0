"""Checks what a decorator was given, parameter by parameter, and turns it into fields of a declaration.

Each reader returns the value to keep, or None after appending what is wrong to `findings`; so one wrong parameter
hides no other.
"""

from __future__ import annotations

import datetime
import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import get_args

from sqlbuild.authoring.findings import Finding, Findings
from sqlbuild.domain.columns import Column
from sqlbuild.domain.nodes import PythonNode, Requires
from sqlbuild.domain.pattern import pattern
from sqlbuild.refs import Reference
from sqlbuild.retries import RetryPolicy

NODE_ATTRIBUTE = "__sqlbuild_node__"
MAX_META_DEPTH = 100
_SNAKE_CASE = pattern(r"[a-z][a-z0-9_]*")
_SURROGATE = pattern("[\ud800-\udfff]")
_REQUIRES = get_args(Requires)


Path = tuple[object, ...]
"""Where a value stands: the parameter, then keys and indexes."""
Reader = Callable[[object, Findings], object]


def read_options(options: Mapping[str, object], readers: Mapping[str, Reader], findings: Findings) -> dict[str, object]:
    """The given options as fields; an option that is None counts as not given."""
    fields: dict[str, object] = {}
    for key, value in options.items():
        reader = readers.get(key)
        if reader is None:
            findings.append(Finding(*unknown(f'unknown parameter "{key}"', key, readers)))
        elif value is not None:
            read = reader(value, findings)
            if read is not None:
                fields[key] = read
    return fields


def unknown(message: str, word: str, known: Iterable[str]) -> tuple[str, str]:
    """Message and help for a word that is not one of `known`."""
    words = list(known)
    near = difflib.get_close_matches(word, words, n=1)
    return (f'{message}, did you mean "{near[0]}"?' if near else message), "known here: " + ", ".join(words)


def read_name(value: object, findings: Findings) -> str | None:
    if isinstance(value, str) and _SNAKE_CASE.fullmatch(value):
        return value
    if isinstance(value, str):
        findings.append(
            Finding(
                f"name: {shown(value)} is not lowercase snake_case",
                f'give it as name="{_snake_case(value)}": lowercase letters, digits and `_`, a letter first',
            )
        )
    else:
        findings.append(Finding(f"name: must be a text, not {shown(value)}", 'for example name="orders_export"'))
    return None


def _snake_case(name: str) -> str:
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return re.sub(r"[^a-z0-9]+", "_", parted).strip("_").lstrip("0123456789_") or "my_node"


def read_text(key: str) -> Reader:
    def read(value: object, findings: Findings) -> str | None:
        if isinstance(value, str):
            return value
        findings.append(Finding(f"{key}: must be a text, not {shown(value)}", f'for example {key}="..."'))
        return None

    return read


def read_labels(key: str) -> Reader:
    """A list or tuple of non-empty texts, each once."""

    def read(value: object, findings: Findings) -> tuple[str, ...] | None:
        if not isinstance(value, list | tuple):
            wanted = [value] if isinstance(value, str) else ["...", "..."]
            findings.append(
                Finding(
                    f"{key}: must be a list of texts, not {shown(value)}", f"for example {key}={json.dumps(wanted)}"
                )
            )
            return None
        for index, label in enumerate(value):
            if not isinstance(label, str) or not label.strip():
                findings.append(
                    Finding(f"{key}[{index}]: must be a text, not {shown(label)}", f'for example {key}=["daily"]')
                )
                return None
        return tuple(dict.fromkeys(value))

    return read


def read_pool(value: object, findings: Findings) -> tuple[str, ...] | None:
    names = read_labels("pool")((value,) if isinstance(value, str) else value, findings)
    return names if isinstance(names, tuple) else None


def read_requires(value: object, findings: Findings) -> str | None:
    if isinstance(value, str) and value in _REQUIRES:
        return value
    message, _ = unknown(f"requires: unknown value {shown(value)}", str(value), _REQUIRES)
    findings.append(Finding(message, 'give "any" (the default), "all" or "none_failed"'))
    return None


def read_retry(value: object, findings: Findings) -> RetryPolicy | None:
    if isinstance(value, RetryPolicy):
        return value
    findings.append(
        Finding(f"retry: must be a RetryPolicy, not {shown(value)}", "for example retry=RetryPolicy(max_attempts=3)")
    )
    return None


def read_timeout(value: object, findings: Findings) -> float | None:
    if isinstance(value, datetime.timedelta):
        seconds: float = value.total_seconds()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value) if abs(value) < 1e12 else math.inf
    else:
        findings.append(
            Finding(f"timeout: must be seconds or a timedelta, not {shown(value)}", "for example timeout=30")
        )
        return None
    if not math.isfinite(seconds) or seconds <= 0:
        findings.append(
            Finding(f"timeout: must be a number of seconds above 0, not {seconds:g}", "for example timeout=30")
        )
        return None
    return seconds


def read_isolate(value: object, findings: Findings) -> bool | None:
    if value == "process":
        return True
    findings.append(Finding(f"isolate: unknown value {shown(value)}", 'give isolate="process", or leave it out'))
    return None


def read_flag(key: str) -> Reader:
    def read(value: object, findings: Findings) -> bool | None:
        if isinstance(value, bool):
            return value
        findings.append(Finding(f"{key}: must be True or False, not {shown(value)}", f"for example {key}=True"))
        return None

    return read


def read_depends_on(value: object, findings: Findings) -> tuple[object, ...] | None:
    if isinstance(value, list | tuple):
        upstreams = [each for index, each in enumerate(value) if _upstream(each, ("depends_on", index), findings)]
        return tuple(dict.fromkeys(upstreams))
    return (value,) if _upstream(value, ("depends_on",), findings) else None


def _upstream(value: object, path: Path, findings: Findings) -> bool:
    if isinstance(value, Reference) or declared_node(value) is not None:
        return True
    if isinstance(value, str):
        advice = f"give the function itself, or a reference such as model({json.dumps(value)})"
        findings.append(Finding(f"{at(path)}: {shown(value)} is a text, not a node", advice))
    elif isinstance(value, FunctionType):
        named = f"the function `{value.__name__}`"
        if NODE_ATTRIBUTE in value.__dict__:
            findings.append(Finding(f"{at(path)}: {named} has another decorator above sqlbuild's", _OUTERMOST))
        else:
            findings.append(Finding(f"{at(path)}: {named} is not a node", "decorate it with @task or @asset"))
    else:
        findings.append(
            Finding(f"{at(path)}: {shown(value)} is not a node", "give decorated functions, model(...) or source(...)")
        )
    return False


_OUTERMOST = "let @asset or @task stand above all other decorators"


def declared_node(function: object) -> PythonNode | None:
    """The declaration of a decorated function; None for everything else, also for a wrapper around one."""
    if not isinstance(function, FunctionType):
        return None
    node: PythonNode | None = function.__dict__.get(NODE_ATTRIBUTE)
    # functools.wraps copies attributes: only the function that was decorated itself is the node.
    return node if node is not None and node.declared.function is function else None


def read_meta(value: object, findings: Findings) -> Mapping[str, object] | None:
    return _meta(value, ("meta",), findings)


def _meta(value: object, path: Path, findings: Findings) -> Mapping[str, object] | None:
    if not isinstance(value, Mapping):
        findings.append(Finding(f"{at(path)}: must be a dict, not {shown(value)}", 'for example {"owner": "sales"}'))
        return None
    plain = dict(value)
    wrong = _not_json(plain, path)
    if wrong is not None:
        findings.append(Finding(wrong, "use dict, list, str, int, float, bool and None only"))
        return None
    return plain


def _not_json(value: object, path: Path) -> str | None:
    """What is not plain JSON in `value`, with the path to it."""
    pending: list[tuple[object, Path]] = [(value, path)]
    while pending:
        each, where = pending.pop()
        if each is None or isinstance(each, int):
            continue
        if isinstance(each, str):
            if each.isascii() or not _SURROGATE.search(each):
                continue
            return f"{at(where)}: holds a lone surrogate, which is not text"
        if isinstance(each, float):
            if math.isfinite(each):
                continue
            return f"{at(where)}: {each} is not JSON"
        if len(where) > MAX_META_DEPTH:
            return f"{at(path)}: is nested deeper than {MAX_META_DEPTH} levels or contains itself"
        if isinstance(each, dict):
            for key, entry in each.items():
                if not isinstance(key, str):
                    return f"{at(where)}: the key {shown(key)} is not a text"
                pending.append((entry, (*where, key)))
        elif isinstance(each, list | tuple):
            pending += [(entry, (*where, index)) for index, entry in enumerate(each)]
        else:
            return f"{at(where)}: {shown(each)} is not JSON"
    return None


def read_columns(value: object, findings: Findings) -> tuple[Column, ...] | None:
    if not isinstance(value, list | tuple):
        findings.append(Finding(f"columns: must be a list of dicts, not {shown(value)}", f"for example [{_COLUMN}]"))
        return None
    columns: dict[str, Column] = {}
    for index, entry in enumerate(value):
        column = _column(entry, ("columns", index), findings)
        if column is None:
            continue
        if column.name in columns:
            findings.append(
                Finding(f"columns[{index}]: there is a column {shown(column.name)} already", "remove or rename one")
            )
        columns[column.name] = column
    return tuple(columns.values())


def _column(entry: object, path: Path, findings: Findings) -> Column | None:
    if not isinstance(entry, Mapping):
        findings.append(Finding(f"{at(path)}: must be a dict, not {shown(entry)}", f"for example {_COLUMN}"))
        return None
    count = len(findings)
    fields: dict[str, object] = {}
    for key, value in entry.items():
        if key not in _COLUMN_FIELDS:
            findings.append(Finding(*unknown(f"{at(path)}: unknown key {shown(key)}", str(key), _COLUMN_FIELDS)))
        elif value is None and key != "name":
            continue
        elif key == "meta":
            fields[key] = _meta(value, (*path, ".meta"), findings)
        elif not isinstance(value, _COLUMN_FIELDS[key]) or (key in ("name", "type") and not value):
            wanted = "True or False" if key == "nullable" else "a text"
            findings.append(
                Finding(f"{at(path)}.{key}: must be {wanted}, not {shown(value)}", f"for example {_COLUMN}")
            )
        else:
            fields[key] = value
    if "name" not in entry:
        findings.append(Finding(f'{at(path)}: has no "name"', f"for example {_COLUMN}"))
    return Column(**fields) if len(findings) == count else None  # type: ignore[arg-type]


_COLUMN_FIELDS: Mapping[str, type] = {"name": str, "type": str, "nullable": bool, "description": str, "meta": Mapping}
_COLUMN = '{"name": "total", "type": "INTEGER", "nullable": False}'
_LINEAGE = '{"total": [{"node": "fact_orders", "column": "total"}]}'


def read_column_lineage(value: object, findings: Findings) -> Mapping[str, tuple[tuple[str, str], ...]] | None:
    if not isinstance(value, Mapping):
        findings.append(Finding(f"column_lineage: must be a dict, not {shown(value)}", f"for example {_LINEAGE}"))
        return None
    lineage: dict[str, tuple[tuple[str, str], ...]] = {}
    for column, origins in value.items():
        path = ("column_lineage", column)
        if not isinstance(column, str) or not column:
            findings.append(
                Finding(f"column_lineage: the key {shown(column)} is not a column's name", f"for example {_LINEAGE}")
            )
        elif not isinstance(origins, list | tuple):
            findings.append(
                Finding(f"{at(path)}: must be a list of dicts, not {shown(origins)}", f"for example {_LINEAGE}")
            )
        else:
            read = [_origin(origin, (*path, index), findings) for index, origin in enumerate(origins)]
            lineage[column] = tuple(dict.fromkeys(origin for origin in read if origin is not None))
    return lineage


def _origin(origin: object, path: Path, findings: Findings) -> tuple[str, str] | None:
    if not isinstance(origin, Mapping):
        findings.append(Finding(f"{at(path)}: must be a dict, not {shown(origin)}", f"for example {_LINEAGE}"))
        return None
    count = len(findings)
    for key in origin:
        if key not in ("node", "column"):
            findings.append(Finding(*unknown(f"{at(path)}: unknown key {shown(key)}", str(key), ("node", "column"))))
    for key in ("node", "column"):
        if key not in origin:
            findings.append(Finding(f'{at(path)}: has no "{key}"', f"for example {_LINEAGE}"))
        elif not isinstance(origin[key], str) or not origin[key]:
            findings.append(
                Finding(
                    f"{at(path)}.{key}: must be the name of a {key}, not {shown(origin[key])}",
                    f"for example {_LINEAGE}",
                )
            )
    return (origin["node"], origin["column"]) if len(findings) == count else None


def at(path: Path) -> str:
    """A path as it is written in Python: `meta["owners"][2]`; an entry that starts with a dot stands as it is."""
    first, *rest = path
    return f"{first}" + "".join(
        each if isinstance(each, str) and each.startswith(".") else f"[{shown(each)}]" for each in rest
    )


def shown(value: object) -> str:
    """A value as it is named in a message: texts and numbers as they are, anything else by its type."""
    if isinstance(value, str):
        return json.dumps(value if len(value) <= 60 else value[:57] + "...", ensure_ascii=False)
    if isinstance(value, int) and value.bit_length() > 200:
        return "a very large number"
    if value is None or isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Reference):
        return repr(value)
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    if isinstance(value, list | tuple | dict | set):
        return f"a {type(value).__name__}"
    return f"an object of type {type(value).__qualname__}"
