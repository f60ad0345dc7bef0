"""A table or view takes the place of what is called so, in one transaction: readers see the old one or the new one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.record import record
from sqlbuild.domain.relation_options import Index, index_names
from sqlbuild.drivers.postgres import PostgresConnection
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.drivers.postgres_results import columns_of
from sqlbuild.errors import WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.warehouse import BuildOrder, CommitMarker, Connection
from sqlbuild.sql.rendering import in_brackets, quote_identifier, quote_relation, render_columns
from sqlbuild.warehouses.postgres_attributes import attributes_of, give_declared_grants, options_text
from sqlbuild.warehouses.postgres_commits import MarkedTransaction
from sqlbuild.warehouses.postgres_lock_waits import LockWait, sqlstate_of, watched
from sqlbuild.warehouses.postgres_replacing import replaced

_OTHER_COLUMNS = "42P16"
"""CREATE OR REPLACE VIEW would have to drop, rename or retype a column."""
_WRONG_KIND = "42809"
_VIEW = """
SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'v'
"""


@record(frozen=True, slots=True, kw_only=True)
class Swapping:
    """How one warehouse swaps: who looks at lock holders, and for how many seconds a lock is waited for."""

    connect: Callable[[], Connection]
    lock_seconds: float


async def swapped_table(
    connection: PostgresConnection,
    relation: Relation,
    sql: str,
    commit: CommitMarker | None,
    order: BuildOrder,
    how: Swapping,
) -> None:
    """Build a table of the query's rows and put it in the place of whatever is called `relation`."""
    staging = Relation(relation.database, relation.schema, staging_name(relation.name))
    wait = LockWait(relation, how.lock_seconds)
    transaction = MarkedTransaction()

    async def swap(raw: Any) -> None:
        async with raw.transaction():
            await wait.alone(raw)
            await make_table(raw, staging, sql, order)
            failpoint("model.staged")
            async with wait.within(raw):
                await put_in_place(raw, staging, relation, order)
            # One transaction writes to one database.
            if commit is not None and relation.database.lower() == commit.relation.database.lower():
                await transaction.mark(raw, commit)
            failpoint("warehouse.committing")
        transaction.committed()
        failpoint("model.swapped")

    await transaction.finish(lambda: watched(wait, how.connect, order.tell, lambda: transaction.run(connection, swap)))


async def make_table(raw: Any, staging: Relation, sql: str, order: BuildOrder) -> None:
    """In a transaction: the table `staging` of the query's rows, with its indexes under names of their own."""
    create = f"CREATE TABLE {quote_relation(staging)} AS {await typed(raw, sql, order.types)}"
    with translated(sql, create):
        await raw.execute(create)
    await _make_indexes(raw, staging, order.indexes)
    await raw.execute(f"ANALYZE {quote_relation(staging)}")


async def typed(raw: Any, sql: str, types: Mapping[str, str]) -> str:
    """The query with columns cast to declared types; its line numbers stay as they are."""
    if not types:
        return sql
    with translated(sql):
        names = await columns_of(raw, sql, ())
    missing = [name for name in types if name not in names]
    if missing:
        raise WarehouseError(
            f"the header declares the column {missing[0]}, which the query does not give",
            help=f"the query gives {', '.join(names)}; what is not quoted in SQL is in lower case",
            sql=sql,
        )
    if len(set(names)) < len(names):
        return sql  # The server says which column is there twice.
    columns = [Column(name=name, type=types.get(name)) for name in names]
    return render_columns(f'{in_brackets(sql)} AS "_"', columns)


async def put_in_place(raw: Any, staging: Relation, relation: Relation, order: BuildOrder) -> None:
    """In a transaction in which `LockWait.within` holds: the table `staging` becomes `relation`, whatever that is now."""

    async def arrive() -> None:
        await raw.execute(f"ALTER TABLE {quote_relation(staging)} RENAME TO {quote_identifier(relation.name)}")
        await _name_indexes(raw, staging, relation, order.indexes)

    await replaced(raw, relation, "TABLE", arrive, order)


