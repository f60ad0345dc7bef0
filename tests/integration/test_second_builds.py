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
