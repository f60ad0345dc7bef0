from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import Materialization, Model
from sqlbuild.project.known_keys import MODEL_KEYS
from sqlbuild.project.read_sql import read_model
from sqlbuild.project.text_file import TextFile
from sqlbuild.retries import RetryPolicy


def read(text: str, defaults: dict | None = None) -> tuple[Model, list[str]]:
    problems = []
    model = read_model(TextFile("models/marts/fact_orders.sql", text), defaults or {}, problems)
    return model, [str(problem) for problem in problems]


def test_a_whole_model_is_read():
    model, problems = read(
        """\
-- facts
MODEL (
  description "Order facts",
  materialized table,
  tags [marts, daily],
  group sales,
  meta (owner "me", levels [1, 2]),
  schema marts, database warehouse, alias orders,
  retry (max_attempts 5, initial_delay_seconds 0.5, max_elapsed_seconds null, jitter false),
  timeout "1h30m",
  pool crm_api,
  columns (
    order_id (type DECIMAL(10, 2), nullable false, description "the key", meta (pii true)),
    "Status" (),
  ),
);

SELECT o.order_id
FROM __ref("stg_orders") o;
"""
    )
    assert problems == []
    assert model == Model(
        name="fact_orders",
        place=Place("models/marts/fact_orders.sql", 2, 1),
        sql='SELECT o.order_id\nFROM __ref("stg_orders") o',
        sql_line=18,
        sql_column=1,
        references=model.references,
        materialized=Materialization.TABLE,
        description="Order facts",
        tags=("marts", "daily"),
        group="sales",
        meta={"owner": "me", "levels": [1, 2]},
        columns=(
            Column(name="order_id", type="DECIMAL(10, 2)", nullable=False, description="the key", meta={"pii": True}),
            Column(name="Status"),
        ),
        schema="marts",
        database="warehouse",
        alias="orders",
        retry=RetryPolicy(max_attempts=5, initial_delay_seconds=0.5, jitter=False),
        timeout=5400.0,
        pools=("crm_api",),
    )
    (reference,) = model.references
    assert model.sql[reference.start : reference.end] == '__ref("stg_orders")'
    assert str(reference.place) == "models/marts/fact_orders.sql:19:6"


def test_a_model_needs_no_header():
    model, problems = read('  SELECT 1 AS a FROM __ref("x")')
    assert problems == []
    assert (model.materialized, model.sql, model.sql_line, model.sql_column) == (
        Materialization.VIEW,
        'SELECT 1 AS a FROM __ref("x")',
        1,
        3,
    )


@pytest.mark.parametrize("header", ["MODEL ();", "MODEL();", "model\n(\n)\n;", "MODEL (tags [],);"])
def test_a_header_may_be_empty(header: str):
    model, problems = read(f"{header} SELECT 1")
    assert (problems, model.sql) == ([], "SELECT 1")


def test_the_header_wins_over_defaults_and_tags_are_merged():
    defaults = {"materialized": Materialization.TABLE, "tags": ("all", "marts"), "group": "sales", "schema": "a"}
    model, problems = read("MODEL (materialized view, tags [marts, daily], schema null);\nSELECT 1", defaults)
    assert problems == []
    assert model.materialized is Materialization.VIEW
    assert (model.tags, model.group, model.schema) == (("all", "marts", "daily"), "sales", None)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30", 30.0), ("0.5", 0.5), ("90s", 90.0), ('"1h30m"', 5400.0), ("15m", 900.0), ('"1.5s"', 1.5)],
)
def test_a_timeout_is_a_number_of_seconds_or_a_duration(written: str, seconds: float):
    assert read(f"MODEL (timeout {written}); SELECT 1")[0].timeout == seconds
    assert read(f"MODEL (max_duration {written}); SELECT 1")[0].timeout == seconds


def test_a_model_can_be_left_out_of_the_analysis_of_sql():
    assert read("MODEL (sql_analysis false); SELECT 1")[0].sql_analysis is False
    assert read("SELECT 1")[0].sql_analysis is True


def test_a_disabled_max_duration_takes_back_the_default():
    assert read("MODEL (max_duration disabled); SELECT 1", {"timeout": 5.0})[0].timeout is None


def test_descriptions_over_several_lines_are_folded():
    model, _ = read('MODEL (description """\n  One row\n  for each order.\n\n  Built  daily.\n"""); SELECT 1')
    assert model.description == "One row for each order.\n\nBuilt  daily."


def test_a_model_that_is_wrong_is_still_known():
    model, problems = read("MODEL (materialized snapshot, tags [a],, x); SELECT 1; SELECT 2")
    assert len(problems) == 3
    assert (model.name, model.tags) == ("fact_orders", ("a",))