async def swapped_view(
    connection: PostgresConnection,
    relation: Relation,
    sql: str,
    order: BuildOrder,
    how: Swapping,
    *,
    staging: Relation | None = None,
) -> None:
    """Put a view in the place of whatever is called `relation`; the view `staging` is dropped in the same transaction."""
    wait = LockWait(relation, how.lock_seconds)
    create = f"CREATE VIEW {quote_relation(relation)} AS {sql}"

    async def swap(raw: Any) -> None:
        async def arrive() -> None:
            await raw.execute("SELECT set_config('search_path', $1, true)", wait.search_path)
            with translated(sql, create):
                await raw.execute(create)
            await raw.execute("SELECT set_config('search_path', '', true)")

        async with raw.transaction():
            await wait.alone(raw)
            async with wait.within(raw):
                if not await _replaced_in_place(raw, relation, sql, order, wait.search_path):
                    await replaced(raw, relation, "VIEW", arrive, order)
            if staging is not None:
                await raw.execute(f"DROP VIEW {quote_relation(staging)}")
        failpoint("model.swapped")

    await watched(wait, how.connect, order.tell, lambda: connection.run(swap))


async def _replaced_in_place(raw: Any, relation: Relation, sql: str, order: BuildOrder, search_path: str) -> bool:
    """Whether a view could get another query, and stay the view that it was with all that depends on it."""
    oid = await raw.fetchval(_VIEW, relation.schema, relation.name)
    if oid is None:
        return False
    before = (await attributes_of(raw, [oid]))[oid]
    name = quote_relation(relation)
    options = f" WITH ({options_text(before.options)})" if before.options else ""
    create = f"CREATE OR REPLACE VIEW {name}{options} AS {sql}"
    try:
        async with raw.transaction():  # a savepoint
            await raw.execute("SELECT set_config('search_path', $1, true)", search_path)
            with translated(sql, create):
                await raw.execute(create)
            await raw.execute("SELECT set_config('search_path', '', true)")
    except WarehouseError as error:
        if sqlstate_of(error) in (_OTHER_COLUMNS, _WRONG_KIND):
            return False
        raise
    await give_declared_grants(raw, name, order.grants, before.declared)
    return True


async def _make_indexes(raw: Any, staging: Relation, indexes: Sequence[Index]) -> None:
    for number, index in enumerate(indexes):
        name = quote_identifier(_staged_index(staging.name, number))
        statement = _create_index(name, quote_relation(staging), index)
        try:
            with translated(statement):
                await raw.execute(statement)
        except WarehouseError as error:
            shown = f"index {number + 1} of the model ({', '.join(index.columns)})"
            raise WarehouseError(
                f"{shown}: {error.args[0]}", help=error.help, sql=statement, transient=error.transient
            ) from error


def _create_index(name: str, table: str, index: Index) -> str:
    using = f" USING {quote_identifier(index.using)}" if index.using is not None else ""
    include = f" INCLUDE ({', '.join(index.include)})" if index.include else ""
    where = f" WHERE {index.where}" if index.where is not None else ""
    return (
        f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {name} ON {table}{using} ({', '.join(index.columns)})"
        f"{include}{where}"
    )


async def _name_indexes(raw: Any, staging: Relation, relation: Relation, indexes: Sequence[Index]) -> None:
    """By their own names, which until now the indexes of the old table may have had."""
    statements = [
        f"ALTER INDEX {quote_relation(Relation('', relation.schema, _staged_index(staging.name, number)))} "
        f"RENAME TO {quote_identifier(name)}"
        for number, name in enumerate(index_names(relation.name, indexes))
    ]
    if statements:
        await raw.execute("; ".join(statements))


def staging_name(name: str) -> str:
    """Not longer than PostgreSQL's 63 bytes, whatever the name."""
    return f"_sqlbuild_new_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _staged_index(staging: str, number: int) -> str:
    return f"{staging_name(staging)}_{number}"
