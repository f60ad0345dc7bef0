from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.domain.incremental import BatchLimit
from sqlbuild.domain.settings import Connection, Pool, RunSettings, Settings, Target
from sqlbuild.errors import ProjectError
from sqlbuild.project.located import plain
from sqlbuild.project.settings_file import read_settings
from sqlbuild.project.text_file import TextFile
from sqlbuild.project.toml_file import read_toml

Read = Callable[..., tuple[Settings, list[str]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(project: str, local: str | None = None, **options) -> tuple[Settings, list[str]]:
        (tmp_path / "sqlbuild_project.toml").write_text(project)
        if local is not None:
            (tmp_path / "sqlbuild_local.toml").write_text(local)
        settings, problems = read_settings(str(tmp_path), **{"environ": {}, **options})
        return settings, [str(problem) for problem in problems]

    return read


WHOLE = """
name = "waffle_shop"
adapter = "duckdb"
default_target = "dev"

[connections.local]
database = "data/shop.duckdb"
extensions = ["httpfs"]
read_only = false
[connections.local.settings]
memory_limit = "4GB"
threads = 2

[connections.memory]
database = ":memory:"

[targets.dev]
connection = "local"
schema = "dev"
vars = { region = "eu" }

[targets.prod]
connection = "memory"
database = "shop"
schema = "prod"

[settings]
concurrency = 32
threads = 8
connections = 2
blocked_loop_seconds = 1
fsync = true
keep_runs = 5
max_payload_bytes = 1000
secret_env = ["TOKEN"]

[defaults]
materialized = "table"
tags = ["shop"]

[path_defaults."models/staging"]
materialized = "view"
columns = { id = { type = "INTEGER" } }

[microbatches.limits]
max_batches = 9
action = "warn"

[pools.crm_api]
slots = 8
rate = "120/min"
burst = 10
[pools.disk]
slots = 1

[vars]
region = "us"
days = 30
"""


def test_a_whole_file_is_read(read: Read, tmp_path: Path):
    settings, problems = read(WHOLE)
    local = Connection(
        name="local",
        adapter="duckdb",
        options={
            "database": str(tmp_path / "data/shop.duckdb"),
            "settings": {"memory_limit": "4GB", "threads": 2},
            "extensions": ("httpfs",),
            "read_only": False,
        },
    )
    memory = Connection(name="memory", adapter="duckdb", options={"database": ":memory:"})
    dev = Target(name="dev", connection=local, schema="dev", vars={"region": "eu"})
    prod = Target(name="prod", connection=memory, schema="prod", database="shop")
    assert problems == []
    assert settings == Settings(
        name="waffle_shop",
        target=dev,
        targets={"dev": dev, "prod": prod},
        run=RunSettings(
            concurrency=32,
            threads=8,
            connections=2,
            blocked_loop_seconds=1.0,
            fsync=True,
            keep_runs=5,
            max_payload_bytes=1000,
            secret_env=("TOKEN",),
        ),
        batch_limit=BatchLimit(batches=9, action="warn"),
        pools={
            "crm_api": Pool(name="crm_api", slots=8, rate=2.0, burst=10),
            "disk": Pool(name="disk", slots=1),
        },
        defaults={"materialized": "table", "tags": ["shop"]},
        path_defaults={"models/staging": {"materialized": "view", "columns": {"id": {"type": "INTEGER"}}}},
        vars={"region": "eu", "days": 30},
    )
    assert list(settings.pools) == ["crm_api", "disk"]


def test_only_a_name_is_needed(read: Read, tmp_path: Path):
    settings, problems = read('name = "shop"')
    connection = Connection(name="default", adapter="duckdb", options={"database": str(tmp_path / "shop.duckdb")})
    target = Target(name="dev", connection=connection, schema="main")
    assert problems == []
    assert settings == Settings(name="shop", target=target, targets={"dev": target})


def test_the_only_connection_is_the_one_targets_use(read: Read):
    settings, problems = read(
        'name = "s"\n[connections.here]\ndatabase = ":memory:"\n[targets.a]\nschema = "a"\n[targets.b]\nschema = "b"',
        target="b",
    )
    assert problems == []
    assert {target.connection.name for target in settings.targets.values()} == {"here"}
    assert settings.target.schema == "b"


def test_the_only_connection_is_also_used_without_targets(read: Read):
    settings, problems = read('name = "s"\n[connections.here]\ndatabase = ":memory:"')
    assert (settings.target.connection.name, problems) == ("here", [])


@pytest.mark.parametrize(
    ("written", "path"),
    [("x.duckdb", "{root}/x.duckdb"), ("/tmp/x.duckdb", "/tmp/x.duckdb"), ("~/x.duckdb", "/srv/me/x.duckdb")],
)
def test_a_database_path_starts_at_the_root(read: Read, tmp_path: Path, written: str, path: str):
    settings, _ = read(f'name = "s"\n[connections.a]\ndatabase = "{written}"', environ={"HOME": "/srv/me"})
    assert settings.target.connection.options["database"] == path.format(root=tmp_path)


ON_POSTGRES = (
    'name = "s"\nadapter = "postgres"\n[connections.a]\n{}\n[targets.dev]\nschema = "dev"\ndatabase = "shop"\n'
)


@pytest.mark.parametrize("written", ['database = "shop"', 'dbname = "shop"', 'dsn = "postgresql://u@h:1/shop?x=y"'])
def test_the_database_of_a_postgres_connection_need_not_be_named(read: Read, written):
    settings, problems = read(ON_POSTGRES.format(written))
    assert problems == []
    assert settings.target.database == ""


def test_postgres_options_are_kept(read: Read):
    settings, problems = read(
        'name = "s"\nadapter = "postgres"\n[connections.a]\nhost = "h"\nport = 5433\nuser = "u"\ndbname = "d"\n'
        "connect_timeout = 5"
    )
    assert problems == []
    assert settings.target.connection == Connection(
        name="a",
        adapter="postgres",
        options={"host": "h", "port": 5433, "user": "u", "dbname": "d", "connect_timeout": 5.0},
    )


LOCAL = """
target = "dev"
[targets.dev]
schema = "dev_alice"
[connections.local]
database = "alice.duckdb"
[settings]
threads = 3
[vars]
region = "local"
"""


def test_the_local_file_overrides_key_by_key(read: Read, tmp_path: Path):
    settings, problems = read(WHOLE.replace('default_target = "dev"', 'default_target = "prod"'), LOCAL)
    assert problems == []
    assert settings.target.name == "dev"
    assert settings.target.schema == "dev_alice"
    assert settings.target.connection.options["database"] == str(tmp_path / "alice.duckdb")
    assert settings.target.connection.options["extensions"] == ("httpfs",)
    assert (settings.run.threads, settings.run.concurrency) == (3, 32)


def test_vars_are_layered(read: Read):
    assert read(WHOLE)[0].vars == {"region": "eu", "days": 30}
    assert read(WHOLE, target="prod")[0].vars == {"region": "us", "days": 30}
    assert read(WHOLE, LOCAL)[0].vars == {"region": "local", "days": 30}
    assert read(WHOLE, LOCAL, vars={"days": None, "x": [1]})[0].vars == {"region": "local", "days": None, "x": [1]}


def test_the_command_line_chooses_before_the_local_file(read: Read):
    assert read(WHOLE, LOCAL, target="prod")[0].target.name == "prod"


def test_a_target_may_replace_the_concurrency(read: Read):
    settings, problems = read(
        'name="s"\ndefault_target="b"\n[settings]\nconcurrency=5\n'
        '[targets.a]\nschema="a"\nconcurrency=6\n[targets.b]\nschema="b"\nconcurrency=7'
    )
    assert (settings.run.concurrency, problems) == (7, [])


SECRETS = """
name = "s"
adapter = "postgres"
default_target = "dev"
[connections.dev]
host = "${ENV:HOST}-x.${ENV:DOMAIN}"
password = "${ENV:PASSWORD}"
user = "${SECRET:USER}"
[connections.prod]
host = "${ENV:PROD_HOST}"
dsn = "postgresql://u:${ENV:PROD_PASSWORD}@h/d"
[targets.dev]
schema = "dev"
connection = "dev"
[targets.prod]
schema = "prod_${ENV:SUFFIX}"
connection = "prod"
[vars]
api_key = "${ENV:API_KEY}"
"""
ENVIRON = {"HOST": "db", "DOMAIN": "local", "PASSWORD": "pass word", "USER": "alice", "API_KEY": "k1234"}
PROD = {"PROD_HOST": "prod.local", "PROD_PASSWORD": "p%40ss", "SUFFIX": "eu"}


def test_placeholders_are_filled_in_from_the_environment_given(read: Read):
    settings, problems = read(SECRETS, environ=ENVIRON)
    assert problems == []
    assert settings.target.connection.options == {"host": "db-x.local", "password": "pass word", "user": "alice"}
    assert settings.vars == {"api_key": "k1234"}


def test_secrets_are_collected_and_a_dsn_gives_only_its_password(read: Read):
    settings, problems = read(SECRETS, environ=ENVIRON | PROD)
    assert problems == []
    assert set(settings.secrets) == {"pass word", "alice", "k1234", "p%40ss", "p@ss"}
    assert "secrets" not in repr(settings)


@pytest.mark.parametrize(
    ("dsn", "secrets"),
    [
        ("host=h password=${ENV:P} user=u", {"pa55word"}),
        ("host=h password='${ENV:P} x'", {"pa55word x"}),
        ("postgresql://${ENV:P}@h/d", set()),
        ("postgresql://u:${ENV:P}@[h/d", set()),
    ],
)
def test_of_a_dsn_only_the_password_is_a_secret(read: Read, dsn: str, secrets: set[str]):
    text = f'name = "s"\nadapter = "postgres"\n[connections.a]\ndsn = "{dsn}"\n'
    assert set(read(text, environ={"P": "pa55word"})[0].secrets) == secrets


def test_a_variable_of_secret_env_is_a_secret(read: Read):
    text = 'name = "s"\n[settings]\nsecret_env = ["TOKEN", "OTHER"]'
    assert read(text, environ={"TOKEN": "abcdef"})[0].secrets == ("abcdef",)


def test_a_short_secret_is_a_warning_and_not_masked(read: Read):
    settings, problems = read('name = "s"\n[vars]\na = "${SECRET:A}"', environ={"A": "xyz"})
    assert settings.secrets == ()
    assert problems == [
        "warning[SECRET] sqlbuild_project.toml:3:1: the value of A is too short to be masked\n"
        "  help: use a secret of at least 4 characters"
    ]


def test_no_problem_shows_a_secret(read: Read):
    text = 'name = "s"\nadapter = "postgres"\n[connections.a]\nport = "${SECRET:A}"\n'
    _, problems = read(text, environ={"A": "hunter2"})
    assert problems == [
        'error[WRONG_TYPE] sqlbuild_project.toml:4:1: `connections.a.port` must be a whole number, not text "****"\n'
        "  help: write a whole number of at least 1"
    ]


def test_a_port_may_come_from_the_environment(read: Read):
    text = 'name = "s"\nadapter = "postgres"\n[connections.a]\nport = "${ENV:A}"\n'
    settings, problems = read(text, environ={"A": "5433"})
    assert (settings.target.connection.options, problems) == ({"port": 5433}, [])


def test_a_missing_variable_of_the_chosen_target_is_a_problem(read: Read):
    _, problems = read(SECRETS, environ={"HOST": "db", "DOMAIN": "x", "API_KEY": "k1234", "USER": "alice"})
    assert problems == [
        "error[VARIABLE] sqlbuild_project.toml:7:1: the environment variable PASSWORD is not set\n"
        "  help: set it: export PASSWORD=..."
    ]


def test_missing_variables_of_other_targets_do_not_matter(read: Read):
    settings, problems = read(SECRETS, environ=ENVIRON)
    assert problems == []
    assert settings.targets["prod"].schema == "prod_${ENV:SUFFIX}"
    _, problems = read(SECRETS, environ=ENVIRON, target="prod")
    assert [problem.splitlines()[0].rpartition("variable ")[2] for problem in problems] == [
        "SUFFIX is not set",
        "PROD_HOST is not set",
        "PROD_PASSWORD is not set",
    ]


NAME = 'name = "s"\n'
TEXT_HELP = 'write it in double quotes, for example "abc"'
BAD = [
    ("", "MISSING_KEY", "", "`name` is missing", 'write name = "my_project"'),
    ("name = 5", "WRONG_TYPE", "1:1", "`name` must be text, not the number 5", TEXT_HELP),
    ('name = " "', "BAD_VALUE", "1:1", "`name` is empty", "give it a value or leave the key out"),
    (NAME + 'adaptor = "duckdb"', "UNKNOWN_KEY", "2:1", "unknown key `adaptor`", "did you mean `adapter`?"),
    (NAME + 'target = "dev"', "UNKNOWN_KEY", "2:1", "`target` is a personal choice", "write default_target here, or `target` in sqlbuild_local.toml"),
    (NAME + 'adapter = "snowflake"', "ADAPTER", "2:1", "`adapter`: snowflake is not supported", "known here: duckdb, postgres"),
    (NAME + 'adapter = "sqlite"\n[connections.a]\npath = "x"', "ADAPTER", "2:1", "`adapter`: sqlite is not supported", "known here: duckdb, postgres"),
    (NAME + 'adapter = "duckbd"', "ADAPTER", "2:1", "`adapter`: duckbd is not supported", "did you mean `duckdb`?"),
    (NAME + 'adapter = "postgres"', "TARGET", "", "there is no connection", "write a table [connections.NAME]"),
    (NAME + 'default_target = "x"', "TARGET", "2:1", "`default_target`: there is no target `x`", "targets: dev"),
    (NAME + 'targets = 5', "WRONG_TYPE", "2:1", "`targets` must be a table, not the number 5", "give `targets` keys of its own"),
    (NAME + '[targets]\ndev = 5', "WRONG_TYPE", "3:1", "`targets.dev` must be a table, not the number 5", "give `targets.dev` keys of its own"),
    (NAME + '[targets.dev]\nschma = "a"\nschema = "b"', "UNKNOWN_KEY", "3:1", "unknown key `targets.dev.schma`", "did you mean `schema`?"),
    (NAME + "[targets.dev]", "MISSING_KEY", "2:1", "`targets.dev.schema` is missing", 'write schema = "...": each target builds into a schema of its own'),
    (NAME + "[targets.dev]\nschema = 2024-01-01", "WRONG_TYPE", "3:1", "`targets.dev.schema` must be text, not a date or time", TEXT_HELP),
    (NAME + '[targets.dev]\nschema = "a"\nconnection = "lokal"\n[connections.local]\ndatabase = "x"', "TARGET", "4:1", "`targets.dev.connection`: there is no connection `lokal`", "did you mean `local`?"),
    (NAME + '[targets.dev]\nschema = "a"\nconnection = "x"', "TARGET", "4:1", "`targets.dev.connection`: there is no connection `x`", "write [connections.x]"),
    (NAME + '[connections.a]\ndatabase = "x"\n[connections.b]\ndatabase = "y"\n[targets.dev]\nschema = "a"', "TARGET", "6:1", "`targets.dev` names no connection", "write connection = ... in [targets.*]; connections: a, b"),
    (NAME + '[targets.dev]\nschema = "a"\nvars = [1]', "WRONG_TYPE", "4:1", "`targets.dev.vars` must be a table, not a list", "give `targets.dev.vars` keys of its own"),
    (NAME + '[targets.dev]\nschema = "a"\nconcurrency = 0', "BAD_VALUE", "4:1", "`targets.dev.concurrency` must be at least 1, not 0", "write a whole number of at least 1, or leave the key out"),
    (NAME + "[connections.a]", "MISSING_KEY", "2:1", "`connections.a.database` is missing", 'write database = "s.duckdb", or ":memory:"'),
    (NAME + '[connections.a]\ndatabase = "x"\nread_only = "no"', "WRONG_TYPE", "4:1", '`connections.a.read_only` must be true or false, not text "no"', "write true or false, in lower case and without quotes"),
    (NAME + '[connections.a]\ndatabase = "x"\npath = "y"', "UNKNOWN_KEY", "4:1", "unknown key `connections.a.path`", "known here: adapter, database, extensions, read_only, settings"),
    (NAME + '[connections.a]\ndatabase = "x"\nhost = "y"', "ADAPTER", "4:1", "`connections.a.host` is of a connection to PostgreSQL, and this one is to DuckDB", 'write adapter = "postgres" in [connections.a]'),
    (NAME + '[connections.a]\ndatabase = "x"\n[[connections.a.attach]]\npath = "y"', "UNSUPPORTED", "4:1", "`connections.a.attach` is not supported yet", "keep everything in one database, or read other files in a source's expression"),
    (NAME + '[connections.a]\ndatabase = "x"\nsettings = { a = [1] }', "WRONG_TYPE", "4:1", "`connections.a.settings.a` must be text, a number, true or false, not a list", 'write for example a = "4GB"'),
    (NAME + 'adapter = "postgres"\n[connections.a]\ndatabase = "other"\n[targets.dev]\nschema = "dev"\ndatabase = "shop"', "TARGET", "7:1", "`targets.dev.database` is shop, but the connection a is to other", "remove it; the connection's own `database` is the one that is built into"),
    (NAME + 'adapter = "postgres"\n[connections.a]\ndsn = "postgresql://u@h/other"\n[targets.dev]\nschema = "dev"\ndatabase = "shop"', "TARGET", "7:1", "`targets.dev.database` is shop, but the connection a is to other", "remove it; the connection's own `database` is the one that is built into"),
    (NAME + 'adapter = "postgres"\n[connections.a]\nhost = "h"\n[targets.dev]\nschema = "dev"\ndatabase = "shop"', "TARGET", "7:1", "`targets.dev.database` is shop, but its connection does not say to which it is", "remove it; the connection's own `database` is the one that is built into"),
    (NAME + 'adapter = "postgres"\n[connections.a]\nport = "http"', "WRONG_TYPE", "4:1", '`connections.a.port` must be a whole number, not text "http"', "write a whole number of at least 1"),
    (NAME + "[settings]\nthread = 5", "UNKNOWN_KEY", "3:1", "unknown key `settings.thread`", "did you mean `threads`?"),
    (NAME + "[settings]\nthreads = 0", "BAD_VALUE", "3:1", "`settings.threads` must be at least 1, not 0", "write a whole number of at least 1, or leave the key out"),
    (NAME + "[settings]\nthreads = true", "WRONG_TYPE", "3:1", "`settings.threads` must be a whole number, not true", "write a whole number of at least 1"),
    (NAME + "[settings]\nconcurrency = 1.5", "WRONG_TYPE", "3:1", "`settings.concurrency` must be a whole number, not the number 1.5", "write a whole number of at least 1"),
    (NAME + "[settings]\nblocked_loop_seconds = inf", "BAD_VALUE", "3:1", "`settings.blocked_loop_seconds` must be a number above 0, not inf", "write a finite number above 0, or leave the key out"),
    (NAME + "[settings]\nfsync = 1", "WRONG_TYPE", "3:1", "`settings.fsync` must be true or false, not the number 1", "write true or false, in lower case and without quotes"),
    (NAME + "[microbatches.limits]\naction = 'warn'", "MISSING_KEY", "2:1", "`microbatches.limits.max_batches` is missing", "write for example max_batches = 100"),
    (NAME + "[microbatches.limits]\nmax_batches = 9\naction = 'cap_from_end'", "BAD_VALUE", "4:1", '`microbatches.limits.action` must be error or warn, not text "cap_from_end"', "known here: error, warn"),
    (NAME + "[pools.a]", "MISSING_KEY", "2:1", "`pools.a.slots` is missing", "write slots = 8: how many nodes may hold the pool at once"),
    (NAME + "[pools.a]\nslots = 0", "BAD_VALUE", "3:1", "`pools.a.slots` must be at least 1, not 0", "write a whole number of at least 1, or leave the key out"),
    (NAME + '[pools.a]\nslots = 1\nrate = "5/day"', "BAD_VALUE", "4:1", '`pools.a.rate` must be a number above 0 or text like 50/s, not text "5/day"', 'write rate = "50/s", "100/min" or "1000/h"; a bare number counts for each second'),
    (NAME + "[pools.a]\nslots = 1\nrate = 0", "BAD_VALUE", "4:1", "`pools.a.rate` must be a number above 0 or text like 50/s, not the number 0", 'write rate = "50/s", "100/min" or "1000/h"; a bare number counts for each second'),
    (NAME + "[pools.a]\nslots = 1\nburst = 5", "BAD_VALUE", "4:1", "`pools.a.burst` needs a rate", 'write rate = "50/s" beside it'),
    (NAME + "[pools.a]\nslot = 1\nslots = 1", "UNKNOWN_KEY", "3:1", "unknown key `pools.a.slot`", "did you mean `slots`?"),
    (NAME + '[defaults]\nmaterialised = "view"', "UNKNOWN_KEY", "3:1", "unknown key `defaults.materialised`", "did you mean `materialized`?"),
    (NAME + '[defaults]\nmaterialized = "snapshot"', "UNSUPPORTED", "3:1", "`defaults.materialized snapshot` is not supported yet", "use table, which builds the whole query each time"),
    (NAME + '[path_defaults."a/b"]\ntags = [1]', "WRONG_TYPE", "3:1", "`path_defaults.a/b.tags` must be a list of texts, not the number 1", 'write for example ["first", "second"] for `tags`'),
    (NAME + "[path_defaults]\na = 1", "WRONG_TYPE", "3:1", "`path_defaults.a` must be a table, not the number 1", "give `path_defaults.a` keys of its own"),
    (NAME + "[vars]\na = 2024-01-01", "WRONG_TYPE", "3:1", "`vars.a` must be text, a finite number, true, false, null, a list or a table, not a date or time", "write it as text, in quotes"),
    (NAME + "[vars]\na = [nan]", "WRONG_TYPE", "3:1", "`vars.a[0]` must be text, a finite number, true, false, null, a list or a table, not the number nan", "write it as text, in quotes"),
    (NAME + '[vars]\na = "${ENV:A}"', "VARIABLE", "3:1", "the environment variable A is not set", "set it: export A=..."),
    (NAME + '[vars]\na = "${env:A}"', "VARIABLE", "3:1", "the placeholder ${env:A} is not known", "write ${ENV:NAME} or ${SECRET:NAME} with the name of an environment variable"),
    ('name = "${ENV:A}"', "VARIABLE", "1:1", "the environment variable A is not set", "set it: export A=..."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "place", "message", "help"), BAD)
def test_what_is_wrong_is_a_problem_with_its_place_and_fix(read: Read, text, code, place, message, help):
    where = f"sqlbuild_project.toml{':' if place else ''}{place}"
    assert read(text)[1] == [f"error[{code}] {where}: {message}\n  help: {help}"]


def test_a_target_that_does_not_exist_is_told_with_those_that_do(read: Read):
    settings, problems = read(WHOLE, target="prd")
    assert problems == ["error[TARGET] there is no target `prd`\n  help: targets: dev, prod"]
    assert settings.target.name == "prd"


def test_one_of_several_targets_must_be_chosen(read: Read):
    _, problems = read(WHOLE.replace('default_target = "dev"', ""))
    assert problems == [
        "error[TARGET] sqlbuild_project.toml: there are several targets and none is chosen\n"
        '  help: write default_target = "dev", or give --target; targets: dev, prod'
    ]


def test_all_problems_are_reported_at_once_and_the_rest_is_read(read: Read):
    settings, problems = read('name = "s"\nx = 1\n[settings]\nthreads = 0\nkeep_runs = 3\n[pools.a]\nslots = "1"')
    assert len(problems) == 3
    assert (settings.run.threads, settings.run.keep_runs, settings.pools["a"].slots) == (16, 3, 1)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[rules]\nselect = ["A"]', "rules"),
        ("[settings]\nsql_analysis = true", "settings.sql_analysis"),
        ('[targets.dev]\nschema = "a"\nloader_schema = "b"', "targets.dev.loader_schema"),
        ("[defaults]\ncritical = true", "defaults.critical"),
    ],
)
def test_known_keys_that_do_nothing_yet_are_a_warning(read: Read, text: str, what: str):
    (problem,) = read(NAME + text)[1]
    assert problem.startswith("warning[UNSUPPORTED] sqlbuild_project.toml:")
    assert f"`{what}` is not supported yet and is ignored" in problem