def test_the_example_of_a_header_in_a_comment_is_no_second_header():
    text = "MODEL (tags [a]);\n/* for example\nMODEL (materialized table);\n*/\nSELECT '\nMODEL (tags [b]);'"
    assert read(text)[1] == []


def test_a_table_called_model_is_no_header():
    assert read("WITH a AS (SELECT 1),\nMODEL (x, y) AS (SELECT 1, 2)\nSELECT * FROM\nMODEL (x)")[1] == []


SECONDS_HELP = "write a number above 0, "
BAD = [
    ("descripton x", "UNKNOWN_KEY", "1:8", "unknown key `descripton`", "did you mean `description`?"),
    ("incremental_strategi merge", "UNKNOWN_KEY", "1:8", "unknown key `incremental_strategi`", "did you mean `incremental_strategy`?"),
    (
        "zzz x",
        "UNKNOWN_KEY",
        "1:8",
        "unknown key `zzz`",
        "known here: " + ", ".join(sorted({*MODEL_KEYS, "enabled"})),
    ),
    ("name x", "UNKNOWN_KEY", "1:8", "unknown key `name`", "a model is called like its file; `alias` gives its table another name"),
    ("columns (a (typ INTEGER))", "UNKNOWN_KEY", "1:20", "unknown key `columns.a.typ`", "did you mean `type`?"),
    ("retry (attempts 3)", "UNKNOWN_KEY", "1:15", "unknown key `retry.attempts`", "did you mean `max_attempts`?"),
    ("materialized tabel", "BAD_VALUE", "1:21", '`materialized` must be table, view or incremental, not text "tabel"', "did you mean `table`?"),
    ("materialized " + "x" * 50, "BAD_VALUE", "1:21", "`materialized` must be table, view or incremental, not a text of 50 characters", "known here: incremental, table, view"),
    ("materialized snapshot, unique_key [a]", "UNSUPPORTED", "1:21", "`materialized snapshot` is not supported yet", "use table, which builds the whole query each time"),
    ("materialized [table]", "WRONG_TYPE", "1:21", "`materialized` must be text, not a list", 'write it in double quotes, for example "abc"'),
    ("description 5", "WRONG_TYPE", "1:20", "`description` must be text, not the number 5", 'write it in double quotes, for example "abc"'),
    ('schema ""', "BAD_VALUE", "1:15", "`schema` is empty", "give it a value or leave the key out"),
    (
        'schema "${ENV:S}"',
        "UNSUPPORTED",
        "1:15",
        "`schema` contains a placeholder, which is only known in sqlbuild_project.toml",
        "write the name out, or set it under [path_defaults] in sqlbuild_project.toml",
    ),
    ("tags [a, 5]", "WRONG_TYPE", "1:17", "`tags` must be a list of texts, not the number 5", "write for example tags [first, second]"),
    ("tags (a b)", "WRONG_TYPE", "1:13", "`tags` must be a list of texts, not a table", "write for example tags [first, second]"),
    ("tags ['']", "WRONG_TYPE", "1:14", "`tags` must be a list of texts, not empty text", "write for example tags [first, second]"),
    ("meta 5", "WRONG_TYPE", "1:13", "`meta` must be a table, not the number 5", "give `meta` keys of its own"),
    ('meta (a [f("x")])', "WRONG_TYPE", "1:17", "`meta.a[0]` must be text, a finite number, true, false, null, a list or a table, not the call f(...)", "write it as text, in quotes"),
    ("columns [a]", "WRONG_TYPE", "1:16", "`columns` must be a table, not a list", "give `columns` keys of its own"),
    ("columns (a INTEGER)", "WRONG_TYPE", "1:19", '`columns.a` must be a table, not text "INTEGER"', "write a (type INTEGER), for example"),
    ("columns (a (), A ())", "DUPLICATE_KEY", "1:23", "`columns.A` is declared twice", "case does not matter; keep one"),
    ("columns (a (nullable yes))", "WRONG_TYPE", "1:29", '`columns.a.nullable` must be true or false, not text "yes"', "write true or false, in lower case and without quotes"),
    ("retry 3", "WRONG_TYPE", "1:14", "`retry` must be a table, not the number 3", "give `retry` keys of its own"),
    ("retry (max_attempts 0)", "BAD_VALUE", "1:28", "`retry`: max_attempts must be 1 or more, not 0", "write for example retry (max_attempts 3)"),
    ("retry (max_attempts 1.5)", "BAD_VALUE", "1:28", "`retry`: max_attempts must be a whole number, not 1.5", "write for example retry (max_attempts 3)"),
    ("retry (jitter 1)", "BAD_VALUE", "1:22", "`retry`: jitter must be True or False, not 1", "write for example retry (max_attempts 3)"),
    ("timeout 0", "BAD_VALUE", "1:16", "`timeout` must be a number above 0, not 0", "write a finite number above 0, or leave the key out"),
    ("timeout soon", "BAD_VALUE", "1:16", '`timeout` must be a number of seconds or a duration, not text "soon"', 'write for example timeout 90 or timeout "1h30m"'),
    ("timeout 1, max_duration 1s", "BAD_VALUE", "1:19", "`max_duration` and `timeout` mean the same", "keep one of them"),
    ("pool [1]", "WRONG_TYPE", "1:14", "`pool` must be a list of texts, not the number 1", "write for example pool [first, second]"),
    ("enabled false", "UNSUPPORTED", "1:8", "`enabled false` is not supported yet", "move the file out of models/, or begin its name with _"),
    ("a b c", "HEADER_SYNTAX", "1:12", "a comma or ) is expected here, not `c`", "put a comma before it"),
]  # fmt: skip


