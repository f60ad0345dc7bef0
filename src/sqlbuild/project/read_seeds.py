"""`seeds/**/*.csv` files and the entries of `seeds/**/*.yml` that declare them become `Seed` records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from sqlbuild.domain.columns import Column
from sqlbuild.domain.csv_records import MalformedCsv, csv_records, undecodable
from sqlbuild.domain.csv_settings import CsvSettings
from sqlbuild.domain.nodes import Seed
from sqlbuild.domain.record import record
from sqlbuild.domain.settings import Settings
from sqlbuild.errors import Problem
from sqlbuild.project.field_reader import FieldReader, nearest
from sqlbuild.project.known_keys import SEED_KEYS
from sqlbuild.project.located import Located, describe
from sqlbuild.project.model_fields import fold_prose, read_place, read_retry, read_timeout
from sqlbuild.project.read_audits import read_audits_of_columns
from sqlbuild.project.read_csv_settings import read_csv_settings
from sqlbuild.project.read_yaml import read_columns
from sqlbuild.project.text_file import read_text_file

DIGEST_BYTES = 16
_SHOWN_COLUMNS = 8
_CHUNK = 1 << 20


def read_seeds(root: Path, paths: tuple[str, ...], settings: Settings, problems: list[Problem]) -> list[Seed]:
    """The seeds of a project. Of each CSV file its bytes are read once, for the digest, and its first record."""
    files = _CsvFiles(root, [path for path in paths if path.endswith(".csv")], problems)
    seeds: list[Seed] = []
    all_are_read = True
    for path in paths:
        if path.endswith(".csv"):
            continue
        from sqlbuild.project.strict_yaml import read_yaml

        file = read_text_file(root, path, problems)
        document = read_yaml(file, problems) if file is not None else None
        items = _items(document, problems) if document is not None else None
        all_are_read = all_are_read and (items is not None or _is_empty(document, file))
        for index, item in enumerate(items or ()):
            seed = _seed(item, f"seeds[{index}]", files, settings.defaults, problems)
            seeds += [seed] if seed is not None else []
    if all_are_read:
        problems.extend(files.undeclared())
    return seeds


def content_digest(path: Path) -> str:
    """Of the bytes of a file. Raises OSError."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _is_empty(document: Located | None, file: object) -> bool:
    return document is None and file is not None and not getattr(file, "text", "").strip()


def _items(document: Located, problems: list[Problem]) -> tuple[Located, ...] | None:
    if not isinstance(document.value, dict):
        message = f"a seeds file must be a table with the key `seeds`, not {describe(document.value)}"
        problems.append(document.problem("WRONG_TYPE", message, "begin the file with `seeds:`"))
        return None
    reader = FieldReader(document, "", problems)
    reader.refuse_unknown({"seeds"})
    entry = reader.entries.get("seeds")
    if entry is None or entry.value is None:
        return ()
    if not isinstance(entry.value, tuple):
        message = f"`seeds` must be a list, not {describe(entry.value)}"
        reader.refuse("seeds", message, "write each seed as `- name: ...`", code="WRONG_TYPE")
        return None
    return entry.value


def _seed(
    item: Located, path: str, files: _CsvFiles, defaults: Mapping[str, object], problems: list[Problem]
) -> Seed | None:
    """None for what has no name or no file."""
    if not isinstance(item.value, dict):
        message = f"`{path}` must be a table, not {describe(item.value)}"
        problems.append(item.problem("WRONG_TYPE", message, "write `- name: ...`, and its keys"))
        return None
    reader = FieldReader(item, path, problems)
    reader.refuse_unknown(SEED_KEYS | {"audits"})
    reader.require("name", "write `- name: ...`; it is what the CSV file is called")
    name = reader.text("name")
    columns = _typed_columns(reader)
    settings = read_csv_settings(reader)
    _check_na_values(reader, settings, columns)
    file = files.of(name, reader) if name is not None else None
    if name is None or file is None:
        return None
    _check_header(file, name, reader, columns, settings)
    return Seed(
        name=name,
        place=item.file.place(item.offset),
        csv_path=file.path,
        content_digest=file.digest,
        columns=columns,
        csv=settings,
        description=fold_prose(reader.text("description", empty=True)) or "",
        database=read_place(reader, "database", "seed", defaults),
        schema=read_place(reader, "schema", "seed", defaults),
        tags=reader.texts("tags") or (),
        group=reader.text("group"),
        meta=reader.json_table("meta") or {},
        retry=read_retry(reader),
        timeout=read_timeout(reader),
        pools=reader.texts("pool") or (),
        audits=read_audits_of_columns(reader),
    )


def _typed_columns(reader: FieldReader) -> tuple[Column, ...]:
    reader.require("columns", "write `columns:` with a name and a type for each column of the CSV file")
    columns = read_columns(reader)
    entry = reader.entries.get("columns")
    for index, item in enumerate(entry.value if entry is not None and isinstance(entry.value, tuple) else ()):
        keys = FieldReader(item, f"{reader.name_of('columns')}[{index}]", reader.problems)
        if keys.entries:
            keys.require("type", "write `type: VARCHAR`, for example: values are cast to it")
    if entry is not None and entry.value == ():
        reader.refuse("columns", f"`{reader.name_of('columns')}` is empty", "declare every column of the CSV file")
    return columns


