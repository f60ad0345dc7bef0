import io

from sqlbuild.assets import AssetContext, asset
from sqlbuild.refs import model

from assets._files import EXPORTS, write_if_changed

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


# Drawing keeps the interpreter busy for a second, in which the exports beside it would wait: it has one of its own.
@asset(depends_on=(model("carrier_month"), model("airport_delays")), isolate="process", timeout=120)
def delays_picture(ctx: AssetContext):
    """Delays by carrier and month, and by hour of the day, as a PNG."""
    # Imported here and not above: matplotlib takes half a second, which `sqb list` need not spend.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.figure import Figure

    delays = {
        (name, month): float(delay)
        for name, month, delay in ctx.query(
            f"SELECT carrier_name, month, average_arr_delay FROM {ctx.relation(model('carrier_month'))} WHERE arrived > 0"
        )
    }
    carriers = [
        row[0]
        for row in ctx.query(
            f"SELECT carrier_name FROM {ctx.relation(model('carrier_month'))} GROUP BY 1 "
            "ORDER BY sum(average_arr_delay * arrived) / nullif(sum(arrived), 0)"
        )
    ]
    hours = ctx.query(
        f"SELECT origin, scheduled_hour, percent_late FROM {ctx.relation(model('airport_delays'))} ORDER BY 1, 2"
    ).fetchall()

    figure = Figure(figsize=(13, 5.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    by_month, by_hour = figure.subplots(1, 2, width_ratios=(1.25, 1))

    grid = [[delays.get((carrier, month), float("nan")) for month in range(1, 13)] for carrier in carriers]
    shades = by_month.imshow(grid, cmap="RdYlBu_r", norm=TwoSlopeNorm(0, vmin=-30, vmax=45), aspect="auto")
    by_month.set_xticks(range(12), MONTHS)
    by_month.set_yticks(range(len(carriers)), carriers)
    by_month.tick_params(length=0)
    by_month.set_title("Average arrival delay, minutes", loc="left", weight="bold")
    by_month.spines[:].set_visible(False)
    figure.colorbar(shades, ax=by_month, shrink=0.7, extend="both")

    for origin, colour in (("EWR", "#d1495b"), ("JFK", "#00798c"), ("LGA", "#edae49")):
        line = [(hour, late) for airport, hour, late in hours if airport == origin]
        by_hour.plot(*zip(*line, strict=True), color=colour, linewidth=2.2, marker="o", markersize=4, label=origin)
    by_hour.set_title("Departures 30 minutes late or more, percent", loc="left", weight="bold")
    by_hour.set_xlabel("scheduled hour of departure")
    by_hour.set_xticks(range(6, 24, 3))
    by_hour.set_ylim(bottom=0)
    by_hour.grid(axis="y", color="#dddddd")
    by_hour.spines[["top", "right", "left"]].set_visible(False)
    by_hour.legend(frameon=False)

    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=130, metadata={"Software": None})
    path = EXPORTS / ctx.target / "delays.png"
    written = write_if_changed(path, picture.getvalue())
    return ctx.result(
        {"path": path.relative_to(EXPORTS.parent), "bytes": len(picture.getvalue())}, materialized=written
    )