def test_a_problem_of_the_local_file_names_it(read: Read):
    assert read(NAME, "[settings]\nthreads = 0")[1][0].startswith(
        "error[BAD_VALUE] sqlbuild_local.toml:2:1: `settings.threads` must be at least 1"
    )
    assert read(NAME, "x = = 1")[1][0].startswith("error[TOML_SYNTAX] sqlbuild_local.toml:1:5: this is no TOML: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'name = "s"\nx = = 1', "error[TOML_SYNTAX] sqlbuild_project.toml:2:5: this is no TOML: Invalid value"),
        (b'name = "s', "error[TOML_SYNTAX] sqlbuild_project.toml:1:10: this is no TOML: Unterminated string"),
        (b'a = 1\na = 2', "error[TOML_SYNTAX] sqlbuild_project.toml:2:6: this is no TOML: Cannot overwrite a value"),
        (b"a = " + b"[" * 5000, "error[TOML_SYNTAX] sqlbuild_project.toml: values are nested too deep"),
        (b"a = " + b"9" * 5000, "error[TOML_SYNTAX] sqlbuild_project.toml: this is no TOML: Exceeds the limit"),
    ],
)  # fmt: skip
def test_broken_toml_ends_the_reading(tmp_path: Path, text: bytes, message: str):
    (tmp_path / "sqlbuild_project.toml").write_bytes(text)
    with pytest.raises(ProjectError) as caught:
        read_settings(str(tmp_path), environ={})
    assert str(caught.value.problems[0]).startswith(message)