def _check_na_values(reader: FieldReader, settings: CsvSettings, columns: Sequence[Column]) -> None:
    known = {column.name.lower() for column in columns}
    for name in settings.na_values_of:
        if known and name not in known:
            message = f"`{reader.name_of('csv_settings')}.na_values` names the column {name}, which is not declared"
            reader.refuse("csv_settings", message, nearest(name, known), code="UNKNOWN_COLUMN")


@record(frozen=True, slots=True)
class _CsvFile:
    root: Path
    path: str
    digest: str

    def header(self, settings: CsvSettings) -> tuple[int, list[str]] | None:
        """Line and fields of the first record; None without one. Raises MalformedCsv, UnicodeError and OSError."""
        encoding = "utf-8-sig" if settings.encoding == "utf-8" else settings.encoding
        with open(self.root / self.path, encoding=encoding, newline="") as text:
            return next(csv_records(text, settings), None)


class _CsvFiles:
    """All CSV files of a project by the name of their seed."""

    def __init__(self, root: Path, paths: Iterable[str], problems: list[Problem]) -> None:
        self._root = root
        self._problems = problems
        self._paths: dict[str, str] = {}
        self._declared: set[str] = set()
        for path in paths:
            first = self._paths.setdefault(PurePosixPath(path).stem, path)
            if first != path:
                name = PurePosixPath(path).stem
                self._tell(path, f"there is another file of the seed {name}: {first}", "rename one of the two")

    def of(self, name: str, reader: FieldReader) -> _CsvFile | None:
        """The file of a declared seed; None with a problem."""
        path = self._paths.get(name)
        if path is None:
            help = f"put the file into seeds/; {nearest(name, self._paths)}" if self._paths else "put it into seeds/"
            message = f"the seed {name} is declared, but there is no file {name}.csv under seeds/"
            reader.refuse("name", message, help, code="SEED_FILE")
            return None
        self._declared.add(name)
        try:
            digest = content_digest(self._root / path)
        except OSError as error:
            self._tell(path, f"the file cannot be read: {error.strerror or error}", "check that you may read it")
            return None
        return _CsvFile(self._root, path, digest)

    def undeclared(self) -> Iterator[Problem]:
        for name, path in self._paths.items():
            if name not in self._declared:
                yield Problem(
                    code="SEED_FILE",
                    message=f"no YAML file under seeds/ declares {name}",
                    help=f"declare it under `seeds:` with `name: {name}` and its columns, or move the file elsewhere",
                    path=path,
                )

    def _tell(self, path: str, message: str, help: str) -> None:
        self._problems.append(Problem(code="SEED_FILE", message=message, help=help, path=path))


def _check_header(
    file: _CsvFile, name: str, reader: FieldReader, columns: Sequence[Column], settings: CsvSettings
) -> None:
    def tell(code: str, message: str, help: str, line: int | None) -> None:
        reader.problems.append(Problem(code=code, message=message, help=help, path=file.path, line=line))

    try:
        found = file.header(settings)
    except MalformedCsv as error:
        tell("SEED_FILE", str(error), error.help, error.line)
        return
    except UnicodeError:
        help = "save it in that encoding, or say in `csv_settings.encoding` which one it has"
        line, what = undecodable((file.root / file.path).read_bytes(), settings.encoding)
        tell("ENCODING", f"the file is not {settings.encoding}: {what}", help, line)
        return
    except OSError as error:
        tell("SEED_FILE", f"the file cannot be read: {error.strerror or error}", "check that you may read it", None)
        return
    if found is None:
        tell("SEED_FILE", f"the file of the seed {name} is empty", "begin it with a line of column names", None)
    elif columns:
        line, header = found
        for message, help in _differences(header, columns, settings):
            tell("SEED_FILE", message, help, line)


def _differences(header: Sequence[str], columns: Sequence[Column], settings: CsvSettings) -> Iterator[tuple[str, str]]:
    """What does not fit between the first record of a file and the declared columns, with the fix."""
    declared = {column.name.lower(): column.name for column in columns}
    there = {field.lower(): field for field in header}
    shown = ", ".join(header[:_SHOWN_COLUMNS]) + (", ..." if len(header) > _SHOWN_COLUMNS else "")
    for field in header:
        if field.lower() not in declared:
            if field.strip().lower() in declared:
                help = "set `skipinitialspace: true` in csv_settings, or take the blanks out of the file"
            else:
                help = f"declare it with a type, or take it out of the file; {nearest(field, declared.values())}"
            yield f"the file has the column {field!r}, which is not declared", help
    for key, name in declared.items():
        if key not in there and not any(key == field.strip().lower() for field in header):
            help = f"the first line of the file is {shown}"
            if len(header) == 1 and len(columns) > 1:
                help += f": is {settings.delimiter!r} really what parts its columns? see csv_settings.delimiter"
            yield f"the column {name} is declared, but the file does not have it", help
    twice = sorted({field for field in header if [each.lower() for each in header].count(field.lower()) > 1})
    if twice:
        yield f"the file has several columns called {twice[0]}", "rename one; case does not matter"
