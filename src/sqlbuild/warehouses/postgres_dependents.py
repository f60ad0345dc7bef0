"""What depends on a relation that is to be replaced: views, which can be made again, and all that cannot."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.errors import Rebuilt, WarehouseError
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.postgres_attributes import (
    Attributes,
    NewRelation,
    give_attributes,
    give_declared_grants,
    give_owner,
    options_text,
)

KEPT_PREFIX = "_sqlbuild_kept_"
"""Of a relation that was replaced but that views, which this run was still to build then, go on reading."""
KEPT_COMMENT = "sqlbuild keeps this until the views that read it are built again; it was "

_SHOWN = 5
_KEPT_NAME = pattern(rf"\b{KEPT_PREFIX}\d+\b")
_OBJECTS = """
CROSS JOIN LATERAL (
    VALUES ('pg_class'::regclass, c.oid), ('pg_type'::regclass, c.reltype),
        ('pg_type'::regclass, (SELECT t.typarray FROM pg_type AS t WHERE t.oid = c.reltype))
) AS object(class, id)
"""
"""A relation `c` and the types of its rows: whatever depends on one of them depends on the relation."""
_REPLACED = f"""
WITH RECURSIVE replaced(oid) AS (
    SELECT $1::oid
    UNION
    SELECT v.oid
    FROM replaced JOIN pg_class AS c ON c.oid = replaced.oid {_OBJECTS}
    JOIN pg_depend AS d ON d.refclassid = object.class AND d.refobjid = object.id AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite AS r ON r.oid = d.objid AND r.rulename = '_RETURN'
    JOIN pg_class AS v ON v.oid = r.ev_class AND v.relkind = 'v'
)
"""
_VIEWS = f"""{_REPLACED}
SELECT v.oid, n.nspname, v.relname, pg_get_userbyid(v.relowner) AS owner, pg_has_role(v.relowner, 'USAGE') AS may_drop,
    ARRAY(
        SELECT DISTINCT d.refobjid FROM pg_rewrite AS r
        JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
            AND d.refclassid = 'pg_class'::regclass
        WHERE r.ev_class = v.oid AND d.refobjid <> v.oid
    ) AS reads
FROM replaced JOIN pg_class AS v ON v.oid = replaced.oid AND v.oid <> $1
JOIN pg_namespace AS n ON n.oid = v.relnamespace
ORDER BY v.oid DESC
"""
_DEFINITIONS = "SELECT v.oid, rtrim(pg_get_viewdef(v.oid), ';') FROM unnest($1::oid[]) AS v(oid)"
_CANNOT_STAY = f"""
SELECT DISTINCT c.oid, CASE
    WHEN r.rulename = '_RETURN' THEN pg_describe_object('pg_class'::regclass, v.oid, 0)
    ELSE pg_describe_object(d.classid, d.objid, 0) END
FROM pg_class AS c {_OBJECTS}
JOIN pg_depend AS d ON d.refclassid = object.class AND d.refobjid = object.id
LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
LEFT JOIN pg_class AS v ON v.oid = r.ev_class
LEFT JOIN pg_constraint AS k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
LEFT JOIN pg_attrdef AS a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
LEFT JOIN pg_trigger AS t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
LEFT JOIN pg_class AS o ON d.classid = 'pg_class'::regclass AND o.oid = d.objid
WHERE c.oid = ANY($1::oid[]) AND CASE d.deptype
    WHEN 'n' THEN NOT coalesce(r.rulename = '_RETURN' AND v.relkind = 'v', false)
        AND k.conrelid IS DISTINCT FROM c.oid
        AND (a.adrelid IS DISTINCT FROM c.oid OR c.relkind = 'v')
        AND NOT coalesce(t.tgisinternal, false) AND o.relkind IS DISTINCT FROM 'v'
    WHEN 'a' THEN d.classid IN ('pg_policy'::regclass, 'pg_publication_rel'::regclass)
        OR NOT t.tgisinternal OR r.rulename <> '_RETURN' OR (o.relkind IN ('r', 'p', 'f') AND o.oid <> c.oid)
        OR (a.adrelid = c.oid AND c.relkind = 'v')
    ELSE false END
