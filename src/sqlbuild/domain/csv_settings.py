"""How a CSV file is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class CsvSettings:
    """The names are those of Python's csv module and of pandas."""

    delimiter: str = ","
    quotechar: str = '"'
    """Empty: nothing is quoted."""
    doublequote: bool = True
    escapechar: str | None = None
    skipinitialspace: bool = False
    lineterminator: str | None = None
    """One character that ends a record; None: whatever ends a line of text."""
    encoding: str = "utf-8"
    na_values: tuple[str, ...] = ()
    """Texts that stand for NULL, in every column."""
    na_values_of: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """The same, by lower-cased column."""
    keep_default_na: bool = True
    """An empty field stands for NULL too."""

    def nulls_of(self, column: str) -> frozenset[str]:
        """All texts that stand for NULL in a column."""
        default = ("",) if self.keep_default_na else ()
        return frozenset((*default, *self.na_values, *self.na_values_of.get(column.lower(), ())))
