"""`csv_settings` of a seed become a `CsvSettings`."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Any

from sqlbuild.domain.csv_settings import CsvSettings
from sqlbuild.project.field_reader import FieldReader
from sqlbuild.project.known_keys import CSV_KEYS
from sqlbuild.project.located import Located, describe

_LINE_ENDS = ("\n", "\r\n", "\r")
_UTF_8 = codecs.lookup("utf-8").name


def read_csv_settings(seed: FieldReader) -> CsvSettings:
    """Defaults where a key is missing, null or wrong."""
    reader = seed.table("csv_settings")
    if reader is None:
        return CsvSettings()
    reader.refuse_unknown(CSV_KEYS)
    ending = _character(reader, "lineterminator", whole=_LINE_ENDS)
    found: dict[str, Any] = {
        "delimiter": _character(reader, "delimiter"),
        "quotechar": _character(reader, "quotechar", whole=("",)),
        "escapechar": _character(reader, "escapechar"),
        "doublequote": reader.boolean("doublequote"),
        "skipinitialspace": reader.boolean("skipinitialspace"),
        "lineterminator": None if ending in _LINE_ENDS else ending,
        "encoding": _encoding(reader),
        "keep_default_na": reader.boolean("keep_default_na"),
        **_na_values(reader),
    }
    settings = CsvSettings(**{key: value for key, value in found.items() if value is not None})
    return CsvSettings() if _is_ambiguous(reader, settings) else settings


def _character(reader: FieldReader, key: str, *, whole: tuple[str, ...] = ()) -> str | None:
    """One character, or one of `whole`."""
    entry = reader.entries.get(key)
    if entry is None or entry.value is None:
        return None
    value = entry.value
    if isinstance(value, str) and (value in whole or (len(value) == 1 and value not in "\r\n\0")):
        return value
    help = 'write for example "\\t" for a tab or ";", in double quotes'
    reader.refuse(key, f"`{reader.name_of(key)}` must be one character, not {describe(value)}", help)
    return None


def _encoding(reader: FieldReader) -> str | None:
    """As Python calls it. A byte order mark is no part of UTF-8 text."""
    written = reader.text("encoding")
    if written is None:
        return None
    try:
        "".encode(written)
        name = codecs.lookup(written).name
    except (LookupError, ValueError):
        reader.refuse(
            "encoding",
            f"`{reader.name_of('encoding')}`: there is no encoding {written}",
            "write for example utf-8, utf-16, latin-1 or cp1252",
        )
        return None
    return "utf-8" if name in (_UTF_8, "utf-8-sig") else name


def _na_values(reader: FieldReader) -> dict[str, object]:
    entry = reader.entries.get("na_values")
    if entry is None or entry.value is None:
        return {}
    if isinstance(entry.value, dict):
        return {"na_values_of": _by_column(reader, entry.value)}
    return {"na_values": _texts(reader, "na_values", entry)}


def _by_column(reader: FieldReader, table: Mapping[str, Located]) -> dict[str, tuple[str, ...]]:
    return {column.lower(): _texts(reader, f"na_values.{column}", entry) or () for column, entry in table.items()}


def _texts(reader: FieldReader, key: str, entry: Located) -> tuple[str, ...] | None:
    """A list of texts or whole numbers, or one of them; empty text is one too."""
    items = entry.value if isinstance(entry.value, tuple) else (entry,)
    found: dict[str, None] = {}
    for item in items:
        if isinstance(item.value, bool) or not isinstance(item.value, str | int):
            reader.problems.append(
                item.problem(
                    "WRONG_TYPE",
                    f"`{reader.name_of(key)}` must be a list of texts, not {describe(item.value)}",
                    'write each as it stands in the file, in double quotes, for example ["N/A", "-"]',
                )
            )
            return None
        found[str(item.value)] = None
    return tuple(found)


def _is_ambiguous(reader: FieldReader, settings: CsvSettings) -> bool:
    """Whether two of the settings give one character two meanings."""
    roles = ("delimiter", "quotechar", "escapechar", "lineterminator")
    taken: dict[str, str] = {}
    for role in roles:
        sign = getattr(settings, role)
        if not sign:
            continue
        if sign in taken:
            key = role if role in reader.entries else taken[sign]
            reader.refuse(key, f"`{reader.path}`: {taken[sign]} and {role} are both {sign!r}", "choose another for one")
            return True
        taken[sign] = role
    if settings.skipinitialspace and settings.delimiter == " ":
        reader.refuse("skipinitialspace", f"`{reader.path}`: blanks are delimiters", "remove `skipinitialspace`")
        return True
    return False
