"""What a plan says of a project that was built before."""

from __future__ import annotations

UP = "MODEL (materialized table);\nSELECT {value} AS a\n"
DOWN = 'MODEL (materialized table);\nSELECT a FROM __ref("up")\n'


def reasons(project):
    return {step["name"]: step["reason"] for step in project.sqb("plan", "--json").json["nodes"]}


def test_a_model_built_from_an_old_upstream_is_not_called_unchanged(project):
    project.write(
        {
            "models/up.sql": UP.format(value=1),
            "models/down.sql": DOWN,
            "models/last.sql": DOWN.replace("up", "down"),
        }
    ).build()
    project.write({"models/up.sql": UP.format(value=2)})
    warned = project.build("down", "last")
    assert "model:up" in warned.out
    project.build("up")
    assert reasons(project) == {"up": "selected", "down": "upstream changed", "last": "upstream changed"}
    project.build("down", "last")
    assert reasons(project) == {"up": "selected", "down": "selected", "last": "selected"}
    assert project.rows("SELECT a FROM last") == [(2,)]


def test_an_edit_is_told_at_the_node_and_at_what_depends_on_it(project):
    project.write({"models/up.sql": UP.format(value=1), "models/down.sql": DOWN}).build()
    assert reasons(project) == {"up": "selected", "down": "selected"}
    project.write({"models/up.sql": UP.format(value=1).replace("SELECT", "-- a comment\nSELECT  ")})
    assert reasons(project) == {"up": "selected", "down": "selected"}
    project.write({"models/up.sql": UP.format(value=3)})
    assert reasons(project) == {"up": "code changed", "down": "upstream changed"}


def test_other_vars_change_what_reads_them_and_nothing_else(project):
    project.write(
        {
            "tasks/t.py": """
                from sqlbuild.tasks import task

                def day_of(ctx):
                    return ctx.vars["day"]

                @task
                def reads_vars(ctx):
                    return day_of(ctx)

                @task
                def other(ctx):
                    return 1
            """
        }
    )
    project.build("--vars", '{"day": "monday"}')
    steps = project.sqb("plan", "--json", "--vars", '{"day": "tuesday"}').json["nodes"]
    assert {step["name"]: step["reason"] for step in steps} == {"reads_vars": "settings changed", "other": "selected"}


TARGETS = """
    name = "shop"
    adapter = "duckdb"
    default_target = "dev"
    [connections.local]
    database = "shop.duckdb"
    [connections.other]
    database = "other.duckdb"
    [targets.dev]
    connection = "local"
    schema = "dev"
    [targets.prod]
    connection = "local"
    schema = "prod"
    [targets.far]
    connection = "other"
    schema = "prod"
"""
MODELS = {
    "sqlbuild_project.toml": TARGETS,
    "models/a.sql": "MODEL (materialized table);\nSELECT 1 AS id",
    "models/b.sql": 'MODEL (materialized table);\nSELECT id, 2 AS n FROM __ref("a")',
    "models/c.sql": 'MODEL (materialized table);\nSELECT n FROM __ref("b")',
    "tasks/t.py": """
        from sqlbuild.refs import model
        from sqlbuild.tasks import task

        @task(depends_on=model("b"))
        async def reads(ctx):
            return str(ctx.relation(model("b")))
    """,
}


def test_only_what_changed_runs(project):
    twice = "FUNCTION (arguments (n INTEGER), returns INTEGER);\nn * 2\n"
    folder = project.write({**MODELS, "functions/sql/twice.sql": twice})
    folder.build()
    assert "nothing to run" in folder.build("--changed").out
    folder.write({"models/b.sql": MODELS["models/b.sql"].replace("2 AS n", "3 AS n")})
    planned = folder.sqb("plan", "--changed", "--json").json
    assert {node["name"]: node["reason"] for node in planned["nodes"]} == {
        "b": "code changed",
        "c": "upstream changed",
        "reads": "upstream changed",
    }
    told = folder.sqb("plan", "b", "--diff").out.splitlines()
    assert told[0].startswith("--- model:b  run ")
    assert told[1:4] == [
        "+++ model:b  models/b.sql", "@@ -1 +1 @@", '-SELECT id, 2 AS n FROM __ref("a")',
    ]  # fmt: skip
    folder.build("--changed", "b")
    assert folder.statuses() == {"model:b": "succeeded"}
    folder.build("--changed")
    assert set(folder.statuses()) == {"model:c", "task:reads"}
    folder.build("a")
    later = folder.sqb("plan", "--changed", "--json").json
    assert (later["nodes"][0]["name"], later["nodes"][0]["reason"]) == ("b", "upstream changed")
    assert later["nodes"][0]["why"].startswith("model:a was built since run")
    assert later["nodes"][1]["why"] == "follows model:b"
    folder.write({"functions/sql/twice.sql": twice.replace("n * 2", "n + n")})
    told = folder.sqb("plan", "twice", "--diff").out.splitlines()
    assert told[1:5] == ["+++ function:twice  functions/sql/twice.sql", "@@ -1 +1 @@", "-n * 2", "+n + n"]


def test_what_is_not_selected_is_read_at_another_target(project):
    folder = project.write(MODELS)
    folder.build("--target", "prod")
    folder.write({"models/b.sql": MODELS["models/b.sql"].replace("2 AS n", "3 AS n")})
    built = folder.build("c", "reads", "--defer-to", "prod")
    assert "read from another target: model:b at prod.b" in built.out
    assert folder.rows("SELECT n FROM dev.c") == [(2,)]
    assert folder.rows("SELECT payload FROM dev._sqlbuild_node_results WHERE node_id = 'task:reads'") == [
        ('"\\"prod\\".\\"b\\""',)
    ]
    # What is not there either is built as it would be otherwise.
    assert [node["name"] for node in folder.sqb("plan", "--changed", "--json").json["nodes"]] == [
        "a",
        "b",
        "c",
        "reads",
    ]
    for name, help in (("prodd", "did you mean 'prod'?"), ("dev", "name another one"), ("far", "of the same database")):
        refused = folder.sqb("build", "c", "--defer-to", name)
        assert refused.code == 2
        assert help in refused.err
