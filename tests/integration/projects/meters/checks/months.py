from assets.months import months_file

from sqlbuild.checks import CheckContext, check


@check(depends_on=months_file, severity="warn")
def a_year_is_told(ctx: CheckContext):
    return ctx.result_of(months_file).payload >= 12
