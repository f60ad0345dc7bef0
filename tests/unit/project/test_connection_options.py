"""What a `[connections.*]` table of PostgreSQL may hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sqlbuild.domain.settings import Settings
from sqlbuild.project.settings_file import read_settings

Read = Callable[..., tuple[Settings, list[str]]]

HEAD = 'name = "s"\nadapter = "postgres"\n[connections.a]\n'


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(connection: str, environ: dict[str, str] | None = None, head: str = HEAD) -> tuple[Settings, list[str]]:
        (tmp_path / "sqlbuild_project.toml").write_text(head + connection)
        settings, problems = read_settings(str(tmp_path), environ=environ or {})
        return settings, [str(problem) for problem in problems]

    return read


def test_all_options_are_read(read: Read, tmp_path: Path):
    settings, problems = read(
        'host = "db"\nport = 5433\nuser = "u"\npassword = "sesame"\ndatabase = "shop"\nsslmode = "verify-full"\n'
        'sslrootcert = "certs/ca.pem"\npassfile = "/etc/pass"\nsearch_path = ["sales", "$user"]\nconnect_timeout = 5\n'
        'statement_timeout = 600\nlock_timeout = 0.5\napplication_name = "nightly"\nprepared_statements = true\n'
        'target_session_attrs = "read-write"\n[connections.a.settings]\nwork_mem = "64MB"\n"my.flag" = true\n'
    )
    assert problems == []
    assert settings.target.schema == "public"
    assert settings.target.connection.options == {
        "host": "db",
        "port": 5433,
        "user": "u",
        "password": "sesame",
        "database": "shop",
        "sslmode": "verify-full",
        "sslrootcert": str(tmp_path / "certs/ca.pem"),
        "passfile": "/etc/pass",
        "search_path": '"sales", "$user"',
        "connect_timeout": 5.0,
        "statement_timeout": 600.0,
        "lock_timeout": 0.5,
        "application_name": "nightly",
        "prepared_statements": True,
        "target_session_attrs": "read-write",
        "settings": {"work_mem": "64MB", "my.flag": True},
    }


def test_variables_of_the_environment_are_numbers_and_booleans_where_those_are_wanted(read: Read):
    words = "\n".join(
        f'{key} = "${{ENV:{variable}}}"'
        for key, variable in [("port", "P"), ("lock_timeout", "L"), ("prepared_statements", "B"), ("password", "W")]
    )
    settings, problems = read(words, environ={"P": "6432", "L": "2.5", "B": "false", "W": "open sesame"})
    assert problems == []
    options = settings.target.connection.options
    assert (options["port"], options["lock_timeout"], options["prepared_statements"]) == (6432, 2.5, False)
    assert settings.secrets == ("open sesame",)


@pytest.mark.parametrize(
    ("dsn", "options"),
    [
        ("host=h port=6432 dbname=d user=u", {"host": "h", "port": 6432, "dbname": "d", "user": "u"}),
        (r"host='h' password = 'it\\'s a \\\\ word'", {"host": "h", "password": r"it's a \ word"}),
        ("service=prod connect_timeout=3", {"service": "prod", "connect_timeout": 3.0}),
        ("postgresql://u:w@h:1/d", {"dsn": "postgresql://u:w@h:1/d"}),
        ("postgres://u@one:1,two:2/d", {"dsn": "postgres://u@one:1,two:2/d"}),
    ],
)
def test_a_dsn_is_a_url_or_pairs_of_keys_and_values(read: Read, dsn, options):
    settings, problems = read(f'dsn = "{dsn}"')
    assert problems == []
    assert settings.target.connection.options == options


def test_keys_beside_a_dsn_come_first(read: Read):
    settings, _ = read('dsn = "host=h dbname=d"\nhost = "other"')
    assert settings.target.connection.options == {"host": "other", "dbname": "d"}


def test_variables_that_are_not_set_are_told_once_and_only_of_the_connection_that_is_used(read: Read):
    keys = ("port", "connect_timeout", "lock_timeout", "prepared_statements", "sslmode", "search_path", "password")
    unset = "\n".join(f'{key} = "${{ENV:{key.upper()}}}"' for key in keys)
    assert [problem.splitlines()[0].split(": ")[1] for problem in read(unset)[1]] == [
        f"the environment variable {key.upper()} is not set" for key in keys
    ]
    beside = f'\n[connections.b]\n{unset}\n[targets.d]\nconnection = "a"\nschema = "d"\n[targets.p]\nconnection = "b"\nschema = "p"\n'
    assert read(beside, head=f'default_target = "d"\n{HEAD}')[1] == []


def test_each_connection_may_have_an_adapter_of_its_own(read: Read):
    settings, problems = read(
        '[targets.dev]\nschema = "dev"\nconnection = "here"\n[targets.prod]\nschema = "prod"\nconnection = "there"\n'
        '[connections.here]\ndatabase = "x.duckdb"\n[connections.there]\nadapter = "postgres"\nhost = "db"\n',
        head='name = "s"\ndefault_target = "dev"\n',
    )
    assert problems == []
    adapters = {name: target.connection.adapter for name, target in settings.targets.items()}
    assert adapters == {"dev": "duckdb", "prod": "postgres"}


@pytest.mark.parametrize(
    ("connection", "secrets"),
    [
        ('password = "sesame"', {"sesame"}),
        ('dsn = "postgresql://u:p%40ss@h/d"', {"p%40ss", "p@ss"}),
        ('dsn = "host=h password=sesame"', {"sesame"}),
        ('user = "postgres"\npassword = "postgres"', set()),
        ('dsn = "postgresql://shop:shop@h/d"', set()),
    ],
)
def test_passwords_are_secrets_unless_they_are_names_too(read: Read, connection, secrets):
    assert set(read(connection)[0].secrets) == secrets


@pytest.mark.parametrize("key", ["search_path", "statement_timeout", "settings"])
def test_what_a_pooler_does_not_keep_is_a_warning(read: Read, key):
    written = {"search_path": '"x"', "statement_timeout": "5", "settings": '{ TimeZone = "UTC", work_mem = "1MB" }'}
    _, problems = read(f"prepared_statements = false\n{key} = {written[key]}")
    assert len(problems) == 1
    assert problems[0].startswith("warning[POOLER] sqlbuild_project.toml:5:")
    assert "ALTER ROLE" in problems[0]


BAD = [
    ("port = 70000", "BAD_VALUE", "`connections.a.port` is above 65535", "PostgreSQL's own port is 5432"),
    ('sslmode = "verify"', "BAD_VALUE", 'not text "verify"', "did you mean `verify-ca`?"),
    ('target_session_attrs = "readwrite"', "BAD_VALUE", 'not text "readwrite"', "did you mean `read-write`?"),
    (
        'lock_timeout = "soon"',
        "WRONG_TYPE",
        '`connections.a.lock_timeout` must be a number, not text "soon"',
        "above 0",
    ),
    ("statement_timeout = 0", "BAD_VALUE", "must be a number above 0, not 0", "leave the key out"),
    ('prepared_statements = "no"', "WRONG_TYPE", 'must be true or false, not text "no"', "without quotes"),
    ('settings = { "a b" = 1 }', "BAD_VALUE", "a b is not the name of a parameter", 'work_mem = "64MB"'),
    ("search_path = 5", "WRONG_TYPE", "must be a list of texts, not the number 5", '["first", "second"]'),
    ('dsn = "mysql://u@h/d"', "BAD_VALUE", "`connections.a.dsn` is a URL of mysql, not of postgresql", "postgresql://"),
    ('dsn = "postgresql://u@h:port/d"', "BAD_VALUE", "is no URL that can be read", "postgresql://"),
    ('dsn = "db.local shop"', "BAD_VALUE", "it is neither a URL nor pairs like host=", "postgresql://"),
    ('dsn = "host=h databse=d"', "BAD_VALUE", "unknown key `databse`", "known here"),
    ('database = "a"\ndbname = "b"', "BAD_VALUE", "`connections.a.dbname` and `database` mean the same", "keep one"),
    ('hots = "h"', "UNKNOWN_KEY", "unknown key `connections.a.hots`", "did you mean `host`?"),
    ('adapter = "mysql"', "ADAPTER", "`connections.a.adapter`: mysql is not supported", "known here: duckdb, postgres"),
]


@pytest.mark.parametrize(("connection", "code", "message", "help"), BAD)
def test_what_is_wrong_is_a_problem_with_its_line_and_fix(read: Read, connection, code, message, help):
    _, problems = read(connection)
    assert len(problems) == 1
    line = 4 + connection.count("\n")
    assert problems[0].startswith(f"error[{code}] sqlbuild_project.toml:{line}:1: ")
    assert message in problems[0]
    assert help in problems[0]
