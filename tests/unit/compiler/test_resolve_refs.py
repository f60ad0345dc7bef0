from __future__ import annotations

from typing import Any

from sqlbuild.assets import asset
from sqlbuild.compiler.resolve_refs import resolve_refs
from sqlbuild.domain.project import Project
from sqlbuild.errors import Problem
from sqlbuild.refs import model, seed, source
from sqlbuild.tasks import task


def only_problem(project: Project) -> Problem:
    (problem,) = resolve_refs(project).problems
    return problem


def test_references_in_sql_become_node_ids_each_once(make: Any) -> None:
    sql = 'SELECT * FROM __ref("a") JOIN __source("raw") USING (x) JOIN __ref("a") AS again USING (x)'
    resolved = resolve_refs(make.project(make.model("a"), make.source("raw"), make.model("b", sql)))
    assert resolved.depends_on == {"model:a": (), "source:raw": (), "model:b": ("model:a", "source:raw")}


def test_python_nodes_depend_on_functions_and_references(make: Any) -> None:
    @task
    def fetch() -> None: ...

    @asset(depends_on=[fetch, model("a"), source("raw")])
    def export() -> None: ...

    resolved = resolve_refs(make.project(export, fetch, make.model("a"), make.source("raw")))
    assert resolved.depends_on["asset:export"] == ("task:fetch", "model:a", "source:raw")
    assert resolved.problems == ()


def test_an_unknown_model_is_named_with_its_place_and_the_nearest_name(make: Any) -> None:
    problem = only_problem(make.project(make.model("stg_orders"), make.model("b", 'SELECT\n* FROM __ref("stg_ordrs")')))
    assert (problem.code, problem.path, problem.line, problem.column) == ("UNKNOWN_REFERENCE", "models/b.sql", 6, 8)
    assert problem.message == 'b reads __ref("stg_ordrs"), but there is no model "stg_ordrs"'
    assert problem.help == 'did you mean "stg_orders"?'


def test_an_unknown_source_of_a_project_without_sources_says_so(make: Any) -> None:
    problem = only_problem(make.project(make.model("b", 'SELECT * FROM __source("raw")')))
    assert problem.help == "declare a source of that name; the project has none yet"


def test_a_model_that_is_read_as_a_source_is_told_the_right_call(make: Any) -> None:
    problem = only_problem(make.project(make.model("a"), make.model("b", 'SELECT * FROM __source("a")')))
    assert problem.message == 'b reads __source("a"), but "a" is a model'
    assert problem.help == 'write __ref("a")'


def test_sql_cannot_read_a_python_node(make: Any) -> None:
    @asset
    def export() -> None: ...

    problem = only_problem(make.project(export, make.model("b", 'SELECT * FROM __ref("export")')))
    assert problem.code == "SQL_BOUNDARY"
    assert "export" in problem.message
    assert "let a @loader of its name fill it" in problem.help


def test_a_python_node_that_is_named_as_a_model_is_told_to_give_the_function(make: Any) -> None:
    @task
    def fetch() -> None: ...

    @task(depends_on=model("fetch"))
    def later() -> None: ...

    problem = only_problem(make.project(fetch, later))
    assert problem.message == 'later reads model("fetch"), but "fetch" is a task'
    assert problem.help == "give the function itself in depends_on"


def test_seeds_are_read_by_models_and_python_nodes(make: Any) -> None:
    @task(depends_on=seed("countries"))
    def fetch() -> None: ...

    project = make.project(fetch, make.model("b", 'SELECT * FROM __seed("countries")'), make.seed("countries"))
    resolved = resolve_refs(project)
    assert resolved.problems == ()
    assert resolved.depends_on["model:b"] == resolved.depends_on["task:fetch"] == ("seed:countries",)


def test_a_seed_that_is_read_as_a_model_is_told_how_to_read_it(make: Any) -> None:
    problem = only_problem(make.project(make.seed("countries"), make.model("b", 'SELECT * FROM __ref("countries")')))
    assert problem.message == 'b reads __ref("countries"), but "countries" is a seed'
    assert problem.help == 'write __seed("countries")'


def test_an_unknown_seed_is_told_with_the_nearest_name(make: Any) -> None:
    problem = only_problem(make.project(make.seed("countries"), make.model("b", 'SELECT * FROM __seed("country")')))
    assert problem.message == 'b reads __seed("country"), but there is no seed "country"'
    assert problem.help == 'did you mean "countries"?'


def test_a_function_of_another_project_is_no_node_here(make: Any) -> None:
    @task
    def elsewhere() -> None: ...

    @task(depends_on=elsewhere)
    def here() -> None: ...

    problem = only_problem(make.project(here))
    assert (problem.code, problem.path, problem.line) == ("NOT_IN_PROJECT", "tasks/jobs.py", 1)
    assert "elsewhere" in problem.message


def test_a_model_whose_file_could_not_be_read_is_not_reported_twice(make: Any) -> None:
    broken = Problem(code="ENCODING", message="not UTF-8", path="models/staging/stg_orders.sql")
    reader = make.model("b", 'SELECT * FROM __ref("stg_orders")')
    assert resolve_refs(make.project(reader, problems=[broken])).problems == ()


def test_two_nodes_with_one_name_are_both_found_by_kind(make: Any) -> None:
    @task
    def orders() -> None: ...

    @task(depends_on=[model("orders"), orders])
    def later() -> None: ...

    resolved = resolve_refs(make.project(orders, make.model("orders"), later))
    assert resolved.depends_on["task:later"] == ("model:orders", "task:orders")