UNION ALL
SELECT c.oid, 'row level security of table ' || c.oid::regclass
FROM pg_class AS c WHERE c.oid = ANY($1::oid[]) AND c.relrowsecurity
ORDER BY 1, 2
"""
_COMMENTS = """
SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class AS c WHERE c.relname = ANY($1::name[])
"""


@record(frozen=True, slots=True, kw_only=True)
class DependentView:
    oid: int
    relation: Relation
    owner: str
    may_drop: bool
    definition: str = ""
    """Empty until it is locked: before, somebody else may drop it."""
    reads: frozenset[int]
    """Oids of relations."""

    @property
    def name(self) -> str:
        return quote_relation(self.relation)


class UnmakableView(Rebuilt):
    """A view cannot be made again; `cause` says why."""

    def __init__(self, view: DependentView, cause: WarehouseError) -> None:
        super().__init__(str(view.relation))
        self.view = view
        self.cause = cause


async def views_on(raw: Any, oid: int) -> tuple[DependentView, ...]:
    """All views that read a relation, also through others, in the order in which they are to be locked: readers lock a
    view before what it reads, and what is younger is nearly always what reads."""
    return tuple(
        DependentView(
            oid=row["oid"],
            relation=Relation("", row["nspname"], row["relname"]),
            owner=row["owner"],
            may_drop=row["may_drop"],
            reads=frozenset(row["reads"]),
        )
        for row in await raw.fetch(_VIEWS, oid)
    )


async def obstacles(raw: Any, relations: Collection[int]) -> dict[int, list[str]]:
    """What would be lost with a relation, or keeps it from being dropped, and is no view: by the relation's oid."""
    found: dict[int, list[str]] = {}
    for oid, text in await raw.fetch(_CANNOT_STAY, list(relations)):
        found.setdefault(oid, []).append(text)
    return found


def refused_for(relation: Relation, through: Relation | None, found: list[str]) -> WarehouseError:
    """`through` is the view that has what cannot be made again, if it is not the relation itself."""
    shown = ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    is_told = through is None or all(str(through) in text for text in found)
    on = "" if is_told else f" on the view {through}, which reads it"
    return WarehouseError(
        f"{relation} cannot be replaced: there is {shown}{on}, and only views are made again",
        help="drop it before the build and make it again behind it, or attach it to something that is no model; "
        "nothing was changed",
    )


def refuse_views_of_others(views: Iterable[DependentView], relation: Relation) -> None:
    """Raises WarehouseError for views that may not be dropped."""
    for view in views:
        if not view.may_drop:
            raise WarehouseError(
                f"{relation} cannot be replaced: the view {view.relation}, which reads it, is of the role {view.owner}",
                help=f"GRANT {quote_identifier(view.owner)} to the user of the connection, or drop the view; nothing was changed",
            )


def in_order(views: Collection[DependentView]) -> list[DependentView]:
    """Each behind those that it reads. Raises WarehouseError if they read each other."""
    waiting = {view.oid: view for view in sorted(views, key=lambda view: view.oid)}
    ordered: list[DependentView] = []
    while waiting:
        ready = [view for view in waiting.values() if not view.reads & waiting.keys()]
        if not ready:
            names = ", ".join(str(view.relation) for view in waiting.values())
            raise WarehouseError(f"views that read each other cannot be made again: {names}", help="drop one of them")
        for view in ready:
            del waiting[view.oid]
        ordered += ready
    return ordered


def readers_of(oid: int, views: Collection[DependentView]) -> frozenset[int]:
    """The view `oid` and those of `views` that read it, also through others."""
    reached = {oid}
    while more := {view.oid for view in views if view.oid not in reached and view.reads & reached}:
        reached |= more
    return frozenset(reached)


async def with_definitions(raw: Any, views: Collection[DependentView]) -> list[DependentView]:
    """Of views that are locked. What reads kept relations reads what has come into their place instead."""
    if not views:
        return []
    definitions = dict(await raw.fetch(_DEFINITIONS, [view.oid for view in views]))
    named = {name for definition in definitions.values() for name in _KEPT_NAME.findall(definition)}
    before: dict[str, str] = {}
    for name, comment in await raw.fetch(_COMMENTS, sorted(named)) if named else ():
        if comment is not None and comment.startswith(KEPT_COMMENT):
            before[name] = quote_identifier(comment.removeprefix(KEPT_COMMENT))
    return [
        dataclasses.replace(
            view, definition=_KEPT_NAME.sub(lambda found: before.get(found[0], found[0]), definitions[view.oid])
        )
        for view in views
    ]


async def make_again(raw: Any, view: DependentView, before: Attributes) -> None:
    """In the transaction that has dropped it. Raises UnmakableView."""
    options = f" WITH ({options_text(before.options)})" if before.options else ""
    create = f"CREATE VIEW {view.name}{options} AS {view.definition}"
    try:
        with translated(create):
            await raw.execute(create)
        oid = await raw.fetchval("SELECT $1::text::regclass::oid", view.name)
        await give_attributes(raw, NewRelation(name=view.name, kind="VIEW", oid=oid), before)
        await give_declared_grants(raw, view.name, before.declared_as_grants())
        await give_owner(raw, view.name, before)
    except WarehouseError as error:
        if error.transient:
            raise
        raise UnmakableView(view, error) from error


def cannot_be_made_again(error: UnmakableView, relation: Relation) -> WarehouseError:
    reason = str(error.cause.args[0]).partition("\n")[0]
    return WarehouseError(
        f"{relation} cannot be replaced: the view {error.view.relation} reads it and cannot be made again: {reason}",
        help="if the view is a model, build it in the same run (`-s NAME+`); otherwise correct or drop it; nothing was changed",
        sql=error.cause.sql,
        transient=error.cause.transient,
    )
