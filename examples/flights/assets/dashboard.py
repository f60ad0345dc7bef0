"""The page that brings everything together; it depends on every slice, the picture and the marts."""

from html import escape
from pathlib import Path
from string import Template

from sqlbuild.assets import AssetContext, asset
from sqlbuild.refs import model

from assets._files import EXPORTS, write_if_changed
from assets.delays_picture import MONTHS, delays_picture
from assets.slices import SLICES
from tasks.reconcile_registry import reconcile_registry

MARTS = {name: model(name) for name in ("carrier_month", "route_summary", "weather_impact", "daily_traffic", "fleet")}
PAGE = Template((Path(__file__).parent / "_dashboard.html").read_text(encoding="utf-8"))


@asset(depends_on=[*SLICES, delays_picture, reconcile_registry, *MARTS.values()])
def dashboard(ctx: AssetContext):
    """One HTML page: totals, the picture, a link to every slice, routes, weather and fleet."""
    marts = {name: ctx.relation(reference) for name, reference in MARTS.items()}
    slices = [ctx.result_of(function).payload for function in SLICES]
    reconciled = ctx.result_of(reconcile_registry, default=None)
    flights, cancelled, delay, miles = ctx.query(
        "SELECT sum(flights), sum(cancelled), sum(average_arr_delay * arrived) / nullif(sum(arrived), 0), sum(miles) "
        f"FROM {marts['carrier_month']}"
    ).fetchone()
    worst_day, worst_delay = ctx.query(
        f"SELECT flight_date, average_dep_delay FROM {marts['daily_traffic']} ORDER BY average_dep_delay DESC LIMIT 1"
    ).fetchone()
    tiles = [
        (f"{flights:,}", "flights"),
        (f"{miles / 1_000_000:,.0f} M", "miles flown"),
        (f"{100 * cancelled / flights:.1f} %", "cancelled"),
        (f"{delay:.1f} min", "average arrival delay"),
        (f"{worst_delay:.0f} min", f"average departure delay on {worst_day:%-d %B}, the worst day"),
        (f"{len(slices)}", f"slices, {sum(each['bytes'] for each in slices) / 1e6:.1f} MB of CSV"),
        (f"{reconciled.payload['summaries']}" if reconciled else "none", "summaries in the registry"),
    ]
    page = PAGE.substitute(
        target=escape(ctx.target),
        run_id=escape(ctx.run_id),
        tiles="".join(f"<div class=tile><b>{value}</b><span>{escape(label)}</span></div>" for value, label in tiles),
        picture=Path(ctx.result_of(delays_picture).payload["path"]).name,
        grid=_grid(ctx, marts["carrier_month"], slices),
        routes=_table(
            ctx,
            f"{marts['route_summary']} ORDER BY flights DESC LIMIT 12",
            {
                "route": "origin || ' to ' || coalesce(dest_name, dest)",
                "flights": "flights",
                "carriers": "carriers",
                "miles": "miles",
                "delay, min": "average_arr_delay",
            },
        ),
        weather=_table(
            ctx,
            f"{marts['weather_impact']} ORDER BY average_dep_delay DESC",
            {
                "weather": "weather",
                "flights": "flights",
                "delay, min": "average_dep_delay",
                "cancelled, %": "percent_cancelled",
            },
        ),
        fleet=_table(
            ctx,
            f"{marts['fleet']} ORDER BY flights DESC LIMIT 8",
            {"manufacturer": "manufacturer", "planes": "planes", "flights": "flights", "age, years": "average_age"},
        ),
    )
    path = EXPORTS / ctx.target / "dashboard.html"
    written = write_if_changed(path, page.encode())
    return ctx.result({"path": path.relative_to(EXPORTS.parent), "slices": len(slices)}, materialized=written)


def _table(ctx: AssetContext, rows_from: str, columns: dict[str, str]) -> str:
    """A table of `columns`: heading -> SQL expression."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in columns)
    found = ctx.query(f"SELECT {', '.join(columns.values())} FROM {rows_from}")
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in found)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, str) or value is None:
        return f"<td>{escape(value or '')}</td>"
    return f"<td class=number>{value:,}</td>"


def _grid(ctx: AssetContext, carrier_month: str, slices: list[dict]) -> str:
    """Carriers by months: each cell shows the flights, is shaded by delay and leads to its CSV file."""
    facts = {
        (carrier, month): (name, flights, delay)
        for carrier, name, month, flights, delay in ctx.query(
            f"SELECT carrier, carrier_name, month, flights, average_arr_delay FROM {carrier_month}"
        )
    }
    files = {(each["carrier"], each["month"]): each["path"] for each in slices}
    rows = []
    for carrier in sorted({carrier for carrier, _ in files}):
        name = next(name for (code, _), (name, _, _) in facts.items() if code == carrier)
        cells = "".join(_slice_cell(files.get((carrier, month)), facts.get((carrier, month))) for month in range(1, 13))
        rows.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    head = "".join(f"<th>{month}</th>" for month in MONTHS)
    return f"<table class=grid><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _slice_cell(path: str | None, fact: tuple[str, int, float | None] | None) -> str:
    if path is None or fact is None:
        return "<td></td>"
    _, flights, delay = fact
    strength = min(abs(delay or 0) / 35, 1) * 70
    colour = "var(--late)" if (delay or 0) > 0 else "var(--early)"
    shade = f"background: color-mix(in srgb, {colour} {strength:.0f}%, transparent)"
    link = "/".join(Path(path).parts[-2:])
    return f'<td class=number style="{shade}"><a href="{link}" title="{delay or 0:.0f} min late on average">{flights:,}</a></td>'
