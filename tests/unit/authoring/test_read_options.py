from __future__ import annotations

import datetime

import pytest

from sqlbuild.assets import asset
from sqlbuild.authoring.declare import declaration_of
from sqlbuild.errors import DeclarationError
from sqlbuild.refs import model
from sqlbuild.retries import RetryPolicy


def wrong(**options):
    """The messages that an asset with these options gives, without their common beginning."""

    async def export(ctx): ...

    with pytest.raises(DeclarationError) as raised:
        asset(**options)(export)
    assert all(problem.help for problem in raised.value.problems)
    assert all("\n" not in problem.message + problem.help for problem in raised.value.problems)
    return [problem.message.removeprefix("@asset: ") for problem in raised.value.problems]


def undecorated(ctx): ...


circular: dict[str, object] = {}
circular["again"] = [circular, circular]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "OrdersExport"}, 'name: "OrdersExport" is not lowercase snake_case'),
        ({"name": "orders-export"}, 'name: "orders-export" is not lowercase snake_case'),
        ({"name": ""}, 'name: "" is not lowercase snake_case'),
        ({"name": 3}, "name: must be a text, not 3"),
        ({"depends_on": "fact_orders"}, 'depends_on: "fact_orders" is a text, not a node'),
        ({"depends_on": [model("a"), "b"]}, 'depends_on[1]: "b" is a text, not a node'),
        ({"depends_on": undecorated}, "depends_on: the function `undecorated` is not a node"),
        ({"depends_on": {model("a")}}, "depends_on: a set is not a node"),
        ({"depends_on": 3}, "depends_on: 3 is not a node"),
        ({"depends_on": int}, "depends_on: the class int is not a node"),
        ({"tags": "daily"}, 'tags: must be a list of texts, not "daily"'),
        ({"tags": ["daily", 3]}, "tags[1]: must be a text, not 3"),
        ({"tags": [" "]}, 'tags[0]: must be a text, not " "'),
        ({"tags": {"daily": 1}}, "tags: must be a list of texts, not a dict"),
        ({"group": 3}, "group: must be a text, not 3"),
        ({"description": b"x"}, "description: must be a text, not an object of type bytes"),
        ({"meta": [1]}, "meta: must be a dict, not a list"),
        ({"meta": {"a": {3: 1}}}, 'meta["a"]: the key 3 is not a text'),
        ({"meta": {"a": [1, datetime.date(2013, 1, 1)]}}, 'meta["a"][1]: an object of type date is not JSON'),
        ({"meta": {"a": float("nan")}}, 'meta["a"]: nan is not JSON'),
        ({"meta": {"a": {1, 2}}}, 'meta["a"]: a set is not JSON'),
        ({"meta": {"a": "\ud800"}}, 'meta["a"]: holds a lone surrogate, which is not text'),
        ({"meta": circular}, "meta: is nested deeper than 100 levels or contains itself"),
        ({"retry": 3}, "retry: must be a RetryPolicy, not 3"),
        ({"retry": RetryPolicy}, "retry: must be a RetryPolicy, not the class RetryPolicy"),
        ({"dry_run": "yes"}, 'dry_run: must be True or False, not "yes"'),
        ({"dry_run": 1}, "dry_run: must be True or False, not 1"),
        ({"isolate": "thread"}, 'isolate: unknown value "thread"'),
        ({"isolate": True}, "isolate: unknown value True"),
        ({"timeout": "3"}, 'timeout: must be seconds or a timedelta, not "3"'),
        ({"timeout": True}, "timeout: must be seconds or a timedelta, not True"),
        ({"timeout": 0}, "timeout: must be a number of seconds above 0, not 0"),
        ({"timeout": float("inf")}, "timeout: must be a number of seconds above 0, not inf"),
        ({"timeout": datetime.timedelta(seconds=-1)}, "timeout: must be a number of seconds above 0, not -1"),
        ({"pool": 3}, "pool: must be a list of texts, not 3"),
        ({"pool": ("api", "")}, 'pool[1]: must be a text, not ""'),
        ({"requires": "any_of"}, 'requires: unknown value "any_of", did you mean "any"?'),
        ({"requires": 3}, "requires: unknown value 3"),
        ({"columns": "id"}, 'columns: must be a list of dicts, not "id"'),
        ({"columns": {"name": "id"}}, "columns: must be a list of dicts, not a dict"),
        ({"columns": ["id"]}, 'columns[0]: must be a dict, not "id"'),
        ({"columns": [{"type": "INTEGER"}]}, 'columns[0]: has no "name"'),
        ({"columns": [{"name": "a"}, {"name": "b", "typ": "X"}]}, 'columns[1]: unknown key "typ", did you mean "type"?'),
        ({"columns": [{"name": 3}]}, "columns[0].name: must be a text, not 3"),
        ({"columns": [{"name": "a", "nullable": "no"}]}, 'columns[0].nullable: must be True or False, not "no"'),
        ({"columns": [{"name": "a", "meta": {"b": b""}}]}, 'columns[0].meta["b"]: an object of type bytes is not JSON'),
        ({"columns": [{"name": "a"}, {"name": "a"}]}, 'columns[1]: there is a column "a" already'),
        ({"column_lineage": [1]}, "column_lineage: must be a dict, not a list"),
        ({"column_lineage": {3: []}}, "column_lineage: the key 3 is not a column's name"),
        ({"column_lineage": {"a": "b"}}, 'column_lineage["a"]: must be a list of dicts, not "b"'),
        ({"column_lineage": {"a": ["b"]}}, 'column_lineage["a"][0]: must be a dict, not "b"'),
        ({"column_lineage": {"a": [{"node": "b"}]}}, 'column_lineage["a"][0]: has no "column"'),
        (
            {"column_lineage": {"a": [{"node": "b", "column": "c", "colum": "d"}]}},
            'column_lineage["a"][0]: unknown key "colum", did you mean "column"?',
        ),
        (
            {"column_lineage": {"a": [{"node": model("b"), "column": "c"}]}},
            "column_lineage[\"a\"][0].node: must be the name of a node, not model('b')",
        ),
        ({"colunms": []}, 'unknown parameter "colunms", did you mean "columns"?'),
        ({"timeout": 10**400}, "timeout: must be a number of seconds above 0, not inf"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_told_with_the_path_to_it(options, message):
    assert wrong(**options) == [message]


def test_an_unlike_word_gets_all_that_is_known():
    async def export(ctx): ...

    with pytest.raises(DeclarationError) as raised:
        asset(columns=[{"name": "a", "zzzzzz": 1}])(export)
    assert raised.value.problems[0].help == "known here: name, type, nullable, description, meta"


def test_optional_fields_of_a_column_may_be_none():
    @asset(columns=({"name": "a", "type": None, "nullable": None},))
    def export(ctx): ...

    (column,) = declaration_of(export).columns
    assert (column.name, column.type, column.nullable) == ("a", None, None)


def test_a_node_does_not_share_its_metadata_with_the_author():
    meta = {"owner": "sales"}

    @asset(meta=meta)
    def export(ctx): ...

    meta["owner"] = "other"
    assert declaration_of(export).declared.meta == {"owner": "sales"}
