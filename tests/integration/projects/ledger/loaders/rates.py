import datetime
from decimal import Decimal

from sqlbuild.loaders import loader


@loader
def raw_rates():
    day = datetime.date(2026, 1, 1)
    yield {"day": day, "code": "EUR", "rate": Decimal(1)}
    yield [{"day": day, "code": "USD", "rate": Decimal("0.9")}]
