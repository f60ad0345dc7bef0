"""Something new takes the place of a relation, and views that read the old one read the new one: all in one transaction.

replaced
  _locked         the relation and the views on it, which nobody else changes from here on
  _exchanged      views dropped, the old one dropped, the new one in its place, views made again
    kept            or the old one stays under another name, for views that this run will build anew
  _sweep          kept relations that nothing reads any more
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.record import record
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import BuildOrder
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.postgres_attributes import (
    Attributes,
    NewRelation,
    attributes_of,
    give_attributes,
    give_declared_grants,
    give_owner,
    options_text,
)
from sqlbuild.warehouses.postgres_dependents import (
    KEPT_COMMENT,
    KEPT_PREFIX,
    DependentView,
    UnmakableView,
    cannot_be_made_again,
    in_order,
    make_again,
    obstacles,
    readers_of,
    refuse_views_of_others,
    refused_for,
    views_on,
    with_definitions,
)

Arrive = Callable[[], Awaitable[None]]
"""Puts the new relation into its place, which is free."""

_STATE = """
SELECT c.oid, c.relkind::text AS kind, pg_get_userbyid(c.relowner) AS owner
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2
"""
_WORDS = {"r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW", "f": "FOREIGN TABLE"}
_INDEXES = """
SELECT c.oid, c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = $1
"""
_UNREAD = r"""
SELECT n.nspname, c.relname, c.relkind::text AS kind
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname LIKE '\_sqlbuild\_kept\_%' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND pg_has_role(c.relowner, 'USAGE')
    AND NOT EXISTS (
        SELECT FROM pg_depend AS d JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND r.ev_class <> c.oid
    )
"""
_TRIES = 10


@record(frozen=True, slots=True, kw_only=True)
class _Old:
    """What stands in a relation's place, locked, with all that has to be as it was."""

    oid: int
    word: str
    views: Mapping[int, DependentView]
    attributes: Mapping[int, Attributes]
    """Of itself and of the views."""


async def replaced(raw: Any, relation: Relation, new_kind: str, arrive: Arrive, order: BuildOrder) -> None:
    """In a transaction in which `LockWait.within` holds: `arrive` makes `relation`, a `TABLE` or `VIEW`.

    Raises WarehouseError if anything would be lost; then the transaction has to be rolled back.
    """
    old = await _locked(raw, relation)
    if old is None:
        await arrive()
        await give_declared_grants(raw, quote_relation(relation), order.grants)
        return
    found = await obstacles(raw, [old.oid, *old.views])
    if old.oid in found:
        raise refused_for(relation, None, found[old.oid])
    kept = _kept_for(old, relation, found, order)
    while True:
        try:
            if not old.views:
                await _exchanged(raw, relation, new_kind, arrive, order, old, kept)
            else:
                async with raw.transaction():  # a savepoint
                    await _exchanged(raw, relation, new_kind, arrive, order, old, kept)
            break
        except UnmakableView as error:
            if not order.is_built_later(error.view.relation):
                raise cannot_be_made_again(error, relation) from error
            kept |= readers_of(error.view.oid, old.views.values())
    await _sweep(raw)


async def altered(raw: Any, relation: Relation, alter: Arrive) -> None:
    """In a transaction in which `LockWait.within` holds: `alter` changes types of a table's columns, which it could not
    while views read them; they are made again. Raises WarehouseError as `replaced` does."""
    old = await _locked(raw, relation)
    views = old.views if old is not None else {}
    found = await obstacles(raw, list(views)) if views else {}
    for oid, texts in found.items():
        raise refused_for(relation, views[oid].relation, texts)
    if views:
        await raw.execute(f"DROP VIEW {', '.join(view.name for view in views.values())}")
    await alter()
    try:
        for view in in_order(views.values()):
            assert old is not None
            await make_again(raw, view, old.attributes[view.oid])
    except UnmakableView as error:
        raise cannot_be_made_again(error, relation) from error


