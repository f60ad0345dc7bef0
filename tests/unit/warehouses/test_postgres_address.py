"""What a PostgreSQL connection is called in messages."""

from __future__ import annotations

import pytest

from sqlbuild.domain.settings import Connection
from sqlbuild.errors import WarehouseUnreachable
from sqlbuild.warehouses.postgres_address import server_address


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({}, "localhost"),
        ({"host": "db.example.com", "port": 5433, "database": "shop"}, "db.example.com:5433/shop"),
        ({"dsn": "postgresql://me:sesame@db.example.com:5433/shop"}, "db.example.com:5433/shop"),
        ({"dsn": "postgresql://me:ses@me/open@db.example.com/shop"}, "db.example.com/shop"),
        ({"dsn": "postgresql://me:sesame@one:1,two:2/shop"}, "one:1,two:2/shop"),
        ({"dsn": "postgresql://me:sesame@[::1]:5433/shop"}, "[::1]:5433/shop"),
        ({"dsn": "postgresql://me@/shop?host=%2Ftmp%2Fsockets&port=5433"}, "/tmp/sockets:5433/shop"),
        ({"dsn": "postgresql://me@/shop", "host": "/tmp/sockets"}, "/tmp/sockets/shop"),
        ({"dsn": "host=elsewhere password=sesame"}, "localhost"),
        ({"dsn": "postgresql://"}, "localhost"),
    ],
)
def test_a_place_names_the_server_and_no_secret(options, place):
    assert server_address(Connection(name="local", adapter="postgres", options=options)).place == place


def test_a_time_that_is_no_number_is_named():
    with pytest.raises(WarehouseUnreachable, match="connect_timeout is 'soon'"):
        server_address(Connection(name="local", adapter="postgres", options={"connect_timeout": "soon"}))
