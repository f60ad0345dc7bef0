from pathlib import Path

from sqlbuild.checks import CheckContext, check

from assets.departures import DEPARTURES
from tasks.exports_folder import exports_folder


@check(depends_on=(exports_folder, *DEPARTURES.values()), tags=["export"])
def every_airport_has_its_file(ctx: CheckContext) -> bool:
    """True or False is enough where there is nothing more to say."""
    folder = Path(ctx.result_of(exports_folder).payload["path"])
    return all((folder / ctx.result_of(airport).payload["file"]).exists() for airport in DEPARTURES.values())
