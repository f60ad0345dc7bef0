from __future__ import annotations

from typing import Any

import pytest

from sqlbuild.assets import asset
from sqlbuild.compiler.fingerprints import fingerprint_of, with_data_versions
from sqlbuild.compiler.node_columns import NodeColumns
from sqlbuild.domain.columns import Column
from sqlbuild.domain.csv_settings import CsvSettings
from sqlbuild.domain.graph import Fingerprint
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.incremental import Incremental
from sqlbuild.domain.nodes import Materialization
from sqlbuild.domain.project import CodeFacts
from sqlbuild.domain.relation_options import Index
from sqlbuild.retries import RetryPolicy
from sqlbuild.tasks import task


def of_model(make: Any, sql: str = "SELECT 1 AS one", **fields: Any) -> Fingerprint:
    fingerprint = make.graph(make.project(make.model("m", sql, **fields))).nodes["model:m"].fingerprint
    assert isinstance(fingerprint, Fingerprint)
    return fingerprint


def changed(before: Fingerprint, after: Fingerprint) -> tuple[str, ...]:
    return after.changed_parts(before.stored())


@pytest.mark.parametrize(
    "sql", ["select 1 as one", "SELECT  1\n AS one", "SELECT 1 /* a */ AS one -- b", "SELECT 1 AS one;"]
)
def test_how_sql_is_written_does_not_count(make: Any, sql: str) -> None:
    assert of_model(make, sql) == of_model(make)


@pytest.mark.parametrize("sql", ["SELECT 2 AS one", "SELECT 1 AS ONE", "SELECT '1' AS one", 'SELECT 1 AS "one"'])
def test_what_sql_says_counts(make: Any, sql: str) -> None:
    assert changed(of_model(make), of_model(make, sql)) == ("code",)


@pytest.mark.parametrize(
    "fields",
    [
        {"materialized": Materialization.TABLE},
        {"alias": "other"},
        {"schema": "other"},
        {"timeout": 5.0},
        {"retry": RetryPolicy(max_attempts=2)},
        {"columns": (Column(name="one", type="BIGINT"),)},
        {"meta": {"version": 2}},
        {"indexes": (Index(columns=("one",)),), "materialized": Materialization.TABLE},
        {"grants": {"select": ("reader",)}},
    ],
)
def test_settings_of_a_model_count(make: Any, fields: dict[str, Any]) -> None:
    assert changed(of_model(make), of_model(make, **fields)) == ("settings",)


def test_descriptions_tags_groups_and_other_meta_do_not_count(make: Any) -> None:
    described = of_model(make, description="facts", tags=("a",), group="b", meta={"owner": "c"})
    assert described == of_model(make)


def test_a_change_reaches_everything_downstream(make: Any) -> None:
    def last(value: int) -> Fingerprint:
        @task
        def unrelated() -> None: ...

        project = make.project(
            unrelated,
            make.model("a", f"SELECT {value} AS x"),
            make.model("b", 'SELECT * FROM __ref("a")'),
            make.model("c", 'SELECT * FROM __ref("b")'),
        )
        fingerprint = make.graph(project).nodes["model:c"].fingerprint
        assert isinstance(fingerprint, Fingerprint)
        return fingerprint

    assert changed(last(1), last(2)) == ("upstream",)
    assert last(1) == last(1)


def test_code_and_values_of_a_python_node_count(make: Any) -> None:
    @task
    def fetch() -> None: ...

    def with_facts(facts: CodeFacts) -> Fingerprint:
        fingerprint = make.graph(make.project(fetch, code={"task:fetch": facts})).nodes["task:fetch"].fingerprint
        assert isinstance(fingerprint, Fingerprint)
        return fingerprint

    before = with_facts(CodeFacts(source_digest="1", values={"a": "1", "b": "2"}))
    assert with_facts(CodeFacts(source_digest="1", values={"b": "2", "a": "1"}, not_tracked=("x",))) == before
    assert changed(before, with_facts(CodeFacts(source_digest="2", values={"a": "1", "b": "2"}))) == ("code",)
    assert changed(before, with_facts(CodeFacts(source_digest="1", values={"a": "1", "b": "3"}))) == ("code",)


