"""Secrets: every byte that a command leaves behind or prints is looked through, in every form a secret can take."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import textwrap
import urllib.parse

import duckdb
import pytest

TOKEN = "tok/en+ 7'x\"é-91"
PASSWORD = "pa55word-of-the-db"
LISTED = "listed-in-secret_env"
PROVIDED = "from-a-provider-field"
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQC7VJTU\n-----END KEY-----"
ENVIRON = {
    "API_TOKEN": TOKEN,
    "DB_DSN": f"postgres://admin:{PASSWORD}@db.local/app",
    "LISTED": LISTED,
    "CRM_TOKEN": PROVIDED,
    "PEM": KEY,
    "EMPTY": "",
    "ONE": "q",
}
SECRETS = [TOKEN, PASSWORD, LISTED, PROVIDED, *KEY.split("\n")[1:3]]

SETTINGS = """
    name = "shop"
    [vars]
    token = "${SECRET:API_TOKEN}"
    one = "${SECRET:ONE}"
    empty = "${SECRET:EMPTY}"
    dsn = "${ENV:DB_DSN}"
    pem = "${SECRET:PEM}"
    [settings]
    secret_env = ["LISTED"]
"""
PROVIDER = """
    from pydantic import SecretStr
    from pydantic_settings import SettingsConfigDict
    from sqlbuild.providers import Provider

    class Crm(Provider):
        model_config = SettingsConfigDict(env_prefix="CRM_")
        token: SecretStr

        def setup(self, ctx):
            print("set up with", self.token.get_secret_value())

        def __repr__(self):
            return f"Crm(token={self.token.get_secret_value()})"
