from __future__ import annotations

import subprocess
import sys

import pytest

from sqlbuild.domain.providers import provider_name
from sqlbuild.project.load_project import load_project
from sqlbuild.project.read_python import close_python

CRM = "from sqlbuild.providers import Provider\n\n\nclass CrmClient(Provider):\n    token: str = ''\n"


@pytest.fixture
def load(tmp_path):
    def load(**files: str):
        (tmp_path / "sqlbuild_project.toml").write_text('name = "shop"\n')
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return load_project(str(tmp_path), environ={})

    yield load
    close_python(tmp_path)


@pytest.mark.parametrize(
    ("class_name", "name"),
    [
        ("WarehouseClient", "warehouse_client"),
        ("CRMClient", "crm_client"),
        ("S3", "s3"),
        ("HTTP2Pool", "http2_pool"),
        ("Crm", "crm"),
        ("already_snake", "already_snake"),
    ],
)
def test_a_provider_is_called_like_its_class(class_name, name):
    assert provider_name(class_name) == name


def test_every_class_of_the_folder_that_is_one_is_found_with_its_line(load):
    project = load(
        providers__crm=CRM + "class _Base(Provider): ...\nclass NotOne: ...\nclass Erp(_Base): ...\n",
        providers__more="from providers.crm import CrmClient\nclass Second(CrmClient): ...\n",
    )
    assert project.problems == ()
    assert [(found.name, str(found.place)) for found in project.providers] == [
        ("crm_client", "providers/crm.py:4"),
        ("erp", "providers/crm.py:8"),
        ("second", "providers/more.py:2"),
    ]


def test_classes_elsewhere_and_in_helper_files_are_none(load):
    project = load(providers___base=CRM, tasks__t=CRM, providers__crm="from providers._base import CrmClient\n")
    assert project.problems == ()
    assert project.providers == ()


def test_two_classes_of_one_name_are_a_problem(load):
    found = load(providers__a=CRM, providers__b=CRM.replace("CrmClient", "CRMClient")).problems
    assert [(problem.code, problem.path, problem.line) for problem in found] == [
        ("DUPLICATE_NAME", "providers/b.py", 4)
    ]
    assert "providers/a.py:4" in found[0].message


def test_a_class_with_two_ways_to_open_is_a_problem(load):
    body = CRM + "    def setup(self, ctx): ...\n    async def __aenter__(self): ...\n"
    assert [problem.code for problem in load(providers__a=body).problems] == ["PROVIDER"]


def test_a_parameter_named_like_a_provider_is_filled(load):
    project = load(
        providers__crm=CRM,
        tasks__t="from sqlbuild.tasks import task\n@task\ndef push(ctx, crm_client, *, limit=3): ...\n",
    )
    assert project.problems == ()
    assert project.declarations[0].declared.providers == ("crm_client",)


@pytest.mark.parametrize(
    ("parameter", "help"),
    [
        ("crm_clint", "did you mean the provider `crm_client`?"),
        ("carrier", "the providers are crm_client; give it a default, as in `carrier=carrier`, or remove it"),
    ],
)
def test_a_parameter_that_nobody_fills_names_the_providers(load, parameter, help):
    node = f"from sqlbuild.tasks import task\n@task\ndef push(ctx, {parameter}): ...\n"
    (problem,) = load(providers__crm=CRM, tasks__t=node).problems
    assert (problem.code, problem.message) == ("PARAMETER", f"push: nothing is given to the parameter `{parameter}`")
    assert problem.help == help


@pytest.mark.parametrize(
    ("body", "used"),
    [
        ("def push(ctx): ctx.providers.crm_client.post()", ("crm_client",)),
        ("def push(ctx): help(ctx)\ndef help(ctx): return ctx.providers.crm_client", ("crm_client",)),
        ("def push(ctx): help(ctx.providers)\ndef help(them): return them.crm_client", ("crm_client",)),
        ("def push(ctx):\n    def inner(): return ctx.providers.crm_client\n    inner()", ("crm_client",)),
        ("def push(ctx): ctx.providers.other", ()),
        ("def push(ctx): crm_client = 3; ctx.crm_client", ()),
        ("def push(ctx): ...", ()),
    ],
)
def test_what_a_node_uses_of_ctx_providers_is_seen_in_its_code(load, body, used):
    project = load(providers__crm=CRM, tasks__t=f"from sqlbuild.tasks import task\n@task\n{body}\n")
    assert project.problems == ()
    assert project.code["task:push"].providers == used


def test_without_the_extra_the_problem_says_what_to_install(tmp_path):
    (tmp_path / "sqlbuild_project.toml").write_text('name = "shop"\n')
    (tmp_path / "providers").mkdir()
    (tmp_path / "providers" / "crm.py").write_text(CRM)
    code = f"""
import sys
sys.modules["pydantic_settings"] = None
from sqlbuild.project.load_project import load_project
print(*load_project({str(tmp_path)!r}, environ={{}}).problems, sep="\\n")
try:
    import sqlbuild.providers
except ImportError as error:
    print(error)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    told = (
        "sqlbuild.providers needs pydantic-settings, which is not installed\n  help: pip install 'sqlbuild[providers]'"
    )
    assert out == f"error[EXTRA] providers/crm.py:1: {told}\nerror[EXTRA] {told}\n"


def test_a_project_without_providers_does_not_load_pydantic(tmp_path):
    (tmp_path / "sqlbuild_project.toml").write_text('name = "shop"\n')
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "t.py").write_text("from sqlbuild.tasks import task\n@task\ndef push(ctx): ...\n")
    code = f"""
import sys
from sqlbuild.app.opening import ProjectOptions, open_project
open_project(ProjectOptions(root={str(tmp_path)!r}))
print([name for name in sys.modules if name.startswith("pydantic")])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
