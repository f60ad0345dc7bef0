"""Arrow record batches on their way into one file."""

from __future__ import annotations

from typing import Any

from sqlbuild.domain.exports import ExportFormat
from sqlbuild.errors import ExportError
from sqlbuild.failpoints import failpoint
from sqlbuild.runner.exporting.formats import BatchWriter, columns_of, make_batch_writer
from sqlbuild.runner.exporting.outputs import LocalOutput, Output, make_output
from sqlbuild.runner.exporting.paths import ExportPlaces, LocalPlace, Place
from sqlbuild.runner.exporting.working_files import FileFacts, WorkingName, step


class BatchExport:
    """`spooled`: the batches go into a Parquet file first, which the warehouse then copies. `write` and `complete` block
    and belong on a thread, one at a time."""

    def __init__(
        self,
        place: Place,
        format: ExportFormat,
        places: ExportPlaces,
        name: WorkingName,
        *,
        spooled: bool,
        dry_run: bool = False,
    ) -> None:
        self.spooled = spooled
        self.rows = 0
        self.columns: list[tuple[str, str]] | None = None
        """Of the first batch."""
        self._shown = place.shown
        self._format = ExportFormat.PARQUET if spooled else format
        self._dry_run = dry_run
        self._schema: Any = None
        self._writer: BatchWriter | None = None
        self._count = 0
        # A name of its own: what is copied from it is written under the export's.
        spool = LocalPlace(path=f"{places.spool}/{name}.parquet", shown=place.shown)
        self.output: Output = (
            LocalOutput(spool, places, name.of_spool()) if spooled else make_output(place, places, name)
        )

    @staticmethod
    def columns_of(batch: Any) -> list[tuple[str, str]]:
        return columns_of(batch.schema)

    def write(self, batch: Any) -> None:
        self._count += 1
        if self._schema is None:
            self._schema = batch.schema.remove_metadata()
        elif not batch.schema.equals(self._schema):
            raise ExportError(
                f"{self._shown}: batch {self._count} does not have the columns of the first one",
                help=f"it has {_told(batch.schema)}; the first one has {_told(self._schema)}",
            )
        self.rows += batch.num_rows
        if self._dry_run:
            return
        if self._writer is None:
            self._writer = make_batch_writer(self._format, self.output.open_stream(), self._schema)
        self._writer.write(batch.replace_schema_metadata(None))
        with step(self._shown, "writing"):
            failpoint("export.writing")

    def complete(self) -> FileFacts:
        assert self._writer is not None
        self._writer.close()
        return self.output.complete()

    def discard(self) -> None:
        """Never raises."""
        self.output.discard()


def _told(schema: Any) -> str:
    return ", ".join(f"{name} {type_}" for name, type_ in columns_of(schema)) or "none"
