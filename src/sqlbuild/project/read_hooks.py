"""The header keys `pre_hooks` and `post_hooks`: what runs before and after a model is built."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from sqlbuild.domain.hooks import RUN_ID_MARK, HookPhase, ModelHook, PythonHook, SqlHook
from sqlbuild.domain.ids import Place, Relation
from sqlbuild.domain.record import record
from sqlbuild.domain.settings import Settings
from sqlbuild.domain.sql_reference import SqlReference
from sqlbuild.errors import Problem
from sqlbuild.project.audit_files import visible_from
from sqlbuild.project.field_reader import FieldReader, nearest
from sqlbuild.project.located import Call, Located, describe, plain
from sqlbuild.project.sql_hooks import SqlHooks, WrongCall
from sqlbuild.project.sql_references import Visible, read_query
from sqlbuild.project.sql_variables import SqlVariables, WrongVariable
from sqlbuild.project.text_file import TextFile
from sqlbuild.sql.rendering import quote_relation

_EXAMPLE = 'write for example [inline_sql("GRANT SELECT ON @@CTX:destination.qualified TO analyst"), sql("log"), python("notify")]'


@record(frozen=True, slots=True, kw_only=True)
class HookWords:
    """What `@@...` may stand for in the hooks of all models."""

    settings: Settings
    environ: Mapping[str, str]
    files: SqlHooks

    def of_model(self, name: str, fields: Mapping[str, object]) -> Mapping[str, str]:
        """What `@@CTX:...` stands for in the hooks of one model, with these fields of its header."""
        target = self.settings.target
        database, schema = str(fields.get("database") or target.database), str(fields.get("schema") or target.schema)
        alias = str(fields.get("alias") or name)
        return {
            "destination.qualified": quote_relation(Relation(database, schema, alias)),
            "destination.schema": schema,
            "destination.database": database,
            "destination.table": alias,
            "model.name": name,
            "model.database": database,
            "model.schema": schema,
            "model.alias": alias,
            "run.target": target.name,
            "run.id": RUN_ID_MARK,
        }


def read_hooks(
    reader: FieldReader, phase: HookPhase, name: str, fields: Mapping[str, object], words: HookWords, macros: Visible
) -> tuple[ModelHook, ...]:
    """The entries of one phase, in their order; what is wrong with one is a problem, and it is left out."""
    entry = reader.entries.get(phase)
    if entry is None or entry.value is None:
        return ()
    if not isinstance(entry.value, tuple):
        message = f"`{phase}` must be a list, not {describe(entry.value)}"
        reader.refuse(phase, message, _EXAMPLE, code="WRONG_TYPE")
        return ()
    context = words.of_model(name, fields)
    hooks = (
        _hook(item, phase, index, context, words, macros, reader.problems) for index, item in enumerate(entry.value)
    )
    return tuple(hook for hook in hooks if hook is not None)


def _hook(
    item: Located,
    phase: HookPhase,
    index: int,
    context: Mapping[str, str],
    words: HookWords,
    macros: Visible,
    problems: list[Problem],
) -> ModelHook | None:
    label, call = f"{phase}[{index}]", item.value
    if isinstance(call, str):
        help = f'write inline_sql("{call if len(call) <= 60 else call[:57] + "..."}")'
        problems.append(item.problem("HOOK", f"`{label}` is a text, which is no hook", help))
        return None
    kinds = ("inline_sql", "python", "sql")
    if not isinstance(call, Call) or call.name not in kinds:
        help = nearest(call.name, kinds) if isinstance(call, Call) else _EXAMPLE
        problems.append(item.problem("HOOK", f"`{label}` is {describe(item.value)}, which is no hook", help))
        return None
    argument = call.arguments[0].value if len(call.arguments) == 1 else None
    if not isinstance(argument, str) or not argument.strip() or (call.name == "inline_sql" and call.options):
        what = "one text, the statement" if call.name == "inline_sql" else f'the name of a hook: {call.name}("notify")'
        problems.append(item.problem("HOOK", f"`{label}`: {call.name}(...) does not hold {what}", _EXAMPLE))
        return None
    if call.name == "python":
        arguments = _arguments(call, item, phase, index, problems)
        return PythonHook(
            phase=phase, index=index, name=argument, place=item.file.place(item.offset), arguments=arguments
        )
    if call.name == "sql":
        return _named_hook(argument, call, item, phase, index, context, words, problems, macros)
    begin = item.file.place(_begin(call.arguments[0], argument))
    return _sql_hook(begin, argument, f"`{label}`", phase, index, context, words, macros, problems)


def _arguments(
    call: Call, item: Located, phase: HookPhase, index: int, problems: list[Problem]
) -> Mapping[str, object]:
    arguments: dict[str, object] = {}
    for key, entry in call.options.items():
        # `key: value` and `key value` are the same.
        written = key.removesuffix(":")
        checked = FieldReader(Located({written: entry}, item.file), f"{phase}[{index}]", problems)
        if not written.isidentifier():
            message = f"`{phase}[{index}]`: {written!r} is no name of a parameter"
            problems.append(entry.problem("HOOK", message, f'write for example {call.name}("notify", channel: "data")'))
        elif checked.is_json(written):
            arguments[written] = plain(entry)
    return arguments


def _named_hook(
    name: str,
    call: Call,
    item: Located,
    phase: HookPhase,
    index: int,
    context: Mapping[str, str],
    words: HookWords,
    problems: list[Problem],
    macros: Visible,
) -> SqlHook | None:
    arguments = _arguments(call, item, phase, index, problems)
    try:
        found = words.files.statement(name, arguments, item.file.path)
    except WrongCall as wrong:
        problems.append(item.problem("HOOK", f'`{phase}[{index}]` sql("{name}"): {wrong}', wrong.help))
        return None
    if found is None:
        return None
    text, hook = found
    # Macros are those that the file of the hook sees.
    seen = visible_from(hook.place.path, macros.macros)
    begin = hook.sql_place
    if text != hook.sql:
        # Behind an argument the columns are not those of the file.
        begin = Place(begin.path, begin.line)
    wrong_text: list[Problem] = []
    made = _sql_hook(
        begin,
        text,
        f"the hook {name}, called in {item.file.place(item.offset)}",
        phase,
        index,
        context,
        words,
        seen,
        wrong_text,
    )
    words.files.keep(hook, wrong_text)
    return dataclasses.replace(made, name=name)


def _sql_hook(
    begin: Place,
    written: str,
    label: str,
    phase: HookPhase,
    index: int,
    context: Mapping[str, str],
    words: HookWords,
    macros: Visible,
    problems: list[Problem],
) -> SqlHook:
    """`written` stands at `begin`; without a column there, none of it is known."""

    def refuse(offset: int, wrong: WrongVariable) -> None:
        line = (begin.line or 1) + written.count("\n", 0, offset)
        problems.append(
            Problem(code="VARIABLE", message=f"{label}: {wrong}", help=wrong.help, path=begin.path, line=line)
        )

    variables = SqlVariables(words.settings.vars, words.environ, context)
    text = variables.replaced(written, refuse)
    found: list[Problem] = []
    query = read_query(TextFile(begin.path, text), 0, found, macros)
    begun = text.count("\n", 0, query.start)
    moved = _mover(begin)
    for problem in found:
        there = moved(Place(begin.path, problem.line, problem.column))
        help = "make another hook of it" if problem.code == "STATEMENTS" else problem.help
        message = f"{label}: {problem.message}"
        problems.append(dataclasses.replace(problem, message=message, help=help, line=there.line, column=there.column))
    return SqlHook(
        phase=phase,
        index=index,
        sql=query.sql,
        place=Place(begin.path, (begin.line or 1) + begun),
        references=tuple(_moved(each, moved) for each in query.references),
        passed=tuple(_moved(each, moved) for each in query.passed),
    )


def _begin(located: Located, written: str) -> int:
    """Where the text begins in its file, behind the quotes."""
    offset = located.offset or 0
    first = written.partition("\n")[0]
    there = located.file.text.find(first, offset)
    return there if there >= 0 else offset


def _mover(begin: Place) -> Callable[[Place], Place]:
    """From a place in a text to that in the file in which the text begins at `begin`."""

    def moved(place: Place) -> Place:
        if place.line is None:
            return begin
        column = place.column if begin.column is not None else None
        if column is not None and place.line == 1:
            column += (begin.column or 1) - 1
        return Place(begin.path, (begin.line or 1) + place.line - 1, column)

    return moved


def _moved(reference: SqlReference, moved: Callable[[Place], Place]) -> SqlReference:
    return dataclasses.replace(reference, place=moved(reference.place))
