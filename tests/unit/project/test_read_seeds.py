from __future__ import annotations

import textwrap

import pytest

from sqlbuild.domain.columns import Column
from sqlbuild.domain.csv_settings import CsvSettings
from sqlbuild.domain.ids import Place
from sqlbuild.project.load_project import load_project
from sqlbuild.retries import RetryPolicy

MENU = """
seeds:
  - name: menu
    columns:
      - {name: id, type: INTEGER}
      - {name: price, type: "DECIMAL(8, 2)", nullable: false}
"""


@pytest.fixture
def read(tmp_path):
    """Reads the seeds of a project with these files; gives them and what is wrong, in words."""

    def read(files, settings=""):
        (tmp_path / "sqlbuild_project.toml").write_text(f'name = "shop"\n{settings}')
        for name, content in files.items():
            path = tmp_path / "seeds" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
        project = load_project(str(tmp_path), environ={})
        return project.declarations, [str(problem) for problem in project.problems]

    return read


def test_a_seed_is_read_with_everything_that_is_said_of_it(read):
    (seed,), problems = read(
        {
            "shop/menu.csv": "price;id\n1;2\n",
            "lookups.yml": """\
            seeds:
              - name: menu
                description: |
                  What there is
                  to eat
                database: analytics
                schema: lookups
                tags: [small, fixed]
                group: kitchen
                meta: {owner: ann}
                retry: {max_attempts: 2}
                timeout: 1m
                pool: loads
                csv_settings:
                  delimiter: ";"
                  quotechar: ""
                  doublequote: false
                  escapechar: "\\\\"
                  skipinitialspace: true
                  lineterminator: "\\r\\n"
                  encoding: LATIN1
                  na_values: {price: ["n/a", ""], id: -1}
                  keep_default_na: false
                columns:
                  - {name: id, type: INTEGER}
                  - {name: price, type: VARCHAR, nullable: false, description: In cents, meta: {pii: false}}
            """,
        }
    )
    assert problems == []
    assert seed.columns == (
        Column(name="id", type="INTEGER"),
        Column(name="price", type="VARCHAR", nullable=False, description="In cents", meta={"pii": False}),
    )
    assert seed.csv == CsvSettings(
        delimiter=";",
        quotechar="",
        doublequote=False,
        escapechar="\\",
        skipinitialspace=True,
        encoding="iso8859-1",
        na_values_of={"price": ("n/a", ""), "id": ("-1",)},
        keep_default_na=False,
    )
    assert (seed.place, seed.csv_path) == (Place("seeds/lookups.yml", 2, 5), "seeds/shop/menu.csv")
    assert (seed.description, seed.tags, seed.group, seed.meta) == (
        "What there is to eat",
        ("small", "fixed"),
        "kitchen",
        {"owner": "ann"},
    )
    assert (seed.database, seed.schema) == ("analytics", "lookups")
    assert (seed.retry, seed.timeout, seed.pools) == (RetryPolicy(max_attempts=2), 60.0, ("loads",))


def test_defaults_say_where_seeds_are(read):
    files = {"menu.csv": "id,price\n", "menu.yml": MENU}
    assert read(files, '[defaults]\nschema = "all"\n')[0][0].schema == "all"
    assert read(files, '[defaults]\nschema = "all"\nseed_schema = "lookups"\n')[0][0].schema == "lookups"


def test_the_digest_is_that_of_the_bytes(read):
    files = {"menu.csv": "id,price\n1,2\n", "menu.yml": MENU}
    first = read(files)[0][0].content_digest
    assert read(files)[0][0].content_digest == first
    assert read({**files, "menu.csv": "id,price\n1,3\n"})[0][0].content_digest != first


