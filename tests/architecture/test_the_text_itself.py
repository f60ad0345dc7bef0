from __future__ import annotations

import ast
import re
import subprocess

import pytest

SUFFIXES = {".py", ".md", ".toml", ".yml", ".yaml", ".sql", ".html", ".cfg", ""}


@pytest.fixture(scope="session")
def texts(repository):
    """Path -> text of every file that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git repository: the list of files is not known")
    paths = [repository / name for name in listed.stdout.split("\0") if name]
    return {
        path.relative_to(repository).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in paths
        if path.is_file() and path.suffix in SUFFIXES
    }


def test_no_file_names_a_place_on_somebodys_machine(texts):
    private = re.compile(r"(?<![\w.$}])/(?:home|Users|root|work|mnt)/\w+")
    found = [f"{path}: {match[0]}" for path, text in texts.items() for match in private.finditer(text)]
    assert found == []


def test_nothing_is_left_half_done(texts):
    unfinished = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b|\bNotImplement" r"edError")
    found = [f"{path}: {match[0]}" for path, text in texts.items() for match in unfinished.finditer(text)]
    assert found == []


def test_no_folder_or_module_has_a_name_that_means_nothing(package):
    empty_words = {"utils", "util", "helpers", "helper", "common", "core", "base", "misc", "manager", "managers"}
    assert [str(path) for path in package.rglob("*") if path.stem in empty_words] == []


def test_exception_is_caught_only_where_foreign_code_is_called(package):
    allowed = {
        "runner/attempts.py",
        "runner/carried_errors.py",  # an author's exception is pickled and made again
        "runner/error_facts.py",  # str() of an author's exception
        "runner/node_output.py",  # an author's log message that cannot be made, as every handler of logging does
        "project/read_python.py",
        "reporting/dispatcher.py",
        "cli/main.py",
        "app/project_providers.py",  # a provider's class
    }
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(_catches_everything(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found <= allowed


def _catches_everything(node: ast.AST) -> bool:
    if not isinstance(node, ast.ExceptHandler):
        return False
    caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id == "Exception") for kind in caught)


def test_records_of_the_domain_are_frozen_and_have_slots(package):
    # Made for every node of a run: with object.__setattr__ for each field that would take most of the time.
    mutable = {"results.py: NodeResult", "events.py: NodeStarted", "events.py: NodeFinished"}
    loose = [
        f"{path.name}: {node.name}"
        for path in (package / "domain").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if re.match(r"record|dataclass", ast.unparse(decorator).removeprefix("dataclasses."))
        and not {"frozen=True", "slots=True"} <= set(re.findall(r"\w+=\w+", ast.unparse(decorator)))
    ]
    assert set(loose) == mutable


def test_records_are_not_made_by_dataclass(package):
    """It takes thirty times as long as `domain.record.record`, at the start of every command."""
    kept = {
        "errors.py",  # below `domain`, as the next two
        "refs.py",
        "retries.py",
        "domain/record.py",
        "runner/attempts.py",
        "runner/scheduler.py",
        "testing/project_folder.py",
        "testing/run_node.py",
    }
    made = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "templates" not in path.parts
        and re.search(r"^@dataclasses\.dataclass", path.read_text(encoding="utf-8"), re.M)
    }
    assert made <= kept
