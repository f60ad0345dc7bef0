"""The load of one attempt of a loader: which table, what is in it already, and the rows on their way into it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread

from sqlbuild.authoring.declare import declaration_of
from sqlbuild.domain.graph import Graph, Node
from sqlbuild.domain.ids import NodeKind, Relation, node_id
from sqlbuild.domain.nodes import Loader, Source, WriteStrategy, kind_of_declaration
from sqlbuild.errors import UndeclaredDependency
from sqlbuild.interfaces.loading import Load, Loaded, Loading, LoadOrder, RowBatch, UpstreamFacts
from sqlbuild.interfaces.warehouse import PLAIN_BUILD, BuildOrder, CommitMarker, Connection
from sqlbuild.runner.staging import staging_name
from sqlbuild.sql.rendering import quote_identifier, quote_relation, render_source_expression

PART = "load"
CLEAN_UP_SECONDS = 5.0


class NodeLoad:
    """`sqlbuild.interfaces.loading.LoadSession`. `hold` gives the node's connection, `release` ends its use."""

    def __init__(
        self,
        node: Node,
        graph: Graph,
        loading: Loading,
        commits: Relation,
        *,
        run_id: str,
        attempt: int,
        hold: Callable[[], Awaitable[Connection]],
        release: Callable[[], Awaitable[None]],
        dry_run: bool = False,
        how: BuildOrder = PLAIN_BUILD,
    ) -> None:
        assert isinstance(node.declaration, Loader)
        assert node.relation is not None
        self._node = node
        self._relation = node.relation
        self._graph = graph
        self._loading = loading
        self._commits = commits
        self._run_id = run_id
        self._attempt = attempt
        self._hold = hold
        self._release = release
        self._dry_run = dry_run
        self._how = how
        self._rows_not_loaded = 0
        self._load: Load | None = None
        self.cursor_value: Any = None

    @property
    def destination(self) -> str:
        return quote_relation(self._relation)

    @property
    def is_open(self) -> bool:
        """Whether rows are staged that were neither applied nor discarded."""
        return self._load is not None

    def upstream(self, upstream: Callable[..., object] | str) -> UpstreamFacts:
        if isinstance(upstream, str):
            kind, name, written = NodeKind.SOURCE, upstream, f'source("{upstream}")'
        else:
            declaration = declaration_of(upstream)
            written = getattr(upstream, "__name__", repr(upstream))
            if declaration is None or not isinstance(declaration, Loader):
                raise UndeclaredDependency(
                    f"{written} is not a loader", help="give the decorated function, or use ctx.source(name)"
                )
            kind, name = kind_of_declaration(declaration), declaration.declared.name
        found = node_id(kind, name)
        if found not in self._node.depends_on:
            raise UndeclaredDependency(
                f"{self._node.name} reads the {kind} {name} without depending on it",
                help=f"add {written} to its depends_on",
            )
        node = self._graph.nodes[found]
        declared = node.declaration
        cursor = declared.cursor_column if isinstance(declared, Loader) else None
        if isinstance(declared, Source) and declared.load is not None:
            cursor = declared.load.cursor_column
        if isinstance(declared, Source) and node.sql is not None:
            return UpstreamFacts(render_source_expression(node.sql), cursor)
        assert node.relation is not None
        return UpstreamFacts(quote_relation(node.relation), cursor, node.relation)

    async def highest(self, upstream: UpstreamFacts, column: str) -> Any:
        return await self._with_connection(self._highest, upstream, column)

    async def _highest(self, connection: Connection, upstream: UpstreamFacts, column: str) -> Any:
        if upstream.relation is not None:
            return await self._loading.highest(connection, upstream.relation, column)
        result = await connection.query(f"SELECT max({quote_identifier(column)}) FROM {upstream.destination}")
        return (await result.fetch())[0][0]

    async def start(self) -> None:
        cursor = self._order.cursor_column
        if cursor is not None:
            self.cursor_value = await self._with_connection(self._loading.highest, self._relation, cursor)

    async def stage(self, batch: RowBatch) -> None:
        if self._dry_run:
            # Whatever no column can hold is an error then too.
            await anyio.to_thread.run_sync(len, batch.columns)
            self._rows_not_loaded += batch.rows
            return
        if self._load is None:
            self._load = self._loading.begin(self._order)
        await self._with_connection(self._load.add, batch)

    async def apply(self) -> Loaded:
        if self._dry_run:
            return Loaded(rows=self._rows_not_loaded, has_table=True)
        load = self._load or self._loading.begin(self._order)
        self._load = load
        commit = CommitMarker(
            relation=self._commits, run_id=self._run_id, node=self._node.id, part=PART, attempt=self._attempt
        )
        loaded: Loaded = await self._with_connection(load.apply, commit)
        self._load = None
        return loaded

    async def has_table(self) -> bool:
        if self._dry_run:
            return True  # it would be there
        return bool(await self._with_connection(self._loading.has_relation, self._relation))

    async def discard(self, connection: Connection) -> None:
        """Remove what was staged and not applied; gives up after a while, for the next load replaces it."""
        load, self._load = self._load, None
        if load is not None:
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                await load.discard(connection)

    @property
    def _order(self) -> LoadOrder:
        declared = self._node.declaration
        assert isinstance(declared, Loader)
        return LoadOrder(
            relation=self._relation,
            staging=staging_name(self._run_id, self._relation.name),
            strategy=declared.write_strategy or WriteStrategy.TABLE,
            cursor_column=declared.cursor_column,
            unique_key=declared.unique_key,
            columns=declared.columns,
            enforced=declared.contract == "enforced",
            how=self._how,
        )

    async def _with_connection(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        connection = await self._hold()
        try:
            return await function(connection, *args)
        finally:
            await self._release()