def test_settings_of_a_python_node_count(make: Any) -> None:
    def declare(**options: Any) -> Fingerprint:
        @asset(**options)
        def export() -> None: ...

        fingerprint = make.graph(make.project(export)).nodes["asset:export"].fingerprint
        assert isinstance(fingerprint, Fingerprint)
        return fingerprint

    assert changed(declare(), declare(requires="all")) == ("settings",)
    assert changed(declare(), declare(retry=RetryPolicy())) == ("settings",)
    assert changed(declare(), declare(columns=[{"name": "x"}])) == ("settings",)
    assert changed(declare(), declare(meta={"version": 1})) == ("settings",)
    assert declare(tags=["a"], description="b") == declare()


def test_a_source_changes_with_what_it_reads(make: Any) -> None:
    def of_source(**fields: Any) -> Fingerprint:
        fingerprint = make.graph(make.project(make.source("raw", **fields))).nodes["source:raw"].fingerprint
        assert isinstance(fingerprint, Fingerprint)
        return fingerprint

    assert changed(of_source(), of_source(table="other")) == ("code",)
    assert changed(of_source(), of_source(expression="SELECT 1 AS a")) == ("code",)
    assert of_source(expression="select 1 as a") == of_source(expression="SELECT 1 AS a")
    assert changed(of_source(), of_source(columns=(Column(name="a", type="INTEGER"),))) == ("settings",)


def test_two_nodes_that_are_alike_differ(make: Any) -> None:
    graph = make.graph(make.project(make.model("a"), make.model("b")))
    assert graph.nodes["model:a"].fingerprint.total != graph.nodes["model:b"].fingerprint.total


def test_the_file_of_a_seed_and_how_it_is_read_count(make: Any) -> None:
    def of_seed(**fields: Any) -> Fingerprint:
        fingerprint = make.graph(make.project(make.seed("s", **fields))).nodes["seed:s"].fingerprint
        assert isinstance(fingerprint, Fingerprint)
        return fingerprint

    before = of_seed()
    assert changed(before, of_seed(content_digest="0b")) == ("code",)
    assert changed(before, of_seed(csv=CsvSettings(delimiter=";"))) == ("settings",)
    assert changed(before, of_seed(columns=(Column(name="code", type="TEXT"),))) == ("settings",)
    assert changed(before, of_seed(schema="lookups")) == ("settings",)
    assert changed(before, of_seed(description="Codes", tags=("a",), csv_path="seeds/moved/s.csv")) == ()


def test_new_data_of_a_source_is_a_change_upstream_of_all_that_reads_it(make: Any) -> None:
    raw, other = make.source("raw"), make.source("other")
    stg = make.model("stg", 'SELECT * FROM __source("raw")')
    mart = make.model("mart", 'SELECT * FROM __ref("stg")')
    beside = make.model("beside", 'SELECT * FROM __source("other")')
    graph = make.graph(make.project(raw, other, stg, mart, beside))
    seen = with_data_versions(graph, {"source:raw": "7"})
    again = with_data_versions(seen, {"source:raw": "7"})
    later = with_data_versions(seen, {"source:raw": "8"})
    for node in ("model:stg", "model:mart"):
        before = graph.nodes[node].fingerprint
        assert seen.nodes[node].fingerprint.changed_parts(before.stored()) == ("upstream",)
        assert again.nodes[node].fingerprint == seen.nodes[node].fingerprint
        assert later.nodes[node].fingerprint.changed_parts(seen.nodes[node].fingerprint.stored()) == ("upstream",)
    assert seen.nodes["model:beside"] is graph.nodes["model:beside"]
    assert with_data_versions(graph, {}) is graph


def test_a_changed_function_is_a_change_of_the_code_of_incremental_models_that_call_it(make):
    called = Fingerprint(code="c", settings="s", upstream="u", total="one")
    other = Fingerprint(code="c", settings="s", upstream="u", total="other")
    plain = make.model("plain")
    grown = make.model("grown", materialized=Materialization.INCREMENTAL, incremental=Incremental())
    for model, parts in ((plain, ("upstream",)), (grown, ("code", "upstream"))):
        before, after = (
            fingerprint_of(NodeId("model:m"), model, NodeColumns(code="c"), None, [each], functions=[each])
            for each in (called, other)
        )
        assert changed(before, after) == parts
