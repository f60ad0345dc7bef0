from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sqlbuild.domain.nodes import Audit, RunScope, Severity
from sqlbuild.domain.project import Project
from sqlbuild.project.load_project import load_project
from sqlbuild.project.read_python import close_python

GENERIC = "AUDIT ();\nSELECT * FROM @relation\nWHERE NOT (@expression)\n"


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[[dict[str, str]], Project]]:
    def load(files: dict[str, str]) -> Project:
        for path, text in {"sqlbuild_project.toml": 'name = "shop"\n', **files}.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return load_project(str(tmp_path), environ={})

    yield load
    close_python(tmp_path)


def audits(project: Project) -> dict[str, Audit]:
    return {each.name: each for each in project.declarations if isinstance(each, Audit)}


def problems(project: Project) -> list[tuple[str, str, int | None]]:
    return [(found.code, found.path, found.line) for found in project.problems]


def of_model(header: str, **files: str) -> dict[str, str]:
    return {"models/orders.sql": f"MODEL ({header});\nSELECT 1 AS id\n", **files}


def test_built_in_audits_of_columns_become_queries(load):
    found = audits(
        load(
            of_model(
                """columns (
  id (audits [not_null, unique]),
  "odd name" (audits [accepted_values (values ["it's", 2, true])]),
  parent (audits [relationships (to __ref("customers"), field order)]),
)"""
            )
        )
    )
    assert {name: audit.sql for name, audit in found.items()} == {
        "orders.not_null(id)": 'SELECT * FROM __ref("orders") WHERE "id" IS NULL',
        "orders.unique(id)": 'SELECT "id", count(*) AS times FROM __ref("orders") WHERE "id" IS NOT NULL '
        'GROUP BY "id" HAVING count(*) > 1',
        "orders.accepted_values(odd name)": 'SELECT * FROM __ref("orders") WHERE "odd name" IS NOT NULL '
        "AND \"odd name\" NOT IN ('it''s', 2, TRUE)",
        "orders.relationships(parent)": 'SELECT child.* FROM __ref("orders") AS child\nWHERE child."parent" IS NOT NULL\n'
        '    AND NOT EXISTS (SELECT 1 FROM __ref("customers") AS parent WHERE parent."order" = child."parent")',
    }
    places = [audit.place.line for audit in found.values()]
    assert places == [2, 2, 3, 4]
    assert found["orders.relationships(parent)"].column == "parent"


def test_yaml_says_the_same_of_sources(load):
    project = load(
        {
            "audits/generic/holds.sql": GENERIC,
            "sources/raw.yml": """
sources:
  - name: raw
    columns:
      - name: id
        audits:
          - not_null
          - relationships: {to: '__source("other")', field: id, severity: warn}
    audits:
      - holds:
          name: not in the future
          expression: "at <= now()"
          run_scope: final
  - {name: other}
""",
        }
    )
    assert project.problems == ()
    found = audits(project)
    assert list(found) == ["raw.not in the future", "raw.not_null(id)", "raw.relationships(id)"]
    named = found["raw.not in the future"]
    assert named.sql == 'SELECT * FROM __source("raw")\nWHERE NOT (at <= now())'
    assert (named.run_scope, named.severity) == (RunScope.FINAL, Severity.ERROR)
    assert [each.reference.name for each in found["raw.relationships(id)"].references] == ["raw", "other"]
    assert found["raw.relationships(id)"].severity is Severity.WARN


def test_parameters_are_filled_in_wherever_the_published_format_does(load):
    template = """-- @unknown stays
SELECT @column, '@column', "@column", @'txt', '@txt', @n, @'n', 'a@b.example', /* @nope */ @flag, @expr, [@'words'], '@model'
FROM __ref("@model")
"""
    header = """columns (id (audits [echo (txt "it's", n 5, flag true, expr "id > 0", words ["a", 1])]))"""
    (audit,) = audits(load(of_model(header, **{"audits/generic/echo.sql": f"AUDIT ();\n{template}"}))).values()
    assert audit.sql.splitlines() == [
        """SELECT "id", 'id', "id", 'it''s', 'it''s', 5, 5, 'a@b.example', /* @nope */ TRUE, id > 0, ['a', 1], 'orders'""",
        'FROM __ref("orders")',
    ]
    assert audit.sql_place.path == "audits/generic/echo.sql"


