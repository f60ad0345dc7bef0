from __future__ import annotations

import io

import pyarrow
import pyarrow.parquet
import pytest

from sqlbuild.domain.exports import ExportFormat
from sqlbuild.runner.exporting.formats import ROW_GROUP_ROWS, make_batch_writer

ROWS = 1_000
FLAT = pyarrow.record_batch(
    {
        "number": list(range(ROWS)),
        "uuid": [f"{number:032x}" for number in range(ROWS)],
        "kind": ["new", "old"] * (ROWS // 2),
        "nothing": pyarrow.nulls(ROWS),
        "label": pyarrow.array(["x"] * ROWS).dictionary_encode(),
        "a.b": [0.5] * ROWS,
    }
)


def written(*batches: pyarrow.RecordBatch) -> pyarrow.parquet.ParquetFile:
    file = io.BytesIO()
    writer = make_batch_writer(ExportFormat.PARQUET, file, batches[0].schema)
    for batch in batches:
        writer.write(batch)
    writer.close()
    return pyarrow.parquet.ParquetFile(file)


def with_dictionary(file: pyarrow.parquet.ParquetFile) -> set[str]:
    group = file.metadata.row_group(0)
    columns = [group.column(index) for index in range(group.num_columns)]
    return {each.path_in_schema for each in columns if "RLE_DICTIONARY" in each.encodings}


def test_columns_of_few_values_have_a_dictionary() -> None:
    file = written(FLAT)
    assert with_dictionary(file) == {"kind", "nothing", "label", "a.b"}
    assert file.read().to_pylist() == FLAT.to_pylist()


def test_beside_a_nested_column_all_have_one() -> None:
    nested = FLAT.append_column("list", pyarrow.array([[number] for number in range(ROWS)]))
    assert with_dictionary(written(nested)) == {*FLAT.schema.names, "list.list.element"}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_batches_become_row_groups(count: int) -> None:
    batch = pyarrow.record_batch({"number": list(range(ROW_GROUP_ROWS // 2))})
    file = written(batch.slice(0, 0), *[batch] * count)
    assert file.metadata.num_rows == count * batch.num_rows
    assert file.num_row_groups == (count + 1) // 2
    assert file.read().column("number").to_pylist() == list(range(batch.num_rows)) * count