def _kept_for(old: _Old, relation: Relation, found: Mapping[int, list[str]], order: BuildOrder) -> frozenset[int]:
    """The views that cannot be dropped, if they are built later anyway, and those that read them."""
    kept: frozenset[int] = frozenset()
    for oid, texts in found.items():
        view = old.views[oid]
        if not order.is_built_later(view.relation):
            raise refused_for(relation, view.relation, texts)
        kept |= readers_of(oid, old.views.values())
    return kept


async def _locked(raw: Any, relation: Relation) -> _Old | None:
    for _ in range(_TRIES):
        state = await raw.fetchrow(_STATE, relation.schema, relation.name)
        if state is None:
            return None
        if state["kind"] not in _WORDS:
            raise WarehouseError(f"{relation} exists and is neither a table nor a view")
        views = await views_on(raw, state["oid"])
        refuse_views_of_others(views, relation)
        # To its owner it belongs already: the statement takes the lock and changes nothing. LOCK TABLE of a view would
        # lock all tables that it reads as well.
        places = [(view.name, view.owner) for view in views] + [(quote_relation(relation), state["owner"])]
        for name, owner in places:
            await raw.execute(f"ALTER TABLE IF EXISTS {name} OWNER TO {quote_identifier(owner)}")
        again = await raw.fetchrow(_STATE, relation.schema, relation.name)
        after = await views_on(raw, again["oid"]) if again is not None else ()
        if again == state and {view.oid for view in after} <= {view.oid for view in views}:
            attributes = await attributes_of(raw, [state["oid"], *(view.oid for view in after)])
            defined = await with_definitions(raw, after)
            return _Old(
                oid=state["oid"],
                word=_WORDS[state["kind"]],
                views={view.oid: view for view in defined},
                attributes=attributes,
            )
    raise WarehouseError(f"{relation} or the views that read it are changed by others again and again", transient=True)


async def _exchanged(
    raw: Any,
    relation: Relation,
    new_kind: str,
    arrive: Arrive,
    order: BuildOrder,
    old: _Old,
    kept: frozenset[int],
) -> None:
    name = quote_relation(relation)
    remade = [view for view in old.views.values() if view.oid not in kept]
    if remade:
        await raw.execute(f"DROP VIEW {', '.join(view.name for view in remade)}")
    if kept:
        await _put_aside(raw, relation, old)
    else:
        await raw.execute(f"DROP {old.word} {name}")
    await arrive()
    oid = await raw.fetchval("SELECT $1::text::regclass::oid", name)
    before = old.attributes[old.oid]
    await give_attributes(raw, NewRelation(name=name, kind=new_kind, oid=oid), before)
    if before.options and old.word == new_kind:
        await raw.execute(f"ALTER {new_kind} {name} SET ({options_text(before.options)})")
    await give_declared_grants(raw, name, order.grants)
    for view in in_order(remade):
        await make_again(raw, view, old.attributes[view.oid])
    await give_owner(raw, name, before)


async def _put_aside(raw: Any, relation: Relation, old: _Old) -> None:
    """Under a name of our own, and its indexes too: theirs may be wanted."""
    aside = Relation("", relation.schema, f"{KEPT_PREFIX}{old.oid}")
    comment = f"{KEPT_COMMENT}{relation.name}".replace("'", "''")
    statements = [
        f"ALTER {old.word} {quote_relation(relation)} RENAME TO {quote_identifier(aside.name)}",
        f"COMMENT ON {old.word} {quote_relation(aside)} IS '{comment}'",
    ]
    for oid, index in await raw.fetch(_INDEXES, old.oid):
        name = quote_relation(Relation("", relation.schema, index))
        statements.append(f"ALTER INDEX {name} RENAME TO {quote_identifier(f'{KEPT_PREFIX}{oid}')}")
    await raw.execute("; ".join(statements))


async def _sweep(raw: Any) -> None:
    """Drop kept relations that nothing reads any more; what is in use is left to the next build."""
    while found := await raw.fetch(_UNREAD):
        try:
            async with raw.transaction():
                await raw.execute("SET LOCAL lock_timeout = '100ms'")
                for row in found:
                    relation = Relation("", row["nspname"], row["relname"])
                    with translated():
                        await raw.execute(f"DROP {_WORDS[row['kind']]} {quote_relation(relation)}")
        except WarehouseError:
            return