def test_files_and_declarations_that_lack_each_other_are_told(read):
    seeds, problems = read(
        {
            "menus.csv": "id,price\n",
            "a/twice.csv": "id\n",
            "b/twice.csv": "id\n",
            "menu.yml": MENU + "  - {name: twice, columns: [{name: id, type: INTEGER}]}\n",
        }
    )
    assert [seed.name for seed in seeds] == ["twice"]
    assert problems == [
        "error[SEED_FILE] seeds/b/twice.csv: there is another file of the seed twice: seeds/a/twice.csv\n"
        "  help: rename one of the two",
        "error[SEED_FILE] seeds/menu.yml:3:11: the seed menu is declared, but there is no file menu.csv under seeds/\n"
        "  help: put the file into seeds/; did you mean `menus`?",
        "error[SEED_FILE] seeds/menus.csv: no YAML file under seeds/ declares menus\n"
        "  help: declare it under `seeds:` with `name: menus` and its columns, or move the file elsewhere",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "menu.csv: the file of the seed menu is empty"),
        ("\n\n", "menu.csv: the file of the seed menu is empty"),
        ("id\n", "menu.csv:1: the column price is declared, but the file does not have it"),
        ("id;price\n", "is ',' really what parts its columns?"),
        ("id,price,tax\n", "menu.csv:1: the file has the column 'tax', which is not declared"),
        ("id, price\n", "set `skipinitialspace: true` in csv_settings"),
        ("id,price,Id\n", "the file has several columns called Id"),
        ('"id,price\n', "menu.csv:1: the file ends inside a field"),
        (b"id,price\n1,\xe4\n", "error[ENCODING] seeds/menu.csv:2: the file is not utf-8: byte 0xe4"),
    ],
)
def test_a_first_line_that_does_not_fit_is_told(read, content, message):
    _, problems = read({"menu.csv": content, "menu.yml": MENU})
    assert any(message in problem for problem in problems), problems


def test_names_of_columns_need_not_agree_in_case_or_order(read):
    assert read({"menu.csv": "\ufeffPRICE,id\n", "menu.yml": MENU})[1] == []


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("seed: []", "error[UNKNOWN_KEY] seeds/menu.yml:1:1: unknown key `seed`"),
        ("[]", "a seeds file must be a table with the key `seeds`"),
        ("seeds: menu", "error[WRONG_TYPE] seeds/menu.yml:1:8: `seeds` must be a list"),
        ("seeds: [menu]", "`seeds[0]` must be a table"),
        ("seeds: [{columns: []}]", "`seeds[0].name` is missing"),
        ("seeds: [{name: menu}]", "`seeds[0].columns` is missing"),
        ("seeds: [{name: menu, columns: []}]", "`seeds[0].columns` is empty"),
        ("seeds: [{name: menu, columns: [{name: id}]}]", "`seeds[0].columns[0].type` is missing"),
        ("seeds: [{name: menu, colums: 1}]", "did you mean `columns`?"),
        ("seeds: [{name: menu, csv_settings: {sep: 1}}]", "unknown key `seeds[0].csv_settings.sep`"),
        ("seeds: [{name: menu, csv_settings: {delimiter: '::'}}]", "delimiter` must be one character, not text"),
        ("seeds: [{name: menu, csv_settings: {delimiter: '\"'}}]", "delimiter and quotechar are both '\"'"),
        ("seeds: [{name: menu, csv_settings: {encoding: klingon}}]", "there is no encoding klingon"),
        ("seeds: [{name: menu, csv_settings: {encoding: hex}}]", "there is no encoding hex"),
        ("seeds: [{name: menu, csv_settings: {doublequote: 1}}]", "must be true or false"),
        ("seeds: [{name: menu, csv_settings: {na_values: [1.5]}}]", "na_values` must be a list of texts"),
        (
            "seeds: [{name: menu, csv_settings: {na_values: {pric: []}}, columns: [{name: price, type: TEXT}]}]",
            "na_values` names the column pric, which is not declared\n  help: did you mean `price`?",
        ),
    ],
)
def test_mistakes_in_the_declaration_are_told(read, yaml, message):
    _, problems = read({"menu.csv": "id,price\n", "menu.yml": yaml})
    assert any(message in problem for problem in problems), problems


def test_a_file_that_no_readable_yaml_declares_is_not_told_twice(read):
    _, problems = read({"menu.csv": "id,price\n", "menu.yml": "seeds: ["})
    assert [problem.split("]")[0] for problem in problems] == ["error[YAML_SYNTAX"]
