"""Failures of unit tests as people read them."""

from __future__ import annotations

from sqlbuild.domain.ids import Place
from sqlbuild.domain.row_differences import Difference
from sqlbuild.domain.unit_test_results import WIDTH, Asserted, Compared, document_of, lines_of

PLACE = Place("tests/unit/t.sql", 7, 1)


def compared(columns, *differences, expected=3, actual=3, missing=None, unexpected=None):
    return Compared(
        model="orders",
        place=PLACE,
        columns=columns,
        expected_rows=expected,
        actual_rows=actual,
        missing=sum(each.times for each in differences if each.expected) if missing is None else missing,
        unexpected=sum(each.times for each in differences if each.actual) if unexpected is None else unexpected,
        differences=differences,
    )


def test_differing_cells_are_marked_below_and_rows_without_a_partner_are_named():
    found = compared(
        ("id", "status", "total"),
        Difference((1, "placed", 5), (1, "done", 5)),
        Difference((2, None, 7), None),
        Difference(None, (3, "NULL", 7), 2),
        actual=4,
    )
    assert lines_of(found) == [
        "orders: 1 row differs, 1 row is missing, 2 rows are unexpected (expected 3 rows, got 4)",
        "- expected  + got",
        "                  id  status    total",
        "-                 1   'placed'  5",
        "+                 1   'done'    5",
        "                      ^^^^^^",
        "- missing         2   NULL      7",
        "+ unexpected  x2  3   'NULL'    7",
    ]


def test_as_many_rows_are_shown_as_a_person_reads():
    found = compared(("id",), *(Difference((number,), None) for number in range(40)), missing=1_000, expected=1_000)
    lines = lines_of(found)
    assert len(lines) < 16
    assert lines[-1] == "... and 990 more rows"
    assert len(document_of(found)["missing_samples"]) == 20


def test_wide_rows_keep_the_columns_that_differ_and_name_the_others():
    columns = tuple(f"column_{number:02}" for number in range(30))
    row = tuple(range(30))
    lines = lines_of(compared(columns, Difference(row, (*row[:25], "other", *row[26:]))))
    assert all(len(line) <= WIDTH for line in lines[:-1])
    assert "column_25" in lines[2]
    assert "column_00" in lines[2]
    assert lines[-1].startswith("columns not shown: column_")
    assert lines[-1].endswith("more")


def test_many_differing_columns_stand_below_each_other():
    columns = tuple(f"column_{number:02}" for number in range(30))
    lines = lines_of(compared(columns, Difference(tuple(range(30)), (0, *range(100, 129)))))
    assert lines[2:6] == ["row column_00 = 0 differs", "  column_01", "    - 1", "    + 100"]


def test_long_texts_are_cut_where_they_differ():
    lines = lines_of(compared(("id", "note"), Difference((1, "x" * 90 + "right"), (1, "x" * 90 + "wrong"))))
    assert "right" in lines[3]
    assert "wrong" in lines[4]
    assert all(len(line) <= WIDTH for line in lines)


def test_columns_that_the_model_does_not_give_are_all_that_is_told():
    found = Compared(model="orders", place=PLACE, unknown_columns=("totl",), given_columns=("id", "total"))
    assert not found.passed
    assert lines_of(found) == ["__expected__orders lists totl, which orders does not give; it gives id, total"]


def test_rows_of_an_assertion_are_shown():
    found = Asserted(name="none", place=PLACE, columns=("id",), rows=12, samples=tuple((each,) for each in range(12)))
    lines = lines_of(found)
    assert lines[:3] == ["__assert__none: 12 rows, expected none", "  id", "  0"]
    assert lines[-1] == "... and 2 more rows"
    assert document_of(found)["rows"] == 12


def test_json_has_the_rows_as_objects():
    document = document_of(compared(("id", "status"), Difference((1, "a"), (1, "b")), Difference(None, (2, None))))
    assert document["status"] == "fail"
    assert document["changed_samples"] == [
        {
            "columns": ["status"],
            "expected": {"id": 1, "status": "a"},
            "actual": {"id": 1, "status": "b"},
            "times": 1,
        }
    ]
    assert document["missing_samples"] == [{"id": 1, "status": "a"}]
    assert document["unexpected_samples"] == [{"id": 1, "status": "b"}, {"id": 2, "status": None}]
