from __future__ import annotations

from typing import Any

import pytest

from sqlbuild.assets import asset
from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.nodes import LoadSettings, WriteStrategy
from sqlbuild.loaders import loader
from sqlbuild.refs import model, source
from sqlbuild.tasks import task

MANAGED = LoadSettings()


@loader
def orders(ctx: Any) -> None: ...


def test_a_managed_source_depends_on_the_loader_of_its_name(make: Any) -> None:
    graph = make.graph(
        make.project(make.source("orders", load=MANAGED), orders, make.model("m", 'SELECT * FROM __source("orders")'))
    )
    assert graph.nodes["source:orders"].depends_on == ("loader:orders",)
    assert graph.nodes["model:m"].depends_on == ("source:orders",)
    assert graph.nodes["loader:orders"].relation == Relation("", "dev", "orders")
    assert graph.nodes["model:m"].sql == 'SELECT * FROM "dev"."orders"'


def test_a_managed_source_without_a_loader_is_an_error(make: Any) -> None:
    (problem,) = make.problems(
        make.project(make.source("order", load=MANAGED), make.source("orders", load=MANAGED), orders)
    )
    assert (problem.code, problem.path, problem.line) == ("NO_LOADER", "sources/raw.yml", 2)
    assert problem.message == 'the managed source "order" has no loader of its name'
    assert 'did you mean "orders"?' in problem.help


def test_a_loader_that_fills_nothing_anybody_reads_is_an_error(make: Any) -> None:
    (problem,) = make.problems(make.project(orders))
    assert problem.code == "NO_SOURCE"
    assert 'the loader "orders" fills no source' in problem.message
    assert "`managed: true`" in problem.help


def test_a_loader_that_another_one_reads_has_a_table_of_its_own(make: Any) -> None:
    @loader
    def accounts(ctx: Any) -> None: ...

    @loader(destination='staging."Shared Accounts"')
    def shared(ctx: Any) -> None: ...

    @loader(name="orders", depends_on=[accounts, shared])
    def reads(ctx: Any) -> None: ...

    graph = make.graph(make.project(accounts, shared, reads, make.source("orders", load=MANAGED)))
    assert graph.nodes["loader:accounts"].relation == Relation("", "dev", "__loader__accounts")
    assert graph.nodes["loader:shared"].relation == Relation("", "staging", "Shared Accounts")


def test_a_source_of_the_loaders_name_that_is_not_managed_is_an_error(make: Any) -> None:
    (problem,) = make.problems(make.project(make.source("orders"), orders))
    assert problem.code == "DUPLICATE_NAME"
    assert "add `managed: true` to the source" in problem.help


def test_what_the_yaml_says_wins_over_the_decorator(make: Any) -> None:
    @loader(
        name="orders",
        write_strategy="append",
        cursor_column="seen_at",
        unique_key="old",
        destination="lake.raw.orders",
        contract="none",
        columns=[{"name": "old", "type": "INTEGER"}],
    )
    def declared(ctx: Any) -> None: ...

    written = LoadSettings(write_strategy=WriteStrategy.MERGE, unique_key=("id",), contract="enforced", batch_rows=7)
    columns = (Column(name="id", type="BIGINT"), Column(name="seen_at", type="DATE"))
    graph = make.graph(make.project(make.source("orders", load=written, columns=columns), declared))
    merged = graph.nodes["loader:orders"].declaration
    assert (merged.write_strategy, merged.cursor_column, merged.unique_key) == ("merge", "seen_at", ("id",))
    assert (merged.contract, merged.columns, merged.batch_rows) == ("enforced", columns, 7)
    # Where the YAML names no table, the decorator's destination is the source's too.
    for node in ("loader:orders", "source:orders"):
        assert graph.nodes[node].relation == Relation("lake", "raw", "orders")


def test_a_table_that_the_yaml_names_wins_over_the_destination(make: Any) -> None:
    @loader(name="orders", destination="lake.raw.orders")
    def declared(ctx: Any) -> None: ...

    graph = make.graph(make.project(make.source("orders", load=MANAGED, schema="landing", table="t"), declared))
    assert graph.nodes["loader:orders"].relation == Relation("", "landing", "t")


