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
        ({"service": "shop"}, "the service shop"),
    ],
)
def test_a_place_names_the_server_and_no_secret(options, place):
    assert server_address(Connection(name="local", adapter="postgres", options=options)).place == place


def test_a_time_that_is_no_number_is_named():
    with pytest.raises(WarehouseUnreachable, match="connect_timeout is 'soon'"):
        server_address(Connection(name="local", adapter="postgres", options={"connect_timeout": "soon"}))


def address(**options):
    return server_address(Connection(name="local", adapter="postgres", options=options))


def test_keys_come_before_what_the_url_says():
    found = address(
        dsn="postgresql://u@h/d?connect_timeout=3&application_name=a&keepalives=1&sslmode=require&channel_binding=require",
        connect_timeout=5.0,
        sslrootcert="/ca.pem",
    )
    assert found.arguments["dsn"] == "postgresql://u@h/d?sslmode=require"
    assert found.arguments["timeout"] == 5.0
    assert found.arguments["server_settings"] == {"application_name": "a"}
    assert found.dsn_options == {"sslrootcert": "/ca.pem"}


def test_parameters_of_the_session_are_texts_for_the_server():
    found = address(
        search_path="sales, public",
        statement_timeout=1.5,
        settings={"work_mem": "64MB", "jit": False, "geqo_threshold": 10},
    )
    assert found.arguments["server_settings"] == {
        "application_name": "sqlbuild",
        "search_path": "sales, public",
        "statement_timeout": "1500ms",
        "work_mem": "64MB",
        "jit": "off",
        "geqo_threshold": "10",
    }


def test_several_hosts_have_a_port_each():
    found = address(host="one,two", port="5432,5433", target_session_attrs="read-write")
    assert found.place == "one,two:5432,5433"
    assert (found.arguments["host"], found.arguments["port"]) == (["one", "two"], [5432, 5433])


def test_a_service_is_looked_for_without_a_url_too():
    assert address(service="shop").arguments["dsn"] == "postgresql://"
    assert address(service="shop", dsn="postgresql://u@/").arguments["dsn"] == "postgresql://u@/"
