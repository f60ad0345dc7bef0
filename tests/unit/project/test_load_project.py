from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sqlbuild.domain.incremental import BatchLimit
from sqlbuild.domain.nodes import Asset, Materialization, Model, Source, name_of_declaration
from sqlbuild.domain.project import Project
from sqlbuild.errors import ProjectError
from sqlbuild.project.load_project import load_project
from sqlbuild.project.read_python import close_python

Load = Callable[..., Project]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    def load(files: dict[str, str], **options) -> Project:
        for path, text in {"sqlbuild_project.toml": 'name = "shop"\n', **files}.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return load_project(str(tmp_path), **{"environ": {}, **options})

    yield load
    close_python(tmp_path)


def test_files_of_all_kinds_become_one_project(load: Load, tmp_path: Path):
    project = load(
        {
            "models/staging/stg_orders.sql": 'SELECT * FROM __source("raw_orders")',
            "sources/raw.yml": "sources:\n- name: raw_orders\n  schema: raw\n",
            "assets/exports.py": "from sqlbuild.assets import asset\n@asset\ndef orders_export(ctx):\n    '''Out.'''\n",
        }
    )
    assert project.problems == ()
    assert project.root == str(tmp_path)
    source, model, asset = project.declarations
    assert isinstance(source, Source)
    assert isinstance(model, Model)
    assert isinstance(asset, Asset)
    assert [name_of_declaration(node) for node in project.declarations] == ["raw_orders", "stg_orders", "orders_export"]
    assert model.place.path == "models/staging/stg_orders.sql"
    assert asset.declared.place.path == "assets/exports.py"
    assert set(project.code) == {"asset:orders_export"}


LAYERS = """
name = "shop"
[defaults]
materialized = "table"
tags = ["all"]
group = "shop"
[path_defaults.staging]
materialized = "view"
tags = ["staging"]
[path_defaults."staging/daily"]
tags = ["daily"]
"""


def test_defaults_are_layered_and_only_the_nearest_path_counts(load: Load):
    project = load(
        {
            "sqlbuild_project.toml": LAYERS,
            "models/a.sql": "SELECT 1",
            "models/staging/b.sql": "MODEL (tags [own], group mine); SELECT 1",
            "models/staging/daily/c.sql": "MODEL (materialized view); SELECT 1",
        }
    )
    assert project.problems == ()
    found = {model.name: (model.materialized, model.tags, model.group) for model in project.declarations}
    assert found == {
        "a": (Materialization.TABLE, ("all",), "shop"),
        "b": (Materialization.VIEW, ("all", "staging", "own"), "mine"),
        "c": (Materialization.VIEW, ("all", "daily"), "shop"),
    }


def test_the_limit_of_batches_of_the_project_reaches_each_of_its_incremental_models(load: Load):
    header = "MODEL (materialized incremental, incremental_strategy append, microbatch_limit (max_batches 3)); SELECT 1"
    project = load(
        {
            "sqlbuild_project.toml": 'name = "shop"\n[microbatches.limits]\nmax_batches = 9\naction = "warn"\n',
            "models/plain.sql": "SELECT 1",
            "models/grows.sql": header,
        }
    )
    grows, plain = (model.incremental for model in project.declarations)
    assert plain is None
    assert (grows.batch_limit, grows.outer_limit) == (BatchLimit(batches=3), BatchLimit(batches=9, action="warn"))


def test_path_defaults_that_fit_nothing_are_a_warning(load: Load):
    project = load({"sqlbuild_project.toml": LAYERS, "models/staging/b.sql": "SELECT 1"})
    assert [str(problem) for problem in project.problems] == [
        "warning[PATH_DEFAULTS] sqlbuild_project.toml: [path_defaults.staging/daily] fits no model\n"
        "  help: the key is a folder below models/; correct or remove it"
    ]


def test_path_defaults_that_fit_equally_well_are_a_problem(load: Load):
    settings = 'name = "s"\n[path_defaults."*/b"]\ntags = ["x"]\n[path_defaults."a/*"]\ntags = ["y"]\n'
    project = load({"sqlbuild_project.toml": settings, "models/a/b/m.sql": "SELECT 1"})
    assert [str(problem) for problem in project.problems] == [
        "error[PATH_DEFAULTS] sqlbuild_project.toml: [path_defaults] '*/b', 'a/*' fit models/a/b/ equally well\n"
        "  help: make one of them more specific"
    ]


def test_all_problems_come_together_in_the_order_of_files_and_lines(load: Load):
    project = load(
        {
            "sqlbuild_project.toml": 'name = "shop"\nadaptor = "x"\n[defaults]\nmaterialized = "tabel"\n',
            "models/b.sql": "MODEL (tag x);\nSELECT * FROM __ref(a)",
            "models/a.sql": "",
            "sources/raw.yml": "sources:\n- nam: x\n",
            "tasks/broken.py": "def (",
        }
    )
    assert [(problem.path, problem.line) for problem in project.problems] == [
        ("sqlbuild_project.toml", 2),
        ("sqlbuild_project.toml", 4),
        ("models/a.sql", 1),
        ("models/b.sql", 1),
        ("models/b.sql", 2),
        ("sources/raw.yml", 2),
        ("sources/raw.yml", 2),
        ("tasks/broken.py", 1),
    ]
    assert [name_of_declaration(node) for node in project.declarations] == ["a", "b"]


def test_names_that_stand_twice_are_left_to_the_compiler(load: Load):
    project = load({"models/a/x.sql": "SELECT 1", "models/b/x.sql": "SELECT 2"})
    assert [model.name for model in project.declarations] == ["x", "x"]
    assert project.problems == ()


def test_target_vars_and_environment_reach_the_settings(load: Load):
    settings = 'name = "${ENV:NAME}"\n[targets.a]\nschema = "a"\n[targets.b]\nschema = "b"\n'
    project = load({"sqlbuild_project.toml": settings}, target="b", vars={"x": 1}, environ={"NAME": "shop"})
    assert (project.settings.name, project.settings.target.schema, project.settings.vars) == ("shop", "b", {"x": 1})


def test_a_folder_without_settings_is_an_error(tmp_path: Path):
    with pytest.raises(ProjectError, match="the file cannot be read"):
        load_project(str(tmp_path), environ={})


def test_files_that_cannot_be_read_leave_the_others_alone(load: Load, tmp_path: Path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/gone.sql").symlink_to(tmp_path / "nothing")
    (tmp_path / "models/latin.sql").write_bytes(b"SELECT '\xe9' AS x")
    project = load({"models/fine.sql": "SELECT 1"})
    assert [(problem.code, problem.path) for problem in project.problems] == [
        ("FILE", "models/gone.sql"),
        ("ENCODING", "models/latin.sql"),
    ]
    assert [model.name for model in project.declarations] == ["fine", "latin"]