@pytest.mark.parametrize(("header", "code", "place", "message", "help"), BAD)
def test_a_bad_header_is_a_problem_with_its_place_and_fix(header, code, place, message, help):
    found = read(f"MODEL ({header}); SELECT 1")[1]
    if code == "HEADER_SYNTAX":
        found = found[:1]
    assert found == [f"error[{code}] models/marts/fact_orders.sql:{place}: {message}\n  help: {help}"]


WARNINGS = [
    ("updated_at a", "`updated_at` is not supported yet and is ignored"),
    ("columns (id (migrate_from old_id))", "`columns.id.migrate_from` is not supported yet and is ignored"),
]


@pytest.mark.parametrize(("header", "message"), WARNINGS)
def test_what_only_adds_checks_is_a_warning(header: str, message: str):
    (found,) = read(f"MODEL ({header}); SELECT 1")[1]
    assert found.startswith("warning[UNSUPPORTED] models/marts/fact_orders.sql:1:")
    assert message in found


@pytest.mark.parametrize(
    ("text", "code", "place", "message", "help"),
    [
        ("MODEL (tags [a]);\n", "EMPTY_QUERY", "2:1", "there is no query", "write a SELECT statement"),
        ("MODEL (tags [a]) SELECT 1", "HEADER_SYNTAX", "1:18", "a semicolon must follow the header", "write `);`"),
        ("SELECT 1;\nMODEL (tags [a]);\nSELECT 2", "HEADER_PLACE", "1:1", "text stands before the MODEL header", "begin the file with MODEL ("),
        ("x\nMODEL ();\nSELECT 2", "HEADER_PLACE", "1:1", "text stands before the MODEL header", "begin the file with MODEL ("),
        ("MODEL (tags [a]);\nMODEL (tags [b]);\nSELECT 2", "STATEMENTS", "2:1", "a second MODEL header begins here", "write one model in a file"),
        ("MODEL (tags [a]);\nSELECT 2;\nMODEL (tags [b]);\nSELECT 3", "STATEMENTS", "3:1", "a second MODEL header begins here", "write one model in a file"),
        ("MODEL (tags [a]", "HEADER_SYNTAX", "1:7", "this ( is never closed", "close it with )"),
        ("/* x\nSELECT 1", "SQL_SYNTAX", "1:1", "this comment is never closed", "end it with */"),
    ],
)  # fmt: skip
def test_a_file_holds_one_header_and_one_query(text, code, place, message, help):
    assert read(text)[1] == [f"error[{code}] models/marts/fact_orders.sql:{place}: {message}\n  help: {help}"]


def test_problems_of_header_and_query_are_reported_together():
    _, problems = read("MODEL (\n  tag [a],\n  materialized tabel,\n);\nSELECT * FROM __ref(x)")
    assert [problem.partition(":")[0] for problem in problems] == [
        "error[BAD_VALUE] models/marts/fact_orders.sql",
        "error[UNKNOWN_KEY] models/marts/fact_orders.sql",
        "error[REFERENCE] models/marts/fact_orders.sql",
    ]


WORDS = ["MODEL", "(", ")", ";", "columns", "tags", "[", "]", ",", "type", "INTEGER", "'", '"', "SELECT", "\n", " ", "1", "retry", "max_attempts", "null", "timeout", "meta", "nan", '__ref("x")']  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join) | st.text(max_size=40))
def test_no_input_crashes_the_reader(text: str):
    model, problems = read(text)
    assert model.name == "fact_orders"
    assert all(problem.startswith(("error[", "warning[")) for problem in problems)
    read(f"MODEL ({text}")