def test_columns_of_a_managed_source_are_cast_by_its_loader_and_not_when_it_is_read(make: Any) -> None:
    columns = (Column(name="id", type="INTEGER"),)
    query = make.model("m", 'SELECT id FROM __source("orders")')
    graph = make.graph(make.project(make.source("orders", load=MANAGED, columns=columns), orders, query))
    assert graph.nodes["model:m"].sql == 'SELECT id FROM "dev"."orders"'
    assert graph.nodes["model:m"].columns == columns


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"write_strategy": "merge"}, "write_strategy merge needs unique_key"),
        ({"write_strategy": "delete_insert"}, "write_strategy delete_insert needs cursor_column"),
        ({"write_strategy": "table", "unique_key": "id"}, "write_strategy table replaces all rows and has no unique_key"),
        ({"write_strategy": "table", "cursor_column": "at"}, "write_strategy table replaces all rows and has no cursor_column"),
        ({"write_strategy": "append", "unique_key": "id"}, "write_strategy append has no unique_key"),
        ({"write_strategy": "delete_insert", "cursor_column": "at", "unique_key": "id"}, "write_strategy delete_insert has no unique_key"),
        ({"cursor_column": "at"}, "cursor_column without a write_strategy"),
        ({"unique_key": ["id"]}, "unique_key without a write_strategy"),
        ({"contract": "enforced"}, 'contract "enforced" needs columns'),
        ({"contract": "enforced", "columns": [{"name": "id"}], "write_strategy": "merge", "unique_key": "key"}, "key is not among the declared columns, which are enforced"),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together_are_errors(make: Any, options: dict[str, Any], message: str) -> None:
    @loader(name="orders", **options)
    def declared(ctx: Any) -> None: ...

    (problem,) = make.problems(make.project(make.source("orders", load=MANAGED), declared))
    assert (problem.code, problem.message) == ("LOADER", f"orders: {message}")
    assert problem.help


def test_a_loader_never_reads_a_model_however_far_up(make: Any) -> None:
    @task(depends_on=model("m"))
    def reads_m(ctx: Any) -> None: ...

    @task(depends_on=reads_m)
    def between(ctx: Any) -> None: ...

    @loader(name="orders", depends_on=between)
    def far(ctx: Any) -> None: ...

    @loader(name="events", depends_on=model("m"))
    def near(ctx: Any) -> None: ...

    sources = [make.source(name, load=MANAGED) for name in ("orders", "events")]
    first, second = make.problems(make.project(make.model("m"), *sources, reads_m, between, far, near))
    assert {first.code, second.code} == {"SQL_BOUNDARY"}
    assert first.message == "the loader orders depends on the model m through between, reads_m"
    assert second.message == "the loader events depends on the model m"


def test_a_loader_depends_on_no_asset(make: Any) -> None:
    @asset
    def export(ctx: Any) -> None: ...

    @loader(name="orders", depends_on=export)
    def reads(ctx: Any) -> None: ...

    (problem,) = make.problems(make.project(make.source("orders", load=MANAGED), export, reads))
    assert (problem.code, problem.message) == (
        "SQL_BOUNDARY",
        "the loader orders depends on export, which is an asset",
    )


def test_a_loader_may_read_tasks_loaders_and_sources(make: Any) -> None:
    @asset
    def export(ctx: Any) -> None: ...

    @task(depends_on=export)
    def token(ctx: Any) -> None: ...

    @loader(name="events", depends_on=[token, orders, source("plain"), source("orders")])
    def reads(ctx: Any) -> None: ...

    project = make.project(
        make.source("plain"),
        make.source("orders", load=MANAGED),
        make.source("events", load=MANAGED),
        export,
        token,
        orders,
        reads,
    )
    assert make.graph(project).nodes["loader:events"].depends_on == (
        "task:token",
        "loader:orders",
        "source:plain",
        "source:orders",
    )


def test_a_loader_that_reads_its_own_source_is_a_cycle(make: Any) -> None:
    @loader(name="orders", depends_on=source("orders"))
    def reads(ctx: Any) -> None: ...

    (problem,) = make.problems(make.project(make.source("orders", load=MANAGED), reads))
    assert problem.code == "CYCLE"


def test_two_loaders_of_one_table_are_an_error(make: Any) -> None:
    @loader(name="events")
    def other(ctx: Any) -> None: ...

    sources = [make.source(name, load=MANAGED, table="T" if name == "orders" else "t") for name in ("orders", "events")]
    (problem,) = make.problems(make.project(*sources, orders, other))
    assert (problem.code, problem.message) == ("DUPLICATE_RELATION", "the loader events fills dev.t, as orders does")


def test_a_model_does_not_replace_what_a_loader_fills(make: Any) -> None:
    (problem,) = make.problems(
        make.project(make.source("orders", load=MANAGED), orders, make.model("m", alias="orders"))
    )
    assert problem.code == "DUPLICATE_RELATION"


def test_sql_reads_a_loader_through_its_source_only(make: Any) -> None:
    query = make.model("m", 'SELECT * FROM __ref("orders")')
    (problem,) = make.problems(make.project(make.source("orders", load=MANAGED), orders, query))
    assert '__source("orders")' in problem.help


def test_a_loaders_settings_are_part_of_its_fingerprint(make: Any) -> None:
    before, after = (
        make.graph(make.project(make.source("orders", load=load), orders)).nodes["loader:orders"].fingerprint
        for load in (MANAGED, LoadSettings(write_strategy=WriteStrategy.APPEND))
    )
    assert after.changed_parts(before.stored()) == ("settings",)
