from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")


@pytest.fixture(scope="session")
def codes_of_errors(package):
    """Every error code in the source: values called `code`, and codes among the arguments of what makes problems."""
    found = {
        _text(value)
        for path in package.rglob("*.py")
        if "templates" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for value in _places_of_codes(node)
    }
    return {code for code in found if code and len(code) > 2 and CODE.fullmatch(code)}


def _places_of_codes(node: ast.AST) -> Iterable[ast.expr | None]:
    match node:
        case ast.keyword(arg="code", value=value):
            return [value]
        case (
            ast.Assign(targets=[ast.Name(id="code")], value=value)
            | ast.AnnAssign(target=ast.Name(id="code"), value=value)
        ):
            return [value]
        case ast.arguments():
            named = zip(node.kwonlyargs, node.kw_defaults, strict=True)
            placed = zip(reversed(node.args), reversed(node.defaults), strict=False)
            return [default for argument, default in [*named, *placed] if argument.arg == "code"]
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=arguments) if _makes_problems(name):
            return arguments
        case ast.Tuple(elts=[first, ast.JoinedStr() | ast.Name(id="message"), *_]):
            return [first]
    return []


def _makes_problems(function: str) -> bool:
    return function == "Finding" or any(word in function.lower() for word in ("problem", "refuse", "wrong"))


def _text(value: ast.expr | None) -> str | None:
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def test_every_error_code_is_documented_and_no_other(codes_of_errors, repository):
    page = (repository / "docs" / "errors.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", page, re.MULTILINE))
    assert documented == codes_of_errors


def test_every_promise_names_a_test_that_exists(repository):
    named = re.findall(
        r"`(tests/[a-z0-9_/]+\.py)::(\w+)`", (repository / "docs/promises.md").read_text(encoding="utf-8")
    )
    assert len(named) > 20
    missing = [
        f"{path}::{name}"
        for path, name in named
        if f"def {name}("
        not in ((repository / path).read_text(encoding="utf-8") if (repository / path).exists() else "")
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_on_a_page_can_be_read_as_what_it_says_it_is(page):
    readers = {"python": ast.parse, "toml": tomllib.loads, "json": json.loads, "yaml": yaml.safe_load}
    for language, code in re.findall(r"^```(\w+).*?\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        readers.get(language, str)(code)
