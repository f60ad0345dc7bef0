from __future__ import annotations

import collections
import dataclasses
from types import MappingProxyType

import pandas
import polars
import pyarrow
import pytest

from sqlbuild.errors import NodeError
from sqlbuild.runner.row_batches import FIRST_ROWS, MAX_ROWS, TARGET_BYTES, RowBatches, batch_of_rows


def values_of(batch):
    return {name: column.values for name, column in batch.columns.items()}


def taken(*items, most=None):
    batches = RowBatches(most)
    found = [batch for item in items for batch in batches.take(item)]
    return [*found, *batches.rest()]


def test_rows_become_columns_in_the_order_in_which_they_came():
    batch = batch_of_rows([{"b": 1, "a": "x"}, {"a": "y", "b": 2}], 1)
    assert list(values_of(batch).items()) == [("b", [1, 2]), ("a", ["x", "y"])]


def test_a_key_that_a_row_lacks_is_null_in_it():
    batch = batch_of_rows([{"a": 1}, {"b": 2}, {"a": 3, "c": None}], 1)
    assert values_of(batch) == {"a": [1, None, 3], "b": [None, 2, None], "c": [None, None, None]}


def test_rows_come_one_by_one_and_in_lists_and_keep_their_order():
    (batch,) = taken(
        {"n": 1}, [{"n": 2}, {"n": 3}], ({"n": 4},), MappingProxyType({"n": 5}), collections.ChainMap({"n": 6})
    )
    assert (batch.rows, batch.first_row, values_of(batch)) == (6, 1, {"n": [1, 2, 3, 4, 5, 6]})


def test_batches_are_bounded_and_numbered():
    batches = taken([{"n": n} for n in range(25)], most=10)
    assert [(batch.rows, batch.first_row) for batch in batches] == [(10, 1), (10, 11), (5, 21)]


def test_the_first_batch_is_small_and_later_ones_are_as_large_as_rows_allow():
    batches = RowBatches()
    assert batches.limit == FIRST_ROWS
    list(batches.take([{"n": 1}] * FIRST_ROWS))
    assert batches.limit == 10 * FIRST_ROWS
    list(batches.take([{"n": 1}] * 10 * FIRST_ROWS))
    assert batches.limit == MAX_ROWS


def test_large_rows_make_small_batches():
    batches = RowBatches()
    list(batches.take([{"text": "x" * 100_000}] * FIRST_ROWS))
    assert batches.limit == pytest.approx(TARGET_BYTES / 100_000, rel=0.01)
    list(batches.take([{"text": "x" * 100_000_000}] * batches.limit))
    assert batches.limit == 1


def test_the_size_of_nested_values_counts_too():
    batches = RowBatches()
    list(batches.take([{"lines": [["x" * 1_000] * 100]}] * FIRST_ROWS))
    assert batches.limit == pytest.approx(TARGET_BYTES / 100_000, rel=0.1)


def test_columnar_data_is_handed_on_without_looking_into_it_and_after_the_rows_before_it():
    table = pyarrow.table({"n": [1, 2]})
    rows, first, second = taken({"n": 0}, table, pyarrow.record_batch({"n": [3]}))
    assert (rows.first_row, rows.arrow) == (1, None)
    assert (first.first_row, first.rows, first.arrow.to_pydict()) == (2, 2, {"n": [1, 2]})
    assert (second.first_row, second.rows) == (4, 1)


@pytest.mark.parametrize(
    "data",
    [
        pandas.DataFrame({"n": [1, 2]}),
        pandas.DataFrame({"n": [1, 2]}, index=pandas.Index(["a", "b"], name="i")),
        polars.DataFrame({"n": [1, 2]}),
        pyarrow.table({"n": [1, 2]}).to_reader(),
    ],
    ids=["pandas", "pandas with an index", "polars", "reader"],
)
def test_dataframes_and_readers_are_columnar(data):
    (batch,) = taken(data)
    assert batch.arrow.to_pydict() == {"n": [1, 2]}


def test_columnar_data_without_rows_tells_its_columns():
    (batch,) = taken(pyarrow.table({"n": pyarrow.array([], pyarrow.int8())}))
    assert (batch.rows, batch.arrow.schema.names) == (0, ["n"])


@dataclasses.dataclass
class Order:
    id: int


@pytest.mark.parametrize(
    ("item", "message", "help"),
    [
        (None, "row 2 is None, which is no row", "leave such rows out"),
        ([None], "row 2 is None, which is no row", "leave such rows out"),
        ("abc", "row 2 is of type str, which is no row", "give dicts"),
        ([("id", 1)], "row 2 is of type tuple, which is no row", "a row is a dict"),
        ([Order(1)], "row 2 is of type Order, which is no row", "dataclasses.asdict(row)"),
        (Order(1), "row 2 is of type Order, which is no row", "dataclasses.asdict(row)"),
    ],
)
def test_what_is_no_row_is_told_with_its_number(item, message, help):
    with pytest.raises(NodeError) as raised:
        taken({"id": 0}, item)
    assert raised.value.args[0] == message
    assert help in raised.value.help


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": 1}, {}], "row 8 is an empty dict"),
        ([{}], "row 7 is an empty dict"),
        ([{"a": 1}, {"a": 1, 5: 2}], "row 8 has the key 5, which is no column name"),
        ([{"a": 1, "": 2}], "row 7 has the key '', which is no column name"),
        ([{"a": 1}, {"A": 2}], "the columns a and A differ only in upper and lower case"),
    ],
)
def test_names_that_are_no_columns_are_refused(rows, message):
    with pytest.raises(NodeError) as raised:
        dict(batch_of_rows(rows, 7).columns)
    assert raised.value.args[0] == message
