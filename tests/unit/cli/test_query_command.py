from __future__ import annotations

import datetime
import decimal
import json
import uuid

import asyncpg
import pytest
import typer

from sqlbuild.cli.query_command import _file_of, _print, plain_value

MOMENT = datetime.datetime(2025, 6, 15, 15, 6, 40, tzinfo=datetime.UTC)
ID = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (2**80, 2**80),
        (0.5, 0.5),
        (float("nan"), None),
        (float("-inf"), None),
        (MOMENT, "2025-06-15T15:06:40+00:00"),
        (MOMENT.date(), "2025-06-15"),
        (datetime.time(1, 2), "01:02:00"),
        (datetime.timedelta(seconds=90), "0:01:30"),
        (decimal.Decimal("1.50"), "1.50"),
        (ID, str(ID)),
        (b"\x00\xff", "00ff"),
        (asyncpg.Range(1, 5), "[1,5)"),
        (asyncpg.Range(None, decimal.Decimal("2.5"), upper_inc=True), "(,2.5]"),
        (asyncpg.Range(empty=True), "empty"),
        (asyncpg.BitString("101"), "101"),
        ([asyncpg.Range(1)], ["[1,)"]),
        ({"a": [1, (2, MOMENT.date())], 3: None}, {"a": [1, [2, "2025-06-15"]], "3": None}),
    ],
)
def test_every_value_of_a_warehouse_has_a_json_form(value, plain):
    assert plain_value(value) == plain
    json.dumps(plain_value(value), allow_nan=False)


def test_json_rows_keep_columns_of_the_same_name_apart(capsys):
    _print("json", ("n", "n", "n_2"), [(1, 2, 3)])
    assert json.loads(capsys.readouterr().out) == [{"n": 1, "n_2": 2, "n_2_2": 3}]


def test_csv_quotes_what_needs_it(capsys):
    _print("csv", ("a", "b"), [(None, 'say "hi"'), (True, "x,\ny"), (b"\x01", 1.5)])
    assert capsys.readouterr().out == 'a,b\n,"say ""hi"""\ntrue,"x,\ny"\n01,1.5\n'


def test_a_table_shows_numbers_to_the_right_and_how_many_rows(capsys):
    _print("table", ("name", "n"), [("a", 1), ("b", None), ("c", decimal.Decimal(100))])
    assert capsys.readouterr().out == "name     n\na        1\nb     NULL\nc      100\n(3 rows)\n"


def test_values_that_only_a_driver_knows_are_shown_as_sql_writes_them(capsys):
    for output in ("table", "csv"):
        _print(output, ("a", "b"), [(asyncpg.Range(1, 5), asyncpg.BitString("101"))])
        assert "[1,5)" in capsys.readouterr().out


def test_a_table_shows_values_as_sql_writes_them(capsys):
    _print("table", ("a", "b", "c", "d"), [(None, "", True, {"x": [1, None]})])
    assert capsys.readouterr().out.splitlines()[1] == 'NULL     true  {"x": [1, null]}'


def test_csv_holds_nested_values_as_json(capsys):
    _print("csv", ("a",), [([1, None],)])
    assert capsys.readouterr().out == 'a\n"[1, null]"\n'


def test_an_output_is_a_format_or_a_file_seen_from_where_the_user_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _file_of("csv") is None
    assert _file_of("out/rows.CSV") == str(tmp_path / "out" / "rows.CSV")
    with pytest.raises(typer.BadParameter, match="takes table, csv, json or a file"):
        _file_of("rows.xlsx")
