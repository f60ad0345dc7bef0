from __future__ import annotations

from typing import Any

import pytest

from sqlbuild.assets import asset
from sqlbuild.domain.columns import Column
from sqlbuild.refs import model
from sqlbuild.tasks import task


def test_a_name_is_unique_over_all_kinds(make: Any) -> None:
    @task
    def orders() -> None: ...

    (problem,) = make.problems(make.project(make.model("orders"), orders))
    assert (problem.code, problem.path, problem.line) == ("DUPLICATE_NAME", "tasks/jobs.py", 2)
    assert problem.message == 'the task "orders" has the name of the model at models/orders.sql:1:1'


def test_two_models_with_one_name_are_told_with_both_files(make: Any) -> None:
    (problem,) = make.problems(make.project(make.model("a"), make.model("a", alias="b")))
    assert problem.code == "DUPLICATE_NAME"
    assert "models/a.sql" in problem.message


@pytest.mark.parametrize("name", ["Orders", "1_orders", "or-ders", "örders", "or ders", 'or"ders', "orders; --"])
def test_names_are_lowercase_snake_case(make: Any, name: str) -> None:
    (problem,) = make.problems(make.project(make.model(name)))
    assert problem.code == "BAD_NAME"
    assert name in problem.message


def test_a_name_of_64_characters_is_too_long(make: Any) -> None:
    assert make.problems(make.project(make.model("a" * 63))) == ()
    (problem,) = make.problems(make.project(make.model("a" * 64)))
    assert problem.code == "BAD_NAME"


def test_a_pool_must_be_in_the_settings(make: Any) -> None:
    @task(pool="crm_apy")
    def push() -> None: ...

    project = make.project(push, make.model("m", pools=("nothing_near",)), settings=make.settings(pools=["crm_api"]))
    first, second = make.problems(project)
    assert (first.code, first.help) == ("UNKNOWN_POOL", "add [pools.nothing_near] to sqlbuild_project.toml")
    assert second.help == 'did you mean "crm_api"?'


def test_two_models_cannot_build_one_relation(make: Any) -> None:
    (problem,) = make.problems(make.project(make.model("a"), make.model("b", alias="A")))
    assert problem.code == "DUPLICATE_RELATION"
    assert problem.message == "b builds dev.A, as a at models/a.sql:1:1 does"


def test_a_model_cannot_replace_what_a_source_reads(make: Any) -> None:
    project = make.project(make.model("orders"), make.source("raw_orders", table="Orders"))
    (problem,) = make.problems(project)
    assert problem.code == "DUPLICATE_RELATION"
    assert problem.path == "sources/raw.yml"


def test_a_model_cannot_replace_the_engines_own_tables(make: Any) -> None:
    (problem,) = make.problems(make.project(make.model("m", alias="_sqlbuild_runs")))
    assert problem.code == "DUPLICATE_RELATION"


def test_a_cycle_is_shown_as_a_chain_at_the_first_reference(make: Any) -> None:
    a = make.model("a", '\nSELECT * FROM __ref("b")')
    (problem,) = make.problems(make.project(a, make.model("b", 'SELECT * FROM __ref("a")')))
    assert (problem.code, problem.path, problem.line, problem.column) == ("CYCLE", "models/a.sql", 6, 15)
    assert problem.message == "2 nodes depend on each other: a -> b -> a"


def test_a_model_that_reads_itself_is_a_cycle(make: Any) -> None:
    (problem,) = make.problems(make.project(make.model("a", 'SELECT * FROM __ref("a")')))
    assert problem.message == "a depends on itself: a -> a"


def test_a_cycle_of_ten_thousand_nodes_has_a_short_message(make: Any) -> None:
    size = 10_000
    models = [make.model(f"m{n}", f'SELECT * FROM __ref("m{(n + 1) % size}")', sql_analysis=False) for n in range(size)]
    (problem,) = make.problems(make.project(*models))
    assert problem.message == (
        "10000 nodes depend on each other: m0 -> m1 -> m2 -> m3 -> (9993 more) -> m9997 -> m9998 -> m9999 -> m0"
    )