def test_audits_that_are_told_apart_by_nothing_get_numbers(load):
    header = 'audits [holds (expression "a"), holds (expression "b"), holds (expression "c", name last)]'
    found = audits(load(of_model(header, **{"audits/generic/holds.sql": GENERIC})))
    assert list(found) == ["orders.holds", "orders.holds#2", "orders.last"]


def test_the_nearest_definition_is_used_and_one_in_the_place_of_a_built_in_one_is_told(load):
    def query(text: str) -> str:
        return f"AUDIT (severity warn);\nSELECT '{text}' FROM @relation WHERE @column IS NULL\n"

    model = "MODEL (columns (id (audits [not_null])));\nSELECT 1 AS id\n"
    project = load(
        {
            "audits/generic/not_null.sql": query("project"),
            "models/a/_sqlbuild/audits/generic/not_null.sql": query("below a"),
            "models/a/b/_sqlbuild/_audits/generic/not_null.sql": query("in b"),
            "models/top.sql": model,
            "models/a/mid.sql": model,
            "models/a/b/inner.sql": model,
            "models/a/b/c/deep.sql": model,
        }
    )
    found = {audit.target.name: (audit.sql.split("'")[1], audit.severity) for audit in audits(project).values()}
    warn = Severity.WARN
    assert found == {
        "top": ("project", warn),
        "mid": ("below a", warn),
        "inner": ("in b", warn),
        "deep": ("below a", warn),
    }
    assert {(found.code, found.severity) for found in project.problems} == {("AUDIT_OVERRIDE", "warning")}
    assert len(project.problems) == 3


def test_a_singular_audit_stands_alone_or_in_the_folder_of_what_it_reads(load):
    project = load(
        {
            "models/marts/orders.sql": "SELECT 1 AS id",
            "audits/singular/paid.sql": """AUDIT (
  name "orders_are_paid", description "All of them.", severity warn, tags [nightly], retry (max_attempts 2), pool heavy
);
SELECT * FROM __ref("orders") JOIN __source("payments") USING (id)
""",
            "models/marts/_sqlbuild/audits/singular/local.sql": 'SELECT * FROM __ref("orders")',
        }
    )
    assert project.problems == ()
    paid, local = audits(project).values()
    assert (paid.name, paid.target, paid.severity, paid.pools) == ("orders_are_paid", None, Severity.WARN, ("heavy",))
    assert paid.retry.max_attempts == 2
    assert [each.reference.name for each in paid.references] == ["orders", "payments"]
    assert (local.name, local.place.path) == ("local", "models/marts/_sqlbuild/audits/singular/local.sql")


def test_an_attached_audit_is_tried_and_limited_as_its_model_is(load):
    (audit,) = audits(
        load(of_model("retry (max_attempts 4), timeout 7, pool heavy, columns (id (audits [not_null]))"))
    ).values()
    assert (audit.retry.max_attempts, audit.timeout, audit.pools) == (4, 7.0, ("heavy",))


def test_the_settings_say_how_severe_audits_are_that_do_not(load):
    files = {"sqlbuild_project.toml": 'name = "shop"\n[settings]\ndefault_audit_severity = "warn"\n'}
    found = audits(load(of_model("columns (id (audits [not_null, unique (severity error)]))") | files))
    assert [audit.severity for audit in found.values()] == [Severity.WARN, Severity.ERROR]


