"""`sqlbuild_project.toml` with the overrides of `sqlbuild_local.toml` becomes `Settings`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlbuild.domain.settings import Settings
from sqlbuild.errors import Problem, ProjectError
from sqlbuild.project.field_reader import FieldReader, nearest
from sqlbuild.project.known_keys import (
    CONNECTION_KEYS,
    DEFAULTS_KEYS,
    HOOK_KEYS,
    IGNORED_SETTINGS_TABLES,
    MODEL_KEYS,
    PLACE_DEFAULTS_KEYS,
    SETTINGS_KEYS,
)
from sqlbuild.project.located import Located, plain
from sqlbuild.project.model_fields import read_model_fields, read_name
from sqlbuild.project.placeholders import Placeholders
from sqlbuild.project.read_limits import read_limit_of_batches, read_pools, read_run_settings
from sqlbuild.project.read_targets import Surroundings, read_targets
from sqlbuild.project.text_file import read_text_file
from sqlbuild.project.toml_file import merge_tables, read_toml

PROJECT_FILE = "sqlbuild_project.toml"
LOCAL_FILE = "sqlbuild_local.toml"


def read_settings(
    root: str,
    *,
    target: str | None = None,
    vars: Mapping[str, object] | None = None,
    environ: Mapping[str, str],
) -> tuple[Settings, tuple[Problem, ...]]:
    """The settings of the project in `root`, and all that is wrong with them.

    `target` and `vars` come from the command line and win. Raises ProjectError if there is no readable project file;
    with any other error among the problems the settings are a best guess that lets the rest be checked.
    """
    problems: list[Problem] = []
    content = _read_files(Path(root), problems)
    placeholders = Placeholders(environ, problems)
    filled = {
        key: entry if key in ("connections", "targets") else placeholders.fill(entry, key=key)
        for key, entry in content.table.items()
    }
    top = FieldReader(Located(filled, content.file), "", problems)
    top.refuse_unknown(SETTINGS_KEYS, IGNORED_SETTINGS_TABLES)
    top.require("name", 'write name = "my_project"')
    name = top.text("name") or "project"
    around = Surroundings(
        root=root,
        project_name=name,
        adapter=_adapter(top),
        home=environ.get("HOME", ""),
        placeholders=placeholders,
    )
    targets = read_targets(top, target, around)
    settings = Settings(
        name=name,
        target=targets.chosen,
        targets=targets.by_name,
        run=read_run_settings(top, targets.table, placeholders),
        batch_limit=read_limit_of_batches(top),
        pools=read_pools(top),
        defaults=_model_defaults(top.table("defaults"), DEFAULTS_KEYS | PLACE_DEFAULTS_KEYS),
        path_defaults={
            folder: _model_defaults(reader, MODEL_KEYS - HOOK_KEYS)
            for folder, reader in _tables(top, "path_defaults").items()
        },
        vars=_vars(top, targets.table) | dict(vars or {}),
        secrets=placeholders.secrets,
    )
    return settings, tuple(map(placeholders.mask, problems))


def _read_files(root: Path, problems: list[Problem]) -> Located:
    file = read_text_file(root, PROJECT_FILE, problems)
    content = read_toml(file, problems) if file else None
    if content is None:
        raise ProjectError(problems)
    if misplaced := content.table.get("target"):
        problems.append(
            misplaced.problem(
                "UNKNOWN_KEY",
                "`target` is a personal choice",
                f"write default_target here, or `target` in {LOCAL_FILE}",
                at_key=True,
            )
        )
    local_file = read_text_file(root, LOCAL_FILE, problems) if (root / LOCAL_FILE).exists() else None
    local = read_toml(local_file, problems) if local_file else None
    return merge_tables(content, local) if local else content


def _adapter(top: FieldReader) -> str | None:
    written = top.text("adapter") or "duckdb"
    if written in CONNECTION_KEYS:
        return written
    top.refuse("adapter", f"`adapter`: {written} is not supported", nearest(written, CONNECTION_KEYS), code="ADAPTER")
    return None


def _tables(top: FieldReader, key: str) -> dict[str, FieldReader]:
    table = top.table(key)
    return table.tables() if table else {}


def _model_defaults(reader: FieldReader | None, known: frozenset[str]) -> dict[str, object]:
    if reader is None:
        return {}
    read_model_fields(reader, known=known)
    for key in PLACE_DEFAULTS_KEYS & known:
        read_name(reader, key)
    return {key: plain(entry) for key, entry in reader.entries.items()}


def _vars(top: FieldReader, target: FieldReader) -> dict[str, object]:
    """Project vars, then the target's; but the local file's, of either, come after those of the project file."""
    reader = top.table("vars")
    if reader is None or not all(reader.is_json(key) for key in reader.entries):
        project: Mapping[str, Located] = {}
    else:
        project = reader.entries
    of_target = target.entries["vars"].table if "vars" in target.entries else {}
    return {
        key: plain(entry)
        for local in (False, True)
        for table in (project, of_target)
        for key, entry in table.items()
        if (entry.file.path == LOCAL_FILE) is local
    }
