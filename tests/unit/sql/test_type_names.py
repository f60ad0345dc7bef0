from __future__ import annotations

import duckdb
import pytest

from sqlbuild.sql.type_names import canonical_type, same_type

SPELLINGS = """
int int4 integer signed bigint int8 long smallint int2 short tinyint int1 hugeint uhugeint ubigint uinteger usmallint
utinyint float float4 real double float8 decimal numeric dec decimal(10,2) decimal(4) varchar text string char bpchar
varchar(10) bool boolean logical date time timestamp datetime timestamptz timetz interval blob bytea uuid guid json bit
timestamp_s timestamp_ms timestamp_ns int[] int[3] int[][] decimal(10,2)[] oid nvarchar variant bignum time_ns
"""
PHRASES = ["double precision", "timestamp with time zone", "timestamp without  time zone", "character varying",
           "DECIMAL( 10 , 2 )", "time with time zone"]  # fmt: skip


@pytest.mark.parametrize("spelling", [*SPELLINGS.split(), *PHRASES])
def test_a_type_is_spelled_as_duckdb_spells_it(spelling: str) -> None:
    ((real,),) = duckdb.execute(f"SELECT column_type FROM (DESCRIBE SELECT CAST(NULL AS {spelling}))").fetchall()
    assert canonical_type(spelling, "duckdb") == real


@pytest.mark.parametrize(
    "spelling", ["STRUCT(a INT)", "mood", "ENUM('a')", "MAP(INT, INT)", "timestamp(3)", "", "int)"]
)
def test_a_type_that_is_not_sure_is_none(spelling: str) -> None:
    assert canonical_type(spelling, "duckdb") is None


def test_other_dialects_get_their_own_spelling_back() -> None:
    assert canonical_type("Double  Precision", "postgres") == "double precision"
    assert canonical_type(None, "duckdb") is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("INT4", "integer"),
        ("varchar(10)", "text"),
        ("char(3)", "character varying"),
        ("DECIMAL(10)", "numeric(10,0)"),
        ("numeric( 10 , 2 )", "decimal(10,2)"),
        ("float", "double precision"),
        ("timestamptz", "timestamp(3) with time zone"),
        ("timestamp", "timestamp without time zone"),
        ("int[]", "integer[][]"),
        ("jsonb", "JSON"),
        ('"Mood"', '"mood"'),
    ],
)
def test_postgres_types_that_are_one_in_a_file(one: str, other: str) -> None:
    assert same_type(one, other, "postgres")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("int", "bigint"),
        ("numeric", "numeric(10,2)"),
        ("real", "float"),
        ("int", "int[]"),
        ("timestamp", "timestamptz"),
    ],
)
def test_postgres_types_that_differ(one: str, other: str) -> None:
    assert not same_type(one, other, "postgres")


def test_duckdb_types_are_compared_as_duckdb_spells_them() -> None:
    assert same_type("float8", "DOUBLE", "duckdb")
    assert same_type("STRUCT(a INT)", "struct(a  int)", "duckdb")
    assert not same_type("DECIMAL(10,2)", "DECIMAL(10,3)", "duckdb")