@pytest.mark.parametrize(
    ("header", "code", "message"),
    [
        ("audits [nosuch]", "UNKNOWN_AUDIT", "no audit nosuch"),
        ("audits [not_nul (column id)]", "UNKNOWN_AUDIT", "no audit not_nul"),
        ("audits [not_null]", "AUDIT_ARGUMENT", "not given `column`"),
        ("audits [holds]", "AUDIT_ARGUMENT", "not given `expression`, which audits/generic/holds.sql reads"),
        ('audits [holds (expression "a", limit 5)]', "AUDIT_ARGUMENT", "given `limit`, which audits/generic/holds.sql never"),
        ("columns (id (audits [accepted_values (values [])]))", "AUDIT_ARGUMENT", "empty list"),
        ('columns (id (audits [relationships (to "b", field id)]))', "AUDIT_ARGUMENT", "`to` of the audit relationships is b"),
        ('audits [holds (expression "a", name " two words")]', "BAD_NAME", "no name for an audit"),
        ('audits [holds (expression "a", severity fatal)]', "BAD_VALUE", "must be error or warn"),
        ('audits [holds (expression "a", run_scope all)]', "BAD_VALUE", "must be final or delta_and_final"),
        ('audits [holds (expression (a 1))]', "WRONG_TYPE", "must be a text, number, list or reference"),
        ("audits [(holds (a 1), other (b 2))]", "WRONG_TYPE", "must name one audit"),
        ("audits not_null", "WRONG_TYPE", "must be a list"),
        ("audits [5]", "WRONG_TYPE", "must name one audit, not the number 5"),
        ('audits [holds (expression "a", thresholds (warn 5))]', "UNSUPPORTED", "audits that measure"),
        ("audit_factories [many]", "UNSUPPORTED", "`audit_factories` is not supported"),
        ('audits [holds (expression "\'a")]', "SQL_SYNTAX", "never closed"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_entry_is_told_at_its_place(load, header, code, message):
    project = load(of_model(header, **{"audits/generic/holds.sql": GENERIC}))
    (found,) = project.problems
    assert (found.code, found.severity) == (code, "error")
    assert message in found.message
    assert found.help
    assert found.path in ("models/orders.sql", "audits/generic/holds.sql")


def test_what_is_wrong_with_audit_files_is_told(load):
    project = load(
        {
            "models/m.sql": "MODEL (columns (id (audits [measured, empty, second, twice])));\nSELECT 1 AS id",
            "models/_sqlbuild/_audits/singular/here.sql": "SELECT 1",
            "audits/loose.sql": "SELECT 1",
            "audits/factories/more.sql": "SELECT 1",
            "audits/many.py": "",
            "audits/singular/of_nothing.sql": "AUDIT ();\nSELECT 1",
            "audits/generic/measured.sql": "AUDIT (evaluation measurement, value share);\nSELECT 1 FROM @relation",
            "audits/generic/empty.sql": "AUDIT ();\n",
            "audits/generic/second.sql": "AUDIT (severe error);\nSELECT @column FROM @relation; SELECT 2",
            "audits/generic/a/twice.sql": "SELECT @column FROM @relation",
            "audits/generic/b/twice.sql": "SELECT @column FROM @relation",
        }
    )
    assert sorted(problems(project)) == [
        ("AUDIT_PLACE", "audits/factories", None),
        ("AUDIT_PLACE", "audits/loose.sql", None),
        ("AUDIT_PLACE", "models/_sqlbuild/_audits/singular", None),
        ("AUDIT_REFERENCES", "audits/singular/of_nothing.sql", 2),
        ("DUPLICATE_NAME", "audits/generic/b/twice.sql", None),
        ("EMPTY_QUERY", "audits/generic/empty.sql", 2),
        ("EMPTY_QUERY", "audits/generic/empty.sql", 2),
        ("STATEMENTS", "audits/generic/second.sql", 2),
        ("UNKNOWN_KEY", "audits/generic/second.sql", 1),
        ("UNSUPPORTED", "audits/generic/measured.sql", 1),
        ("UNSUPPORTED", "audits/generic/measured.sql", 1),
        ("UNSUPPORTED", "audits/many.py", None),
    ]


def test_audits_call_the_macros_of_the_folder_that_they_belong_to(load):
    macro = "def positive(column):\n    return f'{column} > 0'\n"
    project = load(
        {
            "models/a/m.sql": "MODEL (columns (id (audits [above])));\nSELECT 1 AS id",
            "models/a/_sqlbuild/_audits/generic/above.sql": "SELECT * FROM @relation WHERE NOT (@py.positive('@column'))",
            "models/a/_sqlbuild/_macros/python/signs.py": macro,
            "macros/python/all.py": "def everything(table):\n    return f'SELECT * FROM {table}'\n",
            "audits/singular/s.sql": 'AUDIT ();\n@py.everything(__ref("m"))',
        }
    )
    assert project.problems == ()
    above, singular = audits(project).values()
    assert above.sql == 'SELECT * FROM __ref("m") WHERE NOT (id > 0)'
    assert singular.sql == 'SELECT * FROM __ref("m")'
    assert [each.reference.name for each in singular.passed] == ["m"]