"""
NODES = """
    import base64, json, logging, os, sys, threading, traceback, urllib.parse
    from sqlbuild.assets import asset
    from sqlbuild.checks import check
    from sqlbuild.loaders import loader
    from sqlbuild.retries import RetryPolicy
    from sqlbuild.tasks import task

    TOKEN, LISTED, PROVIDED = os.environ["API_TOKEN"], os.environ["LISTED"], os.environ["CRM_TOKEN"]
    print("imported with", TOKEN)
    print("imported with", TOKEN, file=sys.stderr)

    @task
    def says(ctx):
        "Everything that a node can say."
        print("printed", TOKEN, LISTED, ctx.vars["pem"])
        print("errors", TOKEN, file=sys.stderr)
        for cut in range(1, len(TOKEN)):
            sys.stdout.write("in two " + TOKEN[:cut])
            sys.stdout.write(TOKEN[cut:] + " writes\\n")
        sys.stdout.write("x" * (65_536 - 3) + TOKEN[:7])
        sys.stdout.write(TOKEN[7:] + " in a long line\\n")
        logging.getLogger("crm").warning("logged %s", TOKEN)
        try:
            raise OSError(TOKEN)
        except OSError:
            logging.getLogger("crm").exception("failed with %r", {"token": TOKEN})
        ctx.log(f"told {TOKEN}", level="warning", header=TOKEN, dsn=ctx.vars["dsn"])
        ctx.progress(1, 2, f"doing {TOKEN}")
        ctx.checkpoint("last " + TOKEN, {"token": TOKEN})
        print("url https://u:" + urllib.parse.quote(TOKEN, safe="") + "@host?t=" + urllib.parse.quote_plus(TOKEN))
        print("basic", base64.b64encode(f"u:{TOKEN}".encode()).decode())
        print("json", json.dumps({"t": TOKEN}), "repr", repr(TOKEN))
        print("plain words: q and nothing else is masked")
        def elsewhere():
            print("thread", TOKEN)
        threads = [threading.Thread(target=elsewhere) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"ok": True}

    @task
    def returns(ctx):
        return ctx.result({"token": TOKEN, TOKEN: [TOKEN, 1, None]}, metadata={"dsn": ctx.vars["dsn"], "q": "q"})

    @task(depends_on=returns)
    def reads(ctx):
        seen = ctx.result_of(returns)
        return {"seen": seen.payload, "dsn": seen.metadata["dsn"], "same": seen.payload["token"] == "****"}

    @task
    def skips(ctx):
        return ctx.skip(f"no {TOKEN} today", metadata={"t": TOKEN})

    class TokenError(Exception):
        pass

    @task(retry=RetryPolicy(max_attempts=2, initial_delay_seconds=0.01))
    def raises(ctx):
        token = TOKEN
        try:
            try:
                raise ValueError(f"inner {token}")
            except ValueError as error:
                raise TokenError("chained", {"header": token}) from error
        except TokenError as error:
            error.add_note(f"note {token}")
            try:
                raise RuntimeError(f"https://u:{urllib.parse.quote(token, safe='')}@host refused")
            finally:
                print(traceback.TracebackException.from_exception(error, capture_locals=True).format())
                print("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))

    @task
    def groups(ctx):
        raise ExceptionGroup(f"two with {TOKEN}", [ValueError(TOKEN), KeyError(TOKEN)])

    @task
    def asks_sql(ctx):
        ctx.query(f"SELECT '{TOKEN.replace(chr(39), chr(39) * 2)}' AS t FROM nowhere").fetchall()

    @task
    async def waits(ctx):
        print("async", TOKEN)
        raise RuntimeError(TOKEN)

    @task
    def uses_provider(ctx, crm):
        print(crm, [crm], PROVIDED)
        raise RuntimeError(f"{crm!r}")

    @task(isolate="process")
    def elsewhere(ctx, crm):
        print("in a worker", TOKEN, LISTED, crm)
        sys.stdout.write("y" * (65_536 - 3) + TOKEN)
        os.write(1, f"raw {TOKEN}\\n".encode())
        ctx.log(TOKEN)
        try:
            raise OSError(TOKEN)
        except OSError as error:
            raise RuntimeError(f"{crm!r}") from error

    @task(isolate="process")
    def returns_elsewhere(ctx):
        return {"token": TOKEN}

    @check(depends_on=returns)
    def checks(ctx):
        return ctx.fail(f"{TOKEN} is wrong", metadata={"t": TOKEN})

    @loader(columns=[{"name": "token"}])
    def stored(ctx):
        return [{"token": TOKEN}]

    @asset(meta={"dsn": os.environ["DB_DSN"]}, description=f"with {TOKEN}")
    def writes(ctx):
        with open("author.txt", "w") as file:
            file.write(TOKEN)
        return ctx.result({"path": "author.txt"})
"""


def forms(secret: str) -> set[bytes]:
    """As it may stand in a file; none of these may be cut out of a word."""
    texts = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        secret.replace("'", "''"),
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote(secret),
        urllib.parse.quote_plus(secret),
        base64.b64encode(secret.encode()).decode().rstrip("="),
        base64.b64encode(f"u:{secret}".encode()).decode()[4:-4],
    }
    return {text.encode() for text in texts}


def leaks(content: bytes) -> list[bytes]:
    return [form for secret in SECRETS for form in forms(secret) if form in content]


def files_of_the_engine(project):
    return [
        path
        for path in project.root.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".toml", ".duckdb") and path.name != "author.txt"
    ]


@pytest.fixture
def shop(project):
    return project.write(
        {
            "sqlbuild_project.toml": SETTINGS,
            "providers/crm.py": PROVIDER,
            "tasks/nodes.py": NODES,
            "sources/stored.yml": "sources:\n  - name: stored\n    managed: true\n",
        }
    )


def test_no_byte_of_a_run_holds_a_secret(shop):
    outputs = []
    for arguments in (("build",), ("build", "-v"), ("build", "--json"), ("build", "--events"), ("build", "-q")):
        finished = shop.sqb(*arguments, env=ENVIRON)
        assert finished.code == 1, finished.everything
        outputs.append(finished.everything)
    (nodes,) = {len(json.loads((shop.root / "target/run_results.json").read_text())["results"])}
    assert nodes == 14
    for arguments in (
        ("show", "raises"),
        ("show", "writes", "--json"),
        ("show", "says", "--logs"),
        ("show", "elsewhere", "--logs", "--json"),
        ("list", "-o", "table"),
        ("list", "--json"),
        ("dag", "--json"),
        ("compile", "--dag"),
        ("plan",),
    ):
        finished = shop.sqb(*arguments, env=ENVIRON)
        assert finished.code == 0, finished.everything
        outputs.append(finished.everything)
    for output in outputs:
        assert leaks(output.encode()) == []
    found = files_of_the_engine(shop)
    assert {path.name for path in found} >= {"journal.jsonl", "state.json", "run_results.json", "sqlbuild_dag.json"}
    for path in found:
        assert (leaks(path.read_bytes()), path) == ([], path)
    with duckdb.connect(str(shop.root / "shop.duckdb"), read_only=True) as connection:
        for (table,) in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, '_sqlbuild')"
        ).fetchall():
            rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()
            assert (leaks(str(rows).encode() + repr(rows).encode()), table) == ([], table)


def test_what_is_stored_is_what_dependents_read_and_data_is_never_altered(shop):
    shop.sqb("build", env=ENVIRON)
    reads = shop.result("reads")
    assert reads["payload"] == {
        "seen": {"token": "****", "****": ["****", 1, None]},
        "dsn": "postgres://admin:****@db.local/app",
        "same": True,
    }
    assert shop.result("skips")["skip_reason"] == "no **** today"
    assert shop.result("checks")["error"]["message"] == "**** is wrong"
    assert "https://u:****@host refused" in shop.result("raises")["error"]["message"]
    assert shop.rows("SELECT token FROM stored") == [(TOKEN,)]
    assert (shop.root / "author.txt").read_text() == TOKEN
    (log,) = shop.root.glob("target/runs/*/logs/says.1.log")
    text = log.read_text()
    assert "plain words: q and nothing else is masked" in text
    assert text.count("in two **** writes") == len(TOKEN) - 1
    assert "**** in a long line" in text
    queried = shop.sqb("query", "SELECT token FROM source:stored", "-o", "json", env=ENVIRON)
    assert json.loads(queried.out) == [{"token": TOKEN}], "the rows of a query are data"


def test_a_secret_that_is_too_short_is_a_warning_of_compile(shop):
    finished = shop.sqb("compile", env=ENVIRON)
    assert "warning[SECRET] sqlbuild_project.toml:5:1: the value of ONE is too short to be masked" in finished.out
    assert "EMPTY" not in finished.out


@pytest.mark.parametrize("options", [(), ("--json",), ("--debug",)])
@pytest.mark.parametrize(
    "files",
    [
        {"tasks/bad.py": "import os\nraise RuntimeError('no ' + os.environ['API_TOKEN'])\n"},
        {
            "providers/bad.py": "import os\nfrom sqlbuild.providers import Provider\nclass Bad(Provider):\n"
            "    port: int = os.environ['API_TOKEN'] + 1\n"
        },
        {"sqlbuild_local.toml": '[settings]\nthreads = "${SECRET:API_TOKEN}"\n'},
        {"sqlbuild_local.toml": "[settings]\nthreads = ${SECRET:API_TOKEN}\n"},
        {"sqlbuild_local.toml": '[connections.x]\nkind = "${SECRET:API_TOKEN}"\n'},
        {"sqlbuild_local.toml": '[connections.x]\ndatabase = "gone/${SECRET:API_TOKEN}/shop.duckdb"\n'},
    ],
    ids=["import", "provider", "setting", "no toml", "unknown key", "no folder"],
)
def test_no_error_of_a_command_holds_a_secret(shop, files, options):
    shop.write(files)
    finished = shop.sqb("build", *options, env=ENVIRON)
    assert finished.code in (2, 4), finished.everything
    assert leaks(finished.everything.encode()) == []
    for path in files_of_the_engine(shop):
        assert leaks(path.read_bytes()) == []


def test_a_crash_report_holds_no_secret(shop):
    shop.write(
        {
            "sources/stored.yml": "",
            "tasks/nodes.py": "import os\nimport sqlbuild.app.planning as planning\n"
            "def broken(*args):\n    raise ZeroDivisionError(os.environ['API_TOKEN'])\nplanning.plan_from = broken\n",
        }
    )
    finished = shop.sqb("plan", "--debug", env=ENVIRON)
    assert finished.code == 5, finished.everything
    (report,) = shop.root.glob("target/crash-*.txt")
    assert "ZeroDivisionError: ****" in report.read_text()
    assert leaks(finished.everything.encode() + report.read_bytes()) == []


def test_a_secret_given_in_vars_is_not_kept_and_asked_for_again(shop):
    fails = "from sqlbuild.tasks import task\n@task\ndef fails(ctx):\n    raise OSError\n"
    shop.write({"tasks/nodes.py": fails, "sources/stored.yml": ""})
    vars = json.dumps({"given": TOKEN})
    shop.sqb("build", "--vars", vars, env=ENVIRON)
    for path in files_of_the_engine(shop):
        assert leaks(path.read_bytes()) == []
    refused = shop.sqb("retry", env=ENVIRON)
    assert refused.code == 2
    assert "give the same --vars again" in refused.err
    assert shop.sqb("retry", "--vars", '{"given": "another"}', env=ENVIRON).code == 2
    assert shop.sqb("retry", "--vars", vars, env=ENVIRON).code == 1


def test_events_and_results_from_python_hold_no_secret(shop):
    script = """
        import io, sqlbuild, sqlbuild.events
        seen, output = [], io.StringIO()
        def heard(event):
            # What a run starts with are the declarations themselves.
            if not isinstance(event, sqlbuild.events.RunStarted):
                seen.append(event)
        result = sqlbuild.build(".", on_event=heard, output=output)
        with open("seen.txt", "w") as file:
            file.write(repr(seen) + repr(list(result)) + repr(result) + result._repr_html_() + output.getvalue())
            for outcome in result:
                file.write(f"{outcome.payload} {outcome.metadata} {outcome.error} {outcome.retried}")
    """
    (shop.root / "run_it.py").write_text(textwrap.dedent(script))
    ended = subprocess.run(
        [sys.executable, "run_it.py"],
        cwd=shop.root,
        env={**os.environ, **ENVIRON, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    seen = (shop.root / "seen.txt").read_text()
    assert "****" in seen
    assert leaks(seen.encode()) == []