def test_a_project_file_that_is_missing_ends_the_reading(tmp_path: Path):
    with pytest.raises(ProjectError, match="the file cannot be read: No such file or directory"):
        read_settings(str(tmp_path), environ={})


POSITIONS = '''\
a.b = 1
"c d" = 2
[t."x.y"]  # [not.this]
k = """
z = 1
"""
l = [
  "m = 1",
]
inline = { n = 1 }
[[list]]
o = 1
'''


def test_keys_are_found_in_the_text():
    file = TextFile("x.toml", POSITIONS)
    top = read_toml(file, [])
    found = {}

    def note(entry, path):
        for key, inner in entry.table.items():
            found[(*path, key)] = file.line_and_column(inner.key_offset)
            note(inner, (*path, key))

    note(top, ())
    assert found == {
        ("a",): (1, 1),
        ("a", "b"): (1, 1),
        ("c d",): (2, 1),
        ("t",): (3, 1),
        ("t", "x.y"): (3, 1),
        ("t", "x.y", "k"): (4, 1),
        ("t", "x.y", "l"): (7, 1),
        ("t", "x.y", "inline"): (10, 1),
        ("t", "x.y", "inline", "n"): (10, 1),
        ("list",): (11, 1),
    }
    assert plain(top)["list"] == [{"o": 1}]


LINES = ['name = "s"', "[targets.dev]", 'schema = "x"', "[settings]", "threads = 0", "[pools.a]", 'rate = "1/s"', "[defaults]", "tags = [1]", "x = {a = 1}", '"""', "'''", "[[a]]", "a.b = 1", 'k = "${ENV:X}"', 'database = "x"', "[connections.c]"]  # fmt: skip


@given(st.lists(st.sampled_from(LINES), max_size=12).map("\n".join) | st.text(max_size=30))
def test_no_input_crashes_the_reader(tmp_path_factory, text: str):
    root = tmp_path_factory.mktemp("project")
    (root / "sqlbuild_project.toml").write_bytes(text.encode())
    with contextlib.suppress(ProjectError):
        read_settings(str(root), environ={})