@pytest.mark.parametrize(
    "text", ["INTEGER", "DECIMAL(10, 2)", "STRUCT(a INT, b VARCHAR[])", "ENUM('a;', 'b)')", "timestamp with time zone"]
)
def test_a_declared_type_may_be_any_type(make: Any, text: str) -> None:
    project = make.project(make.model("m", columns=(Column(name="one", type=text),)))
    assert make.problems(project) == ()


@pytest.mark.parametrize("text", ["INT) AS x, (1", "INT; DROP TABLE x", "INT -- no", "INT /* no */", " ", "INT)("])
def test_a_declared_type_can_be_nothing_else(make: Any, text: str) -> None:
    project = make.project(make.model("m", columns=(Column(name="one", type=text),)))
    assert [problem.code for problem in make.problems(project)] == ["BAD_TYPE"]


LINEAGE = {"total": [{"node": "orders", "column": "total_cents"}]}


def test_the_lineage_of_an_asset_may_name_any_node(make: Any) -> None:
    @asset(columns=[{"name": "total"}], column_lineage=LINEAGE, depends_on=model("orders"))
    def export() -> None: ...

    graph = make.graph(make.project(export, make.model("orders", "SELECT 1 AS Total_Cents")))
    ((column, (origin,)),) = graph.nodes["asset:export"].column_lineage.items()
    assert (column, origin.node, origin.column) == ("total", "model:orders", "total_cents")


def test_the_lineage_of_an_asset_names_existing_nodes(make: Any) -> None:
    @asset(columns=[{"name": "total"}], column_lineage=LINEAGE)
    def export() -> None: ...

    (problem,) = make.problems(make.project(export, make.model("order")))
    assert (problem.code, problem.help) == ("UNKNOWN_NODE", 'did you mean "order"?')


def test_the_lineage_of_an_asset_names_existing_columns(make: Any) -> None:
    @asset(columns=[{"name": "total"}], column_lineage=LINEAGE)
    def export() -> None: ...

    (problem,) = make.problems(make.project(export, make.model("orders", "SELECT 1 AS total_cent")))
    assert (problem.code, problem.help) == ("UNKNOWN_COLUMN", 'did you mean "total_cent"?')
    assert "orders.total_cents" in problem.message


def test_the_lineage_to_columns_that_are_not_known_is_accepted(make: Any) -> None:
    @asset(columns=[{"name": "total"}], column_lineage=LINEAGE)
    def export() -> None: ...

    assert make.problems(make.project(export, make.model("orders", "SELECT * FROM read_csv('x.csv')"))) == ()


def test_the_lineage_of_an_asset_is_of_its_declared_columns(make: Any) -> None:
    @asset(columns=[{"name": "totals"}], column_lineage=LINEAGE)
    def export() -> None: ...

    (problem,) = make.problems(make.project(export, make.model("orders", "SELECT 1 AS total_cents")))
    assert (problem.code, problem.help) == ("UNKNOWN_COLUMN", 'did you mean "totals"?')


def test_an_asset_can_name_the_columns_of_another_asset(make: Any) -> None:
    @asset(columns=[{"name": "a"}])
    def first() -> None: ...

    @asset(columns=[{"name": "b"}], column_lineage={"b": [{"node": "first", "column": "c"}]}, depends_on=first)
    def second() -> None: ...

    (problem,) = make.problems(make.project(first, second))
    assert problem.help == "first has a"


def test_a_seed_has_its_table_for_itself(make: Any) -> None:
    (problem,) = make.problems(make.project(make.seed("s"), make.model("m", alias="s")))
    assert problem.code == "DUPLICATE_RELATION"
    (problem,) = make.problems(make.project(make.seed("s"), make.source("raw", table="s")))
    assert problem.message == "the source raw is the table dev.s, which the seed s replaces"
    assert problem.help.startswith('read the seed with __seed("s")')


def test_pools_and_types_of_a_seed_are_checked(make: Any) -> None:
    seed = make.seed("s", columns=(Column(name="a", type="INT; DROP"),), pools=("loads",))
    assert [problem.code for problem in make.problems(make.project(seed))] == ["BAD_TYPE", "UNKNOWN_POOL"]
