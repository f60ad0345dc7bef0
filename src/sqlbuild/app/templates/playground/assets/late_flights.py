from pathlib import Path

from sqlbuild.assets import AssetContext, asset
from sqlbuild.refs import model

from assets._files import as_csv, write_if_changed
from tasks.exports_folder import exports_folder


@asset(
    depends_on=(model("fact_flights"), exports_folder),
    tags=["export"],
    columns=[
        {"name": "route", "type": "VARCHAR", "description": "Where from and where to"},
        {"name": "late_flights", "type": "BIGINT", "nullable": False},
    ],
    column_lineage={
        "route": [
            {"node": "fact_flights", "column": "origin_name"},
            {"node": "fact_flights", "column": "destination_name"},
        ],
        "late_flights": [{"node": "fact_flights", "column": "delay_minutes"}],
    },
)
def late_flights(ctx: AssetContext):
    """The routes with the most late flights as CSV; a plain def runs on a thread of its own."""
    relation = ctx.relation(model("fact_flights"))
    routes = ctx.query(
        f"SELECT origin_name || ' to ' || destination_name, count(*) FROM {relation} "
        "WHERE delay_minutes >= ? GROUP BY 1 ORDER BY 2 DESC, 1",
        [ctx.vars["late_minutes"]],
    ).fetchall()
    path = Path(ctx.result_of(exports_folder).payload["path"]) / "late_flights.csv"
    written = write_if_changed(path, as_csv(("route", "late_flights"), routes))
    return ctx.result({"file": path.name, "routes": len(routes)}, materialized=written)
