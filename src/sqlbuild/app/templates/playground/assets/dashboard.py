"""The page that brings everything together."""

from html import escape
from pathlib import Path

from sqlbuild.assets import AssetContext, asset
from sqlbuild.refs import model

from assets._files import write_if_changed
from assets.departures import DEPARTURES
from assets.late_flights import late_flights
from tasks.exports_folder import exports_folder
from tasks.lost_luggage import lost_luggage

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Sunrise Air</title>
<style>
  body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem }}
  table {{ border-collapse: collapse; width: 100% }}
  th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd }}
  .bar {{ display: inline-block; height: .7rem; background: #e8a33d }}
</style>
<h1>Sunrise Air</h1>
<p>{flights:,} flights, {passengers:,} passengers, lost luggage: {luggage}, target {target}</p>
<h2>Months</h2>
<table>{months}</table>
<h2>Airports</h2>
<table><tr><th>Airport<th>Departures<th>Average delay<th>Wind<th>File</tr>{airports}</table>
<p><a href="{late_file}">Routes with late flights</a></p>
"""


@asset(
    depends_on=(
        model("airport_delays"),
        model("monthly_traffic"),
        exports_folder,
        late_flights,
        lost_luggage,
        *DEPARTURES.values(),
    ),
)
def dashboard(ctx: AssetContext):
    """One HTML page out of the marts and of what the other assets returned."""
    # lost_luggage is skipped on most days; the default stands in for its result.
    luggage = ctx.result_of(lost_luggage, default=None)
    months = ctx.query(
        f"SELECT monthname(make_date(2025, flight_month::INTEGER, 1)), flights, passengers "
        f"FROM {ctx.relation(model('monthly_traffic'))} ORDER BY flight_month"
    ).fetchall()
    airports = ctx.query(
        "SELECT airport, airport_name, departures, average_delay "
        f"FROM {ctx.relation(model('airport_delays'))} ORDER BY average_delay DESC"
    ).fetchall()
    most = max(flights for _, flights, _ in months)
    page = PAGE.format(
        flights=sum(flights for _, flights, _ in months),
        passengers=int(sum(passengers for _, _, passengers in months)),
        luggage=len(luggage.payload["reports"]) if luggage else "none",
        target=escape(ctx.target),
        months="".join(_month_row(name, flights, flights / most) for name, flights, _ in months),
        airports="".join(_airport_row(ctx, *airport) for airport in airports),
        late_file=ctx.result_of(late_flights).payload["file"],
    )
    path = Path(ctx.result_of(exports_folder).payload["path"]) / "dashboard.html"
    written = write_if_changed(path, page)
    return ctx.result({"path": path}, metadata={"airports": len(airports)}, materialized=written)


def _month_row(name: str, flights: int, share: float) -> str:
    return (
        f'<tr><td>{escape(name)}<td>{flights:,}<td width="60%"><span class="bar" style="width:{share:.0%}"></span></tr>'
    )


def _airport_row(ctx: AssetContext, airport: str, name: str, departures: int, delay: float) -> str:
    export = ctx.result_of(DEPARTURES[airport]).payload
    return (
        f"<tr><td>{escape(name)}<td>{departures:,}<td>{delay} min<td>{export['wind_knots']} kn"
        f'<td><a href="{escape(export["file"])}">{export["flights"]:,} rows</a></tr>'
    )
