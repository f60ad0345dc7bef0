from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import LoadSettings, Source, WriteStrategy
from sqlbuild.project.read_yaml import read_sources
from sqlbuild.project.text_file import TextFile


def read(text: str) -> tuple[tuple[Source, ...], list[str]]:
    problems = []
    sources = read_sources(TextFile("sources/raw.yml", textwrap.dedent(text)), problems)
    return sources, [str(problem) for problem in problems]


def test_table_and_expression_sources_are_read():
    sources, problems = read(
        """\
        sources:
          - name: raw_events
            description: Events
            database: analytics
            schema: raw
            table: events
            tags: [raw, raw]
            group: web
            meta: {owner: me, levels: [1, null]}
            columns:
              - name: id
                type: INTEGER
                nullable: false
                description: the key
                meta: {pii: true}
              - {name: at, type: "DECIMAL(10, 2)"}
          - name: raw_orders
            schema: raw
          - name: flights
            managed: false
            expression: |

              SELECT *
              FROM read_csv('data/flights.csv');
        """
    )
    assert problems == []
    assert sources == (
        Source(
            name="raw_events",
            place=Place("sources/raw.yml", 2, 5),
            description="Events",
            database="analytics",
            schema="raw",
            table="events",
            tags=("raw",),
            group="web",
            meta={"owner": "me", "levels": [1, None]},
            columns=(
                Column(name="id", type="INTEGER", nullable=False, description="the key", meta={"pii": True}),
                Column(name="at", type="DECIMAL(10, 2)"),
            ),
        ),
        Source(name="raw_orders", place=Place("sources/raw.yml", 17, 5), schema="raw", table="raw_orders"),
        Source(
            name="flights",
            place=Place("sources/raw.yml", 19, 5),
            expression="SELECT *\nFROM read_csv('data/flights.csv')",
            expression_line=23,
        ),
    )


@pytest.mark.parametrize("text", ["", "sources:\n", "sources: []\n"])
def test_a_file_may_be_empty(text: str):
    assert read(text) == ((), [])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("sources:\n- name: a\n  expression: SELECT 1\n", 3),
        ("sources:\n- name: a\n  expression: |\n    SELECT 1\n", 4),
        ("sources:\n- name: a\n  expression: >-\n    SELECT\n    1\n", 4),
        ("sources:\n- name: a\n  expression: 'SELECT 1'\n", 3),
    ],
)
def test_the_line_of_an_expression_is_the_one_its_sql_begins_on(text: str, line: int):
    ((source,), problems) = read(text)
    assert (source.expression_line, problems) == (line, [])


def test_a_managed_source_says_how_it_is_loaded_and_may_leave_its_table_to_the_loader():
    text = """
        sources:
        - name: a
          managed: true
          write_strategy: merge
          unique_key: id
          cursor_column: at
          contract: enforced
          load_batch_size: 500
        - {name: b, managed: true, destination: 'lake."my.schema".orders'}
        - {name: c, managed: true}
    """
    (first, second, third), problems = read(textwrap.dedent(text))
    assert problems == []
    assert first.load == LoadSettings(
        write_strategy=WriteStrategy.MERGE, cursor_column="at", unique_key=("id",), contract="enforced", batch_rows=500
    )
    assert (second.database, second.schema, second.table) == ("lake", "my.schema", "orders")
    assert (third.table, third.managed) == (None, True)


def test_what_only_managed_sources_have_is_ignored_elsewhere_and_that_is_said():
    (source,), (problem,) = read("sources:\n- {name: a, write_strategy: append}")
    assert source.load is None
    assert problem.startswith("warning[UNSUPPORTED] sources/raw.yml:2:13: `sources[0].write_strategy`")
    assert "add `managed: true`" in problem


