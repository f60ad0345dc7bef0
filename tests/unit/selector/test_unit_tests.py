"""Unit tests in selections: beside their models, alone, by case, and left out."""

from __future__ import annotations

import dataclasses

import pytest

from sqlbuild.domain.past import Past
from sqlbuild.domain.selection import Selection
from sqlbuild.errors import SelectionError
from sqlbuild.selector.select_nodes import select_nodes, select_only


@pytest.fixture(scope="session")
def shop(make_graph, make_node):
    """stg is tested by one test, mart by two cases of another; both are tested by a third."""

    def tested(id: str, *models: str, **declared: str):
        return make_node(id, compiled={"tests": models}, **declared)

    tests = [
        tested("test:stg_test", "model:stg"),
        tested("test:states[open]", "model:mart", block="states", case="open"),
        tested("test:states[done]", "model:mart", block="states", case="done"),
        tested("test:both", "model:stg", "model:mart"),
    ]
    models = [make_node("model:stg"), make_node("model:mart", ["model:stg"]), make_node("model:other")]
    tested_by = {model.id: tuple(test.id for test in tests if model.id in test.tests) for model in models}
    return make_graph(*tests, *(dataclasses.replace(model, tested_by=tested_by[model.id]) for model in models))


@pytest.fixture(scope="session")
def names_of(shop):
    def names(*select: str, **options) -> set[str]:
        selected = select_nodes(shop, Past(), Selection(select=select, **options))
        return {node.partition(":")[2] for node in selected.nodes}

    return names


CASES = {"states[open]", "states[done]"}


def test_tests_come_along_with_their_models(names_of):
    assert names_of("stg") == {"stg", "stg_test", "both"}
    # The target has no stg yet, so it is built too.
    assert names_of("mart") == {"stg", "mart", "stg_test", "both", *CASES}
    assert names_of("other") == {"other"}
    assert names_of("stg", no_tests=True) == {"stg"}
    assert names_of("stg", exclude=("both",)) == {"stg", "stg_test"}


def test_a_build_of_everything_has_every_test_but_those_of_what_is_excluded(names_of):
    assert names_of() == {"stg", "mart", "other", "stg_test", "both", *CASES}
    assert names_of(exclude=("mart",)) == {"stg", "other", "stg_test", "both"}
    assert names_of(no_tests=True) == {"stg", "mart", "other"}


def test_tests_are_selected_by_name_block_and_pattern(names_of, shop):
    assert names_of("test:stg_test") == {"stg_test"}
    assert names_of("states") == names_of("test:states") == CASES
    assert names_of("test:states[open]") == names_of("states[open]") == {"states[open]"}
    assert names_of("test:*s*", tests_alone=True) == {"stg_test", *CASES}
    assert select_only(shop, Past(), Selection(select=("st*",))) == {"model:stg"}
    assert select_only(shop, Past(), Selection(select=("stat*",))) == {"test:states[open]", "test:states[done]"}


def test_tests_alone_are_those_named_and_those_of_what_is_named(names_of):
    assert names_of(tests_alone=True) == {"stg_test", "both", *CASES}
    assert names_of("mart", tests_alone=True) == {"both", *CASES}
    assert names_of("mart", "stg_test", tests_alone=True) == {"stg_test", "both", *CASES}
    assert names_of(exclude=("mart",), tests_alone=True) == {"stg_test"}


def test_one_case_of_each_test(names_of):
    assert names_of("mart", tests_alone=True, case="open") == {"states[open]"}
    with pytest.raises(SelectionError, match="has a case 'opn'") as wrong:
        names_of("mart", tests_alone=True, case="opn")
    assert wrong.value.help == "there are done, open"


def test_no_test_of_what_is_selected_is_an_error(names_of):
    with pytest.raises(SelectionError, match="no unit test of what is selected"):
        names_of("other", tests_alone=True)
    assert names_of("other", tests_alone=True, allow_empty=True) == set()
    with pytest.raises(SelectionError, match="no test is called 'stg_tst'") as wrong:
        names_of("test:stg_tst", tests_alone=True)
    assert "stg_test" in wrong.value.help
