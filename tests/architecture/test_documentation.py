from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")


@pytest.fixture(scope="session")
def codes_of_errors(package):
    """Every error code in the source: values of `code`, and upper-case first arguments of what makes problems."""
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.keyword(arg="code", value=value) | ast.AnnAssign(target=ast.Name(id="code"), value=value):
                    found.add(_text(value))
                case ast.Assign(targets=[ast.Name(id="code")], value=value):
                    found.add(_text(value))
                case ast.arguments():
                    found |= _defaults_of_code(node)
                case ast.Call(args=[first, _, *_]):
                    found.add(_text(first))
    return {code for code in found if code and CODE.fullmatch(code) and len(code) > 2}


def _text(value: ast.expr | None) -> str | None:
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def _defaults_of_code(arguments: ast.arguments) -> set[str | None]:
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    placed = zip(reversed(arguments.args), reversed(arguments.defaults), strict=False)
    return {_text(default) for argument, default in [*named, *placed] if argument.arg == "code"}


def test_every_error_code_is_documented_and_no_other(codes_of_errors, repository):
    page = (repository / "docs" / "errors.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", page, re.MULTILINE))
    assert documented == codes_of_errors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_on_a_page_can_be_read_as_what_it_says_it_is(page):
    readers = {"python": ast.parse, "toml": tomllib.loads, "json": json.loads, "yaml": yaml.safe_load}
    for language, code in re.findall(r"^```(\w+).*?\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        readers.get(language, str)(code)