ONE = "sources:\n- name: a\n  "
BAD = [
    ("[a]", "WRONG_TYPE", "1:1", "a sources file must be a table with the key `sources`, not a list", "begin the file with `sources:`"),
    ("tables: []", "UNKNOWN_KEY", "1:1", "unknown key `tables`", "known here: sources"),
    ("sources: {a: 1}", "WRONG_TYPE", "1:10", "`sources` must be a list, not a table", "write each source as `- name: ...`"),
    ("sources: [a]", "WRONG_TYPE", "1:11", '`sources[0]` must be a table, not text "a"', "write `- name: ...`, and its keys"),
    ("sources: [{schema: a}]", "MISSING_KEY", "1:11", "`sources[0].name` is missing", 'write `- name: ...`; it is what __source("...") refers to'),
    ("sources:\n- name: 5", "WRONG_TYPE", "2:9", "`sources[0].name` must be text, not the number 5", 'write it in double quotes, for example "abc"'),
    ("sources:\n- name: true", "WRONG_TYPE", "2:9", "`sources[0].name` must be text, not true", 'write it in double quotes, for example "abc"'),
    (ONE + "tabel: x", "UNKNOWN_KEY", "3:3", "unknown key `sources[0].tabel`", "did you mean `table`?"),
    (ONE + "name: b", "DUPLICATE_KEY", "3:3", "`name` stands twice, first on line 2", "keep one of the two"),
    (ONE + "table: x\n  expression: SELECT 1", "BAD_VALUE", "4:3", "`sources[0]` has both `table` and `expression`", "keep one of the two"),
    (ONE + "managed: true\n  expression: SELECT 1", "BAD_VALUE", "4:3", "`sources[0].expression`: a loader cannot fill an expression", "remove it, or `managed: true`"),
    (ONE + "managed: true\n  write_strategy: replace", "BAD_VALUE", "4:19", "`sources[0].write_strategy`: unknown value 'replace'", "write one of table, append, delete_insert, merge"),
    (ONE + "contract: nothing", "BAD_VALUE", "3:13", "`sources[0].contract`: unknown value 'nothing'", "write one of enforced, none"),
    (ONE + "managed: true\n  contract: strict", "BAD_VALUE", "4:13", "`sources[0].contract`: unknown value 'strict'", "write one of enforced, none"),
    (ONE + "managed: true\n  load_batch_size: 0", "BAD_VALUE", "4:20", "`sources[0].load_batch_size` must be at least 1, not 0", "write a whole number of at least 1, or leave the key out"),
    (ONE + "managed: true\n  table: x\n  destination: y", "BAD_VALUE", "5:3", "`sources[0].destination` stands beside `table`", "keep one of the two"),
    (ONE + "managed: true\n  destination: a.b.c.d", "BAD_VALUE", "4:16", "`sources[0].destination`: 'a.b.c.d' is not the name of a table", 'for example "staging.orders"'),
    (ONE + "managed: yes", "WRONG_TYPE", "3:12", '`sources[0].managed` must be true or false, not text "yes"', "write true or false, in lower case and without quotes"),
    (ONE + "ingestr: {uri: x}", "UNSUPPORTED", "3:3", "`sources[0].ingestr` is not supported", "write a @loader that loads the table, with `managed: true` here, and remove the key"),
    (ONE + "expression: ''", "BAD_VALUE", "3:15", "`sources[0].expression` is empty", "give it a value or leave the key out"),
    (ONE + "expression: -- x", "EMPTY_QUERY", "3:15", "`sources[0].expression`: there is no query", "write a SELECT statement"),
    (ONE + "expression: SELECT 1; SELECT 2", "STATEMENTS", "3:15", "`sources[0].expression`: a second statement begins here", "keep one statement in a file"),
    (ONE + "expression: SELECT * FROM __ref(\"x\")", "REFERENCE", "3:15", '`sources[0].expression` refers to __ref("x")', "write the SQL in a model; a source stands at the beginning and refers to nothing"),
    (ONE + "tags: {x: 1}", "WRONG_TYPE", "3:9", "`sources[0].tags` must be a list of texts, not a table", 'write for example ["first", "second"] for `tags`'),
    (ONE + "meta: [1]", "WRONG_TYPE", "3:9", "`sources[0].meta` must be a table, not a list", "give `sources[0].meta` keys of its own"),
    (ONE + "columns: {a: 1}", "WRONG_TYPE", "3:12", "`sources[0].columns` must be a list, not a table", "write each column as `- name: ...`"),
    (ONE + "columns: [a]", "WRONG_TYPE", "3:13", '`sources[0].columns[0]` must be a table, not text "a"', "write `- name: ...`"),
    (ONE + "columns: [{type: x}]", "MISSING_KEY", "3:13", "`sources[0].columns[0].name` is missing", "write `- name: ...`"),
    (ONE + "columns: [{name: x, typ: y}]", "UNKNOWN_KEY", "3:23", "unknown key `sources[0].columns[0].typ`", "did you mean `type`?"),
    (ONE + "columns: [{name: x, nullable: no}]", "WRONG_TYPE", "3:33", '`sources[0].columns[0].nullable` must be true or false, not text "no"', "write true or false, in lower case and without quotes"),
    (ONE + "columns: [{name: x}, {name: X}]", "DUPLICATE_KEY", "3:31", "column `X` is declared twice", "case does not matter; keep one"),
    ("a: [", "YAML_SYNTAX", "1:5", "this is no YAML: did not find expected node content", "correct the syntax"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "place", "message", "help"), BAD)
def test_a_bad_entry_is_a_problem_with_its_place_and_fix(text, code, place, message, help):
    assert read(text)[1] == [f"error[{code}] sources/raw.yml:{place}: {message}\n  help: {help}"]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (ONE + "write_strategy: append", "3:3", "`sources[0].write_strategy` is not supported yet and is ignored"),
    ],
)  # fmt: skip
def test_known_keys_that_do_nothing_yet_are_a_warning(text: str, place: str, message: str):
    (source,), (problem,) = read(text)
    assert source.name == "a"
    assert problem.startswith(f"warning[UNSUPPORTED] sources/raw.yml:{place}: {message}\n  help: ")


def test_a_source_that_is_wrong_is_still_known():
    sources, problems = read("sources:\n- {name: a, tabel: x}\n- {name: b, schema: 5}\n")
    assert [source.name for source in sources] == ["a", "b"]
    assert len(problems) == 2


WORDS = ["sources:\n", "- name: a\n", "  columns:\n", "    - name: x\n", "  expression: |\n    SELECT 1\n", "  meta: {a: *b}\n", "  tags: 5\n", "  table: &b t\n", "  managed: true\n", "  <<: *b\n"]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=12).map("".join))
def test_no_input_crashes_the_reader(text: str):
    read_sources(TextFile("sources/raw.yml", text), [])
