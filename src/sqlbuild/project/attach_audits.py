"""Every entry under `audits` becomes an `Audit`: its definition is found, and its parameters are filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import Audit, AuditUse, AuditValue, Model, Seed, Source
from sqlbuild.domain.settings import RunSettings
from sqlbuild.errors import Problem
from sqlbuild.project.audit_files import GenericAudits, visible_from
from sqlbuild.project.audit_templates import BUILT_IN, ColumnName, GenericAudit, as_column, filled_in
from sqlbuild.project.field_reader import nearest
from sqlbuild.project.macros import Macros
from sqlbuild.project.sql_references import read_query
from sqlbuild.project.sql_text import Unclosed
from sqlbuild.project.text_file import TextFile
from sqlbuild.refs import Reference

_SUPPLIED = frozenset({"column", "relation", "model", "source", "seed"})
"""Parameters that an attached audit has without being given them."""

Audited = Model | Source | Seed


class Attaching:
    """Finds the definitions of attached audits and fills them in."""

    def __init__(self, definitions: GenericAudits, run: RunSettings, macros: Macros, problems: list[Problem]) -> None:
        self._definitions = definitions
        self._run = run
        self._macros = macros
        self._problems = problems
        self._told: set[str] = set()

    def audits_of(self, audited: Audited) -> Iterable[Audit]:
        """All that are attached to it; what is wrong with one becomes a problem."""
        target = _reference(audited)
        numbers: dict[str, int] = {}
        for use in audited.audits:
            definition = self._definition(use, audited.place.path)
            if definition is None:
                continue
            name = self._name(target, use)
            numbers[name] = numbers.get(name, 0) + 1
            if numbers[name] > 1:
                name = f"{name}#{numbers[name]}"
            audit = self._attached(audited, target, use, definition, name)
            if audit is not None:
                yield audit

    def _definition(self, use: AuditUse, seen_from: str) -> GenericAudit | None:
        found = self._definitions.find(use.definition, seen_from)
        built_in = BUILT_IN.get(use.definition)
        if isinstance(found, str):
            if built_in is not None:
                return built_in
            help = nearest(use.definition, [*found.split(), *BUILT_IN])
            self._problem("UNKNOWN_AUDIT", f"there is no audit {use.definition} here", help, use.place)
            return None
        if found is not None and built_in is not None and found.place.path not in self._told:
            self._told.add(found.place.path)
            message = f"the audit {found.name} stands in the place of the built-in one of that name"
            help = "rename it if that is not meant"
            self._problem("AUDIT_OVERRIDE", message, help, Place(found.place.path), severity="warning")
        return found

    def _name(self, target: Reference, use: AuditUse) -> str:
        if use.name is None:
            return f"{target.name}.{use.definition}" + (f"({use.column})" if use.column is not None else "")
        if not use.name or not use.name.isprintable() or use.name != use.name.strip():
            help = "write one line of text, without blanks at its ends"
            self._problem("BAD_NAME", f"{use.name!r} is no name for an audit", help, use.place)
        return f"{target.name}.{use.name}"

    def _attached(
        self, audited: Audited, target: Reference, use: AuditUse, definition: GenericAudit, name: str
    ) -> Audit | None:
        values = _values(use, target)
        if not self._fits(use, definition, values):
            return None
        read: set[str] = set()
        try:
            text, missing = filled_in(definition.sql, values, read.add)
        except Unclosed as unclosed:
            self._problem("SQL_SYNTAX", str(unclosed), unclosed.help, definition.place)
            return None
        if not self._all_are_read(use, definition, read, missing):
            return None
        # As many lines in front as in the file, so that places are those of the file.
        line = definition.place.line or 1
        file = TextFile(definition.place.path or use.place.path, "\n" * (line - 1) + text)
        macros = visible_from(definition.place.path or audited.place.path, self._macros)
        query = read_query(file, 0, self._problems, macros)
        built = None if isinstance(audited, Source) else audited
        return Audit(
            name=name,
            place=use.place,
            definition=use.definition,
            sql=query.sql,
            sql_place=definition.place,
            references=query.references,
            passed=query.passed,
            has_macros=bool(query.expansions),
            target=target,
            column=use.column,
            severity=use.severity or definition.severity or self._run.default_audit_severity,
            run_scope=use.run_scope or self._run.default_audit_run_scope,
            description=use.description or definition.description,
            meta=use.meta,
            retry=built.retry if built is not None else None,
            timeout=built.timeout if built is not None else None,
            pools=built.pools if built is not None else (),
            sql_analysis=definition.sql_analysis
            and not query.unreadable
            and (not isinstance(audited, Model) or audited.sql_analysis),
        )

    def _fits(self, use: AuditUse, definition: GenericAudit, values: Mapping[str, AuditValue]) -> bool:
        empty = [name for name, value in use.arguments.items() if value == ()]
        if empty:
            self._problem(
                "AUDIT_ARGUMENT",
                f"`{empty[0]}` of the audit {use.definition} is an empty list",
                "name values",
                use.place,
            )
            return False
        to = values.get("to")
        if definition is BUILT_IN["relationships"] and "to" in values and not isinstance(to, Reference):
            message = f"`to` of the audit relationships is {to}, and not what to read"
            help = f'write to __ref("{to}"), or __source or __seed, so that it waits for that'
            self._problem("AUDIT_ARGUMENT", message, help, use.place)
            return False
        return True

    def _all_are_read(self, use: AuditUse, definition: GenericAudit, read: set[str], missing: list[str]) -> bool:
        shown = definition.place.path or f"the built-in audit {definition.name}"
        unread = [name for name in use.arguments if name not in read and name not in _SUPPLIED]
        if missing:
            column = missing[0] == "column"
            help = "attach it to a column, or give it `column`" if column else f"give it `{missing[0]}`"
            if unread:
                help = f"{help}; it is given `{'`, `'.join(unread)}`"
            message = f"the audit {use.definition} is not given `{missing[0]}`, which {shown} reads"
            self._problem("AUDIT_ARGUMENT", message, help, use.place)
            return False
        if unread:
            message = f"the audit {use.definition} is given `{unread[0]}`, which {shown} never reads"
            known = (read | {"severity", "name", "run_scope", "description", "meta"}) - _SUPPLIED
            self._problem("AUDIT_ARGUMENT", message, f"remove it; {nearest(unread[0], known)}", use.place)
            return False
        return True

    def _problem(self, code: str, message: str, help: str, place: Place, *, severity: str = "error") -> None:
        self._problems.append(
            Problem(
                code=code,
                message=message,
                help=help,
                path=place.path,
                line=place.line,
                column=place.column,
                severity=severity,
            )
        )


def _reference(audited: Audited) -> Reference:
    match audited:
        case Model():
            return Reference("model", audited.name)
        case Source():
            return Reference("source", audited.name)
        case Seed():
            return Reference("seed", audited.name)


def _values(use: AuditUse, target: Reference) -> Mapping[str, AuditValue]:
    values: dict[str, AuditValue] = {"relation": target, target.kind: target.name}
    if use.column is not None:
        values["column"] = ColumnName(use.column)
    values.update(use.arguments)
    field = use.arguments.get("field")
    if isinstance(field, str):
        values["field"] = as_column(field)
    return values
