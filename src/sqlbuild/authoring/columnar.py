"""Arrow data of whatever kind, as record batches. Pyarrow is imported when there is something to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from sqlbuild.authoring.queries import import_pyarrow


class ArrowStream(Protocol):
    """An Arrow table or reader, a dataframe, or whatever else hands its columns on in Arrow's format."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...


def is_columnar(item: object) -> bool:
    """Whether `item` is an Arrow table, batch, reader or a dataframe: anything that gives Arrow data."""
    return hasattr(item, "__arrow_c_stream__") or hasattr(item, "__arrow_c_array__")


def record_batches(item: Any) -> Iterable[Any]:
    """The Arrow record batches of something columnar. Raises MissingExtra without pyarrow."""
    arrow: Any = import_pyarrow()
    if isinstance(item, arrow.RecordBatch):
        return (item,)
    if type(item).__module__.partition(".")[0] == "pandas":
        # Its own stream would make a column of an index that has a name.
        item = arrow.Table.from_pandas(item, preserve_index=False)
    if hasattr(item, "__arrow_c_stream__"):
        return _of_reader(arrow, arrow.RecordBatchReader.from_stream(item))
    return (arrow.record_batch(item),)


def _of_reader(arrow: Any, reader: Any) -> Iterator[Any]:
    """A reader without batches gives one without rows, so that its columns are known."""
    is_empty = True
    for batch in reader:
        is_empty = False
        yield batch
    if is_empty:
        yield arrow.RecordBatch.from_pylist([], schema=reader.schema)
