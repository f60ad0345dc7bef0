"""Before a model with an enforced contract is built: whether its query gives just the declared columns."""

from __future__ import annotations

from sqlbuild.domain.nodes import Model
from sqlbuild.errors import ContractError
from sqlbuild.interfaces.warehouse import Connection, Extent


async def check_contract(connection: Connection, model: Model, sql: str) -> None:
    """Ask the warehouse what columns `sql` gives. Raises ContractError, and WarehouseError as the query itself would.

    The compiler has looked already, wherever it can tell the columns of the query.
    """
    result = await connection.query(f"SELECT * FROM (\n{sql}\n) AS _contract LIMIT 0", extent=Extent.WHOLE)
    await result.fetch()
    declared = [column.name for column in model.columns]
    further = _without(result.columns, declared)
    missing = _without(declared, result.columns)
    if not further and not missing:
        return
    wrong = [f"gives {', '.join(further)} besides"] if further else []
    wrong += [f"does not give {', '.join(missing)}"] if missing else []
    raise ContractError(
        f"the query of {model.name} {' and '.join(wrong)}; its contract has {', '.join(declared)}",
        help="declare the columns that the query gives, or select those that are declared",
    )


def _without(names: tuple[str, ...] | list[str], others: tuple[str, ...] | list[str]) -> list[str]:
    known = {name.lower() for name in others}
    return [name for name in names if name.lower() not in known]
