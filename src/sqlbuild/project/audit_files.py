"""`audits/**/*.sql` and `_sqlbuild/audits/`: generic audits by the place they are used from, and singular ones."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sqlbuild.domain.nodes import Audit, RunScope, Severity
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.settings import RunSettings
from sqlbuild.errors import Problem
from sqlbuild.project.audit_templates import GenericAudit
from sqlbuild.project.field_reader import FieldReader
from sqlbuild.project.find_files import walk_files
from sqlbuild.project.header_grammar import parse_header
from sqlbuild.project.known_keys import AUDIT_KEYS, MEASUREMENT_KEYS, SINGULAR_KEYS
from sqlbuild.project.located import Located
from sqlbuild.project.macros import Macros
from sqlbuild.project.model_fields import fold_prose, read_retry, read_timeout
from sqlbuild.project.read_audits import read_option
from sqlbuild.project.sql_references import Visible, read_query
from sqlbuild.project.sql_text import Unclosed, skip_blank
from sqlbuild.project.text_file import TextFile, read_text_file

TOP = "audits"
GENERIC, SINGULAR = "generic", "singular"
_BELOW, _HERE = "_sqlbuild/audits", "_sqlbuild/_audits"
_HEADER = pattern(r"AUDIT\s*+(?=\()", re.IGNORECASE)


class GenericAudits:
    """All definitions of a project; a folder is read when something in it, or below it, attaches an audit."""

    def __init__(self, root: Path, problems: list[Problem]) -> None:
        self._root = root
        self._problems = problems
        self._folders: dict[str, Mapping[str, GenericAudit | None]] = {}

    def find(self, name: str, path: str) -> GenericAudit | str | None:
        """The nearest definition that the file `path` sees. None if its file cannot be read, which is a problem already;
        what is known there, as one text, if there is none."""
        known: dict[str, None] = {}
        for folder in _seen_from(path):
            found = self._in(folder)
            if name in found:
                return found[name]
            known.update(dict.fromkeys(found))
        return " ".join(known)

    def of_the_project(self) -> Mapping[str, GenericAudit | None]:
        return self._in(f"{TOP}/{GENERIC}")

    def _in(self, folder: str) -> Mapping[str, GenericAudit | None]:
        if folder not in self._folders:
            found: dict[str, GenericAudit | None] = {}
            for path in sorted(walk_files(str(self._root), folder, (".sql",), self._problems)):
                name = PurePosixPath(path).stem
                if name in found:
                    message = f"there is another generic audit {name} under {folder}/"
                    self._problems.append(
                        Problem(code="DUPLICATE_NAME", message=message, help="rename one of the two", path=path)
                    )
                else:
                    found[name] = self._read(name, path)
            self._folders[folder] = found
        return self._folders[folder]

    def _read(self, name: str, path: str) -> GenericAudit | None:
        file = read_text_file(self._root, path, self._problems)
        if file is None:
            return None
        header = _Header(file, self._problems, AUDIT_KEYS)
        start = header.end
        try:
            start = skip_blank(file.text, start)
        except Unclosed as unclosed:
            self._problems.append(file.problem("SQL_SYNTAX", str(unclosed), unclosed.help, unclosed.offset))
            return None
        if start == len(file.text) and header.is_whole:
            self._problems.append(file.problem("EMPTY_QUERY", "there is no query", "write a SELECT statement", start))
        return GenericAudit(
            name=name,
            sql=file.text[start:].rstrip(),
            place=file.place(start),
            severity=header.severity,
            description=header.description,
            sql_analysis=header.sql_analysis,
        )


def visible_from(path: str, macros: Macros) -> Visible:
    """The macros that an audit may call: those that a model of the folder sees which the audit belongs to."""
    owner, local, _ = path.partition("/_sqlbuild/")
    return Visible(macros, (f"{owner}/{PurePosixPath(path).name}" if local else path,))


def read_singular_audits(
    root: Path, paths: Iterable[str], run: RunSettings, macros: Macros, problems: list[Problem]
) -> list[Audit]:
    """Those of the project and of the folders that the files `paths` are in."""
    folders = {f"{TOP}/{SINGULAR}": None}
    for folder in _folders_above(paths):
        folders[f"{folder}/{_BELOW}/{SINGULAR}"] = None
        _refuse_singular_here(root, f"{folder}/{_HERE}/{SINGULAR}", problems)
    _refuse_other_places(root, problems)
    found = [path for folder in folders for path in sorted(walk_files(str(root), folder, (".sql",), problems))]
    read = (_read_singular(root, path, run, macros, problems) for path in found)
    return [audit for audit in read if audit is not None]


def _read_singular(root: Path, path: str, run: RunSettings, macros: Macros, problems: list[Problem]) -> Audit | None:
    file = read_text_file(root, path, problems)
    if file is None:
        return None
    header = _Header(file, problems, SINGULAR_KEYS)
    query = read_query(file, header.end, problems, visible_from(path, macros))
    if query.sql and not query.references and not query.passed and not query.unreadable:
        help = 'read what it looks at with __ref("model"), __source("source") or __seed("seed")'
        message = "a singular audit must refer to something of the project, or nobody knows when it can run"
        problems.append(file.problem("AUDIT_REFERENCES", message, help, query.start))
    return Audit(
        name=header.reader.text("name") or PurePosixPath(path).stem,
        place=file.place(header.start),
        definition=PurePosixPath(path).stem,
        sql=query.sql,
        sql_place=file.place(query.start),
        references=query.references,
        passed=query.passed,
        has_macros=bool(query.expansions),
        severity=header.severity or run.default_audit_severity,
        run_scope=RunScope.FINAL,
        description=header.description,
        sql_analysis=header.sql_analysis and not query.unreadable,
        **header.of_a_node(),
    )


class _Header:
    """`AUDIT (...);` at the beginning of a file, if it is there."""

    def __init__(self, file: TextFile, problems: list[Problem], known: frozenset[str]) -> None:
        try:
            self.start = skip_blank(file.text, 0)
        except Unclosed as unclosed:
            self.start = unclosed.offset
        self.end, self.is_whole = self.start, True
        self.reader = FieldReader(Located({}, file), "", problems)
        begin = _HEADER.match(file.text, self.start)
        if begin is not None:
            parsed = parse_header(file, begin.end(), problems)
            self.reader = FieldReader(parsed.entries, "", problems)
            self.end = len(file.text) if parsed.end is None else parsed.end
            self.is_whole = parsed.end is not None
        measuring = MEASUREMENT_KEYS & self.reader.entries.keys()
        for key in sorted(measuring):
            message = f"`{key}`: audits that measure are not supported"
            help = "let the query return the rows that are wrong: SELECT ... HAVING avg(...) < 0.99 gives one or none"
            self.reader.refuse(key, message, help, code="UNSUPPORTED", at_key=True)
        self.reader.refuse_unknown(known, told=measuring)
        self.severity = read_option(self.reader, "severity", Severity)
        self.description = fold_prose(self.reader.text("description", empty=True)) or ""
        self.sql_analysis = self.reader.boolean("sql_analysis") is not False

    def of_a_node(self) -> dict[str, Any]:
        return {
            "tags": self.reader.texts("tags") or (),
            "group": self.reader.text("group"),
            "meta": self.reader.json_table("meta") or {},
            "retry": read_retry(self.reader),
            "timeout": read_timeout(self.reader),
            "pools": self.reader.texts("pool") or (),
        }


def _seen_from(path: str) -> Iterable[str]:
    """Folders with definitions that a file sees, the nearest first."""
    folder = posixpath.dirname(path)
    if folder:
        yield f"{folder}/{_HERE}/{GENERIC}"
    while folder:
        yield f"{folder}/{_BELOW}/{GENERIC}"
        folder = posixpath.dirname(folder)
    yield f"{TOP}/{GENERIC}"


def _folders_above(paths: Iterable[str]) -> list[str]:
    folders: set[str] = set()
    for path in paths:
        folder = posixpath.dirname(path)
        while folder and folder not in folders:
            folders.add(folder)
            folder = posixpath.dirname(folder)
    return sorted(folders)


def _refuse_singular_here(root: Path, folder: str, problems: list[Problem]) -> None:
    if os.path.isdir(root / folder):
        message = "singular audits are attached to nothing, so none belongs to one folder alone"
        help = f"move them to {folder.replace('/_audits/', '/audits/')}/"
        problems.append(Problem(code="AUDIT_PLACE", message=message, help=help, path=folder))


def _refuse_other_places(root: Path, problems: list[Problem]) -> None:
    for name in sorted(os.listdir(root / TOP)) if os.path.isdir(root / TOP) else ():
        if name in (GENERIC, SINGULAR) or name[0] in "._":
            continue
        path = f"{TOP}/{name}"
        if name.endswith(".py"):
            message, help = "audits in Python are not supported", "write a @check in checks/, or the audit in SQL"
            problems.append(Problem(code="UNSUPPORTED", message=message, help=help, path=path))
        elif name.endswith(".sql") or os.path.isdir(root / path):
            help = "move it to audits/generic/ if models attach it by its name, else to audits/singular/"
            message = "an audit stands in audits/generic/ or in audits/singular/"
            problems.append(Problem(code="AUDIT_PLACE", message=message, help=help, path=path))
