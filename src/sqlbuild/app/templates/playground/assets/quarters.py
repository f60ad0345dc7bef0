"""Four assets from a factory: a function that makes nodes and is called once while the project is loaded."""

from collections.abc import Callable, Iterator
from pathlib import Path

from sqlbuild.assets import AssetContext, asset
from sqlbuild.factories import factory
from sqlbuild.refs import model

from assets._files import as_csv, write_if_changed
from tasks.exports_folder import exports_folder


@factory
def quarters() -> Iterator[Callable[..., object]]:
    # It might as well be `async def` and ask a service what there is to export.
    for quarter in (1, 2, 3, 4):
        yield traffic_of(quarter)


def traffic_of(quarter: int) -> Callable[..., object]:
    @asset(
        name=f"traffic_q{quarter}",
        description=f"Flights and passengers of quarter {quarter} as CSV",
        depends_on=(model("monthly_traffic"), exports_folder),
        group="traffic",
        tags=["export"],
    )
    def traffic(ctx: AssetContext):
        months = ctx.query(
            f"SELECT flight_month, flights, passengers FROM {ctx.relation(model('monthly_traffic'))} "
            "WHERE flight_month BETWEEN ? AND ? ORDER BY 1",
            [quarter * 3 - 2, quarter * 3],
        ).fetchall()
        path = Path(ctx.result_of(exports_folder).payload["path"]) / f"traffic_q{quarter}.csv"
        written = write_if_changed(path, as_csv(("flight_month", "flights", "passengers"), months))
        return ctx.result({"file": path.name, "months": len(months)}, materialized=written)

    return traffic
