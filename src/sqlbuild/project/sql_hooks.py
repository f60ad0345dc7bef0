"""The SQL hooks of a project: files with `@name` in them, which a model calls as `sql("name", ...)`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import AuditValue
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.errors import Problem, Rebuilt
from sqlbuild.project.audit_templates import filled_in
from sqlbuild.project.field_reader import FieldReader, nearest
from sqlbuild.project.header_grammar import parse_header
from sqlbuild.project.hook_files import FOLDER, hook_files, sees_hook
from sqlbuild.project.sql_text import Unclosed, skip_blank, start_of_text
from sqlbuild.project.text_file import TextFile, read_text_file

_HEADER = pattern(r"HOOK\s*+(?=\()", re.IGNORECASE)
_KEYS = frozenset({"description"})
_EXAMPLE = 'begin the file with HOOK (description "...");'


class WrongCall(Rebuilt):
    """A call that gives no statement; `problem` has no place yet."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.help = help


@record(frozen=True, slots=True, kw_only=True)
class SqlHookFile:
    """`sql` is what stands behind the header."""

    name: str
    place: Place
    sql: str
    sql_place: Place


class SqlHooks:
    """Those of the project in the folder `root` that models in `folders` may call; read when the first one is called."""

    def __init__(self, root: Path, folders: Iterable[str]) -> None:
        self._root = root
        self._folders = folders
        self._files: dict[str, SqlHookFile | None] | None = None
        self._told: set[tuple[object, ...]] = set()
        self.problems: list[Problem] = []

    @property
    def is_read(self) -> bool:
        return self._files is not None

    def statement(self, name: str, arguments: Mapping[str, object], model: str) -> tuple[str, SqlHookFile] | None:
        """What the hook is with these arguments, for the model in the file `model`. None if its file cannot be read,
        which is a problem already. Raises WrongCall."""
        found = self._found(name, model)
        if found is None:
            return None
        given = {key: _value(key, value) for key, value in arguments.items()}
        read: set[str] = set()
        try:
            sql, missing = filled_in(found.sql, given, read.add)
        except Unclosed as unclosed:
            self._tell_unclosed(found, unclosed)
            return None
        if missing:
            needed = ", ".join(f"{each}: ..." for each in missing)
            names = ", ".join(f"`{each}`" for each in missing)
            raise WrongCall(
                f"{names} {'is' if len(missing) == 1 else 'are'} not given", f'add it: sql("{name}", {needed})'
            )
        unused = next((key for key in arguments if key not in read), None)
        if unused is not None:
            raise WrongCall(
                f"there is no @{unused} in it",
                nearest(unused, read) if read else f"{found.place.path} has no arguments",
            )
        return sql, found

    def keep(self, found: SqlHookFile, problems: Iterable[Problem]) -> None:
        """What is wrong in a hook's own text is told once, however many models call it."""
        for problem in problems:
            key = (found.name, problem.code, problem.line, problem.message.partition(": ")[2])
            if key not in self._told:
                self._told.add(key)
                self.problems.append(problem)

    def check_names(self, python: Mapping[str, Place], nodes: Mapping[str, Place]) -> None:
        """No other hook and no node is called like one of these."""
        for found in (self._files or {}).values():
            for what, names in (("the hook", python), ("a node", nodes)):
                if found is not None and found.name in names:
                    message = f"the hook {found.name} has the name of {what} at {names[found.name]}"
                    self._tell("DUPLICATE_NAME", message, "rename one of the two", found.place)

    def _found(self, name: str, model: str) -> SqlHookFile | None:
        files = self._read()
        if name not in files:
            visible = [each.name for each in files.values() if each is not None and sees_hook(model, each.place.path)]
            help = nearest(name, visible) if visible else f"write it into {FOLDER}/sql/{name}.sql"
            if (self._root / FOLDER / f"{name}.sql").is_file():
                help = f"move {FOLDER}/{name}.sql into {FOLDER}/sql/"
            raise WrongCall("there is no such hook", help)
        found = files[name]
        if found is not None and not sees_hook(model, found.place.path):
            message = f"the hook stands in {found.place.path}, not visible here"
            raise WrongCall(message, f"move it into {FOLDER}/sql/, or into a folder above both")
        return found

    def _read(self) -> dict[str, SqlHookFile | None]:
        if self._files is None:
            self._files = {}
            places: dict[str, str] = {}
            for path in dict.fromkeys(hook_files(str(self._root), "sql", ".sql", self._folders, self.problems)):
                name = PurePosixPath(path).stem
                if name in places:
                    message = f"the hook {name} has the name of the one at {places[name]}"
                    self._tell("DUPLICATE_NAME", message, "rename one of the two, wherever they stand", Place(path))
                    continue
                places[name] = path
                self._files[name] = self._read_file(name, path)
        return self._files

    def _read_file(self, name: str, path: str) -> SqlHookFile | None:
        file = read_text_file(self._root, path, self.problems)
        if file is None:
            return None
        begin = start_of_text(file.text)
        header = _HEADER.match(file.text, begin)
        if header is None:
            self.problems.append(file.problem("HEADER_PLACE", "the file has no HOOK header", _EXAMPLE, begin))
            return None
        parsed = parse_header(file, header.end(), self.problems)
        reader = FieldReader(parsed.entries, "", self.problems)
        if "name" in reader.entries:
            reader.refuse(
                "name", "a hook is called like its file", "remove `name`, and rename the file", code="HOOK", at_key=True
            )
        reader.refuse_unknown(_KEYS, told=frozenset({"name"}))
        reader.text("description", empty=True)
        return None if parsed.end is None else self._body(name, file, begin, parsed.end)

    def _body(self, name: str, file: TextFile, begin: int, end: int) -> SqlHookFile | None:
        try:
            start = skip_blank(file.text, end)
        except Unclosed as unclosed:
            self.problems.append(file.problem("SQL_SYNTAX", str(unclosed), unclosed.help, unclosed.offset))
            return None
        if start == len(file.text):
            message, help = "no statement stands behind the header", "write what the hook does, as in GRANT ..."
            self.problems.append(file.problem("EMPTY_QUERY", message, help, start))
            return None
        return SqlHookFile(
            name=name, place=file.place(begin), sql=file.text[start:].rstrip(), sql_place=file.place(start)
        )

    def _tell_unclosed(self, found: SqlHookFile, unclosed: Unclosed) -> None:
        inside = TextFile(found.place.path, found.sql).problem(
            "SQL_SYNTAX", str(unclosed), unclosed.help, unclosed.offset
        )
        line = (found.sql_place.line or 1) + (inside.line or 1) - 1
        column = inside.column if inside.line != 1 else (found.sql_place.column or 1) + (inside.column or 1) - 1
        self.keep(found, [dataclasses.replace(inside, line=line, column=column)])

    def _tell(self, code: str, message: str, help: str, place: Place) -> None:
        self.problems.append(
            Problem(code=code, message=message, help=help, path=place.path, line=place.line, column=place.column)
        )


def _value(key: str, value: object) -> AuditValue:
    """An argument as it is put into SQL. Raises WrongCall for what has no text in SQL."""
    what = (
        "a list without values"
        if value == []
        else "a list of other things than values"
        if isinstance(value, list)
        else "a table"
    )
    match value:
        case None | bool() | str() | int() | float():
            return value
        case [_, *_]:
            values = tuple(each for each in value if each is None or isinstance(each, bool | str | int | float))
            if len(values) == len(value):
                return values
    raise WrongCall(f"`{key}` is {what}", "give a text, a number, true, false, null or a list of them")
