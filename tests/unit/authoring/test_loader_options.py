from __future__ import annotations

import functools

import pytest

from sqlbuild.assets import asset
from sqlbuild.authoring.declare import declaration_of
from sqlbuild.domain.columns import Column
from sqlbuild.errors import DeclarationError
from sqlbuild.loaders import AsyncLoaderContext, LoaderContext, WriteStrategy, loader


def test_everything_that_a_loader_takes_is_in_its_declaration():
    @loader(
        write_strategy="delete_insert",
        cursor_column="at",
        unique_key=["a", "b", "a"],
        destination='lake."my schema".t',
        contract="enforced",
        columns=[{"name": "at", "type": "DATE"}],
        tags=["daily"],
        pool="api",
    )
    def orders(ctx):
        """All orders."""

    node = declaration_of(orders)
    assert (node.write_strategy, node.cursor_column, node.unique_key) == (WriteStrategy.DELETE_INSERT, "at", ("a", "b"))
    assert (node.destination, node.contract, node.columns) == (
        'lake."my schema".t',
        "enforced",
        (Column(name="at", type="DATE"),),
    )
    assert (node.declared.tags, node.declared.pools, node.declared.description) == (("daily",), ("api",), "All orders.")


def test_only_loaders_may_yield():
    @loader
    def rows(ctx: LoaderContext):
        yield {}

    @loader
    async def rows_later(ctx: AsyncLoaderContext):
        yield {}

    assert not declaration_of(rows).declared.is_async
    assert declaration_of(rows_later).declared.is_async

    def generator(ctx):
        yield 1

    with pytest.raises(DeclarationError, match="a generator"):
        asset(generator)


def test_what_else_no_node_can_be_no_loader_can_be():
    for target, message in (
        (lambda ctx: [], "a lambda"),
        (dict, "a class"),
        (functools.partial(print), "a functools.partial"),
    ):
        with pytest.raises(DeclarationError, match=message):
            loader(target)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"write_strategy": "replace"}, 'write_strategy: unknown value "replace"'),
        ({"cursor_column": ""}, 'cursor_column: must be the name of a column, not ""'),
        ({"unique_key": []}, "unique_key: must be the name of a column or a list of them, not a list"),
        ({"unique_key": ["a", 1]}, "unique_key: must be the name of a column or a list of them"),
        ({"destination": "a.b.c.d"}, 'destination: must be the name of a table, not "a.b.c.d"'),
        ({"destination": "a; DROP TABLE b"}, "destination: must be the name of a table"),
        ({"contract": True}, "contract: unknown value True"),
        ({"columns": "id"}, 'columns: must be a list of dicts, not "id"'),
        ({"requires": "all"}, 'unknown parameter "requires"'),
        ({"column_lineage": {}}, 'unknown parameter "column_lineage"'),
        ({"timeout": 3}, "timeout: a `def` runs on a thread"),
    ],
)
def test_wrong_parameters_are_told(option, message):
    def rows(ctx): ...

    with pytest.raises(DeclarationError) as raised:
        loader(**option)(rows)
    assert message in str(raised.value)
