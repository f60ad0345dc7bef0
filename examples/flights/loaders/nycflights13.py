"""One loader per CSV file: the very same on DuckDB and on PostgreSQL, as either takes Arrow data."""

from pathlib import Path

from sqlbuild.loaders import LoaderContext, loader

DATA = Path(__file__).parent.parent / "data"

for table in ("flights", "airlines", "airports", "planes", "weather"):

    @loader(name=f"raw_{table}", description=f"All rows of data/{table}.csv")
    def load_file(ctx: LoaderContext, table=table):
        # Imported here and not above: `sqb list` needs no Arrow.
        from pyarrow import csv

        # A reader and not a table: a batch is loaded while the next is read, however long the file is.
        return csv.open_csv(
            DATA / f"{table}.csv",
            convert_options=csv.ConvertOptions(null_values=["NA"], strings_can_be_null=True),
        )
