"""SQL functions: made anew in the place of the old ones, whatever calls those."""

from __future__ import annotations

from sqlbuild.domain.graph import Node
from sqlbuild.domain.nodes import Function
from sqlbuild.errors import WarehouseError
from sqlbuild.runner.kinds.sql_place import placed
from sqlbuild.runner.outcomes import Outcome, Returned
from sqlbuild.runner.run_order import RunServices


async def build_function(node: Node, function: Function, services: RunServices) -> Outcome:
    """Make one function over a connection of its own. Raises WarehouseError with the place in its file."""
    assert node.relation is not None
    assert node.sql is not None
    assert services.functions is not None
    connection = services.warehouse.connect()
    try:
        await services.functions.build_function(connection, node.relation, function, node.sql)
    except WarehouseError as error:
        raise placed(error, node) from error
    finally:
        await connection.close()
    return Returned()
