"""The phase `project`: all files of a folder become one `Project`."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Mapping
from pathlib import Path

from sqlbuild.domain.masking import Masker
from sqlbuild.domain.nodes import (
    Declaration,
    Function,
    Model,
    Source,
    UnitTest,
    name_of_declaration,
    place_of_declaration,
)
from sqlbuild.domain.project import Project
from sqlbuild.domain.settings import Settings
from sqlbuild.errors import Problem
from sqlbuild.project.attach_audits import Attaching
from sqlbuild.project.audit_files import GenericAudits, read_singular_audits
from sqlbuild.project.field_reader import FieldReader
from sqlbuild.project.find_files import find_files
from sqlbuild.project.located import located
from sqlbuild.project.macros import Macros
from sqlbuild.project.model_fields import ModelFields, merge_layers, read_model_fields
from sqlbuild.project.path_defaults import matching_keys
from sqlbuild.project.python_hooks import PythonHooks, named_hooks
from sqlbuild.project.read_function import read_function
from sqlbuild.project.read_hooks import HookWords
from sqlbuild.project.read_python import close_python, read_python
from sqlbuild.project.read_seeds import read_seeds
from sqlbuild.project.read_sql import read_model
from sqlbuild.project.read_unit_tests import read_unit_tests
from sqlbuild.project.read_yaml import read_sources
from sqlbuild.project.settings_file import PROJECT_FILE, read_settings
from sqlbuild.project.sql_hooks import SqlHooks
from sqlbuild.project.sql_references import Visible
from sqlbuild.project.text_file import TextFile, read_text_file

_NO_VARS: Mapping[str, object] = {}


def load_project(
    root: str,
    *,
    target: str | None = None,
    vars: Mapping[str, object] = _NO_VARS,
    environ: Mapping[str, str],
    masker: Masker | None = None,
) -> Project:
    """Read the project in the folder `root`; what is wrong with its files goes to `Project.problems`.

    `target` and `vars` come from the command line; `environ` fills in `${ENV:NAME}`; `masker` learns the secrets before
    any code of the project runs. Python files are imported, with `root` first on the import path. Raises ProjectError if the settings cannot be read at all.
    """
    folder = Path(root).absolute()
    settings, settings_problems = read_settings(str(folder), target=target, vars=vars, environ=environ)
    if masker is not None:
        masker.add(settings.secrets)
    problems: list[Problem] = []
    files = find_files(str(folder), problems)
    python_files = [folder / path for path in (*files.providers, *files.python)]
    macros = Macros(folder, settings, python_files, environ)
    try:
        folders = {posixpath.dirname(path) for path in files.models}
        sql_hooks = SqlHooks(folder, folders)
        words = HookWords(settings=settings, environ=environ, files=sql_hooks)
        models = _read_models(folder, files.models, settings, problems, macros, words)
        sources = _read_sources(folder, files.sources, problems, macros)
        seeds = read_seeds(folder, files.seeds, settings, problems)
        functions = _read_functions(folder, files.functions, settings, problems, macros)
        paths = {model.name.lower(): model.place.path for model in models}
        tests = _read_tests(folder, files.tests, settings.run.test_timeout, problems, macros, paths)
        hooks = PythonHooks(folder, python_files, macros.opened)
        if named_hooks(models):
            hooks.read(folders)
        definitions = GenericAudits(folder, problems)
        attaching = Attaching(definitions, settings.run, macros, problems)
        audited: list[Declaration] = []
        for source in sources:
            audited += [source, *attaching.audits_of(source)]
        for seed in seeds:
            audited += [seed, *attaching.audits_of(seed)]
        for model in models:
            audited += [model, *attaching.audits_of(model)]
        singular = read_singular_audits(
            folder, (*files.models, *files.sources, *files.seeds), settings.run, macros, problems
        )
    except BaseException:
        close_python(folder)
        raise
    python = read_python(folder, python_files, hooks.opened)
    declarations = (*audited, *functions, *singular, *python.nodes, *tests)
    providers = [provider.name for provider in python.providers]
    if hooks.opened is not None or sql_hooks.is_read:
        places = {name_of_declaration(each): place_of_declaration(each) for each in declarations}
        hooks.check(models, places, providers)
        sql_hooks.check_names({name: each.place for name, each in hooks.functions.items()}, places)
    return Project(
        root=str(folder),
        settings=settings,
        declarations=declarations,
        code={**python.code, **hooks.facts(providers)} if hooks.functions else python.code,
        hooks=hooks.functions,
        providers=python.providers,
        problems=(
            *settings_problems,
            *sorted((*problems, *macros.problems, *hooks.problems, *sql_hooks.problems), key=_place),
            *python.problems,
        ),
    )


def _place(problem: Problem) -> tuple[str, int, int]:
    return problem.path, problem.line or 0, problem.column or 0


def _read_models(
    root: Path, paths: tuple[str, ...], settings: Settings, problems: list[Problem], macros: Macros, words: HookWords
) -> list[Model]:
    models: list[Model] = []
    defaults_of_folder: dict[str, ModelFields] = {}
    used: set[str] = set()
    for path in paths:
        folder = posixpath.dirname(path)
        if folder not in defaults_of_folder:
            defaults_of_folder[folder] = _defaults(folder, settings, used, problems)
        file = read_text_file(root, path, problems)
        if file is not None:
            models.append(read_model(file, defaults_of_folder[folder], problems, Visible(macros, (path,)), words))
    if models:
        problems.extend(_unused(key) for key in settings.path_defaults if key not in used)
    return models


def _defaults(folder: str, settings: Settings, used: set[str], problems: list[Problem]) -> ModelFields:
    """`[defaults]` under the one entry of `[path_defaults.*]` that fits `folder` best."""
    below_models = folder.removeprefix("models").strip("/")
    keys = matching_keys(below_models, settings.path_defaults)
    used.update(key for key in settings.path_defaults if matching_keys(below_models, (key,)))
    if len(keys) > 1:
        problems.append(
            Problem(
                code="PATH_DEFAULTS",
                message=f"[path_defaults] {', '.join(map(repr, keys))} fit {folder}/ equally well",
                help="make one of them more specific",
                path=PROJECT_FILE,
            )
        )
    layers = [settings.defaults, *(settings.path_defaults[key] for key in keys[:1])]
    of_project: ModelFields = {"incremental": {"outer_limit": settings.batch_limit}} if settings.batch_limit else {}
    return merge_layers(of_project, *map(_fields, layers))


def _fields(table: Mapping[str, object]) -> ModelFields:
    """Fields of a settings table, whose problems are known already."""
    return read_model_fields(FieldReader(located(table, TextFile(PROJECT_FILE, "")), "", []))


def _unused(key: str) -> Problem:
    return Problem(
        code="PATH_DEFAULTS",
        message=f"[path_defaults.{key}] fits no model",
        help="the key is a folder below models/; correct or remove it",
        path=PROJECT_FILE,
        severity="warning",
    )


def _read_functions(
    root: Path, paths: tuple[str, ...], settings: Settings, problems: list[Problem], macros: Macros
) -> list[Function]:
    functions: list[Function] = []
    for path in paths:
        if path.endswith(".py"):
            problems.append(
                Problem(
                    code="UNSUPPORTED",
                    message="functions in Python are not supported yet: this one is not made",
                    help="write it in SQL, in functions/sql/",
                    path=path,
                    severity="warning",
                )
            )
        elif (file := read_text_file(root, path, problems)) is not None:
            functions.append(read_function(file, problems, Visible(macros, (path,)), settings.defaults))
    return functions


def _read_sources(root: Path, paths: tuple[str, ...], problems: list[Problem], macros: Macros) -> list[Source]:
    files = (read_text_file(root, path, problems) for path in paths)
    return [source for file in files if file is not None for source in read_sources(file, problems, macros)]


def _read_tests(
    root: Path,
    paths: tuple[str, ...],
    timeout: float | None,
    problems: list[Problem],
    macros: Macros,
    models: Mapping[str, str],
) -> list[UnitTest]:
    files = (read_text_file(root, path, problems) for path in paths)
    tests = [test for file in files if file is not None for test in read_unit_tests(file, problems, macros, models)]
    return [
        dataclasses.replace(test, timeout=timeout) if test.timeout is None and test.has_time_limit else test
        for test in tests
    ]
