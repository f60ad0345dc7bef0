from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from sqlbuild.app.opening import close_project
from sqlbuild.compiler.compile_project import compile_project
from sqlbuild.domain.columns import ColumnReference
from sqlbuild.errors import ProjectError
from sqlbuild.project.load_project import load_project
from sqlbuild.project.named_tables import tables_named
from sqlbuild.project.read_python import close_python, read_python
from sqlbuild.refs import model, seed, source
from sqlbuild.state.analysis_cache import InMemoryAnalysisCache

HEAD = (
    "from sqlbuild.assets import asset\nfrom sqlbuild.refs import model, seed, source\nimport sqlbuild.refs as refs\n"
)


@pytest.fixture
def facts(tmp_path):
    """Facts of the asset `export` of a project with this one file."""

    def facts(text):
        (tmp_path / "assets").mkdir(exist_ok=True)
        (tmp_path / "assets/a.py").write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
        read = read_python(tmp_path, [Path("assets/a.py")])
        assert read.problems == ()
        return read.code["asset:export"]

    yield facts
    close_python(tmp_path)


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("SELECT * FROM dev.orders", "dev.orders"),
        ('SELECT * FROM "Dev" . "a.b" AS o, t JOIN ONLY u ON true', "Dev|a.b t u"),
        ("SELECT 1 /* FROM a */ -- FROM b\n, 'FROM c', $$FROM d$$, $x$ FROM e $x$ FROM f", "f"),
        ("WITH a AS (SELECT * FROM b), c (x) AS MATERIALIZED (SELECT 1) SELECT * FROM a, c, d.a", "b d.a"),
        ("SELECT * FROM read_csv('x') JOIN generate_series (1, 2) ON true", ""),
        ("SELECT extract(year FROM dev.day), substring(x FROM 2), a IS DISTINCT FROM b.c FROM d", "d"),
        ("SELECT a FROM (SELECT b FROM c WHERE d IN (1, e)) x, f WHERE g = 1 ORDER BY h, i", "c f"),
        ("INSERT INTO a.b (c, d) SELECT 1, 2", "a.b!"),
        ("UPDATE a SET x = 1; DELETE FROM b WHERE x", "a! b!"),
        ("INSERT INTO a VALUES (1) ON CONFLICT DO UPDATE SET x = 1", "a!"),
        ("SELECT * FROM a FOR UPDATE", "a"),
        ("SELECT * FROM dev.\0 JOIN \0.b ON true JOIN \0c JOIN d\0 JOIN dev.{} JOIN {}.x JOIN %s JOIN e", "e"),
        ("SELECT * FROM 'never closed", ""),
    ],
)
def test_tables_are_found_where_tables_stand(sql, named):
    found = [".".join(each.parts) if each.parts != ("Dev", "a.b") else "Dev|a.b" for each in tables_named(sql)]
    written = ["" if each.is_read else "!" for each in tables_named(sql)]
    assert " ".join(map("".join, zip(found, written, strict=True))) == named


def test_tables_in_the_texts_that_a_context_is_given_are_found_with_their_places(facts):
    found = facts('''
        SQL = "SELECT * FROM dev.g"
        TABLE = "dev.other"

        def helper(context):
            return context.query("SELECT * FROM helped.a")

        @asset
        async def export(it):
            """Reads FROM dev.doc."""
            sql = """
                SELECT 'dev.orders', 'ä'
                FROM dev.orders
            """
            await it.query(sql).fetchall()
            it.query(sql=f"SELECT 'ä' FROM dev.{TABLE} JOIN dev.b ON x = {1}" + " JOIN dev.b b2 ON true")
            it.execute_sql(("DELETE FROM " "dev.c WHERE x = {}").format(2))
            await it.export("SELECT * FROM dev.d WHERE x = '%s'" % 3, "exports/x.csv")
            other = str("FROM dev.e")
            it.query(other)
            it.query(SQL)
            it.query(f"SELECT 1 FROM {TABLE}")
            it.log("FROM dev.f")
            return helper(it)
    ''')
    assert {each.place.path for each in found.tables} == {"assets/a.py"}
    assert [(each.written, each.place.line, each.place.column, each.is_read) for each in found.tables] == [
        ("dev.g", 5, 22, True),
        ("dev.orders", 16, 14, True),
        ("dev.b", 19, 53, True),
        ("dev.b", 19, 80, True),
        ("dev.c", 20, 37, False),
        ("dev.d", 21, 36, True),
        ("helped.a", 9, 41, True),
    ]
    assert found.export is None


def test_bare_names_count_unless_the_function_creates_something(facts):
    assert [each.parts for each in facts("@asset\ndef export(ctx):\n    ctx.query('FROM a')\n").tables] == [("a",)]
    made = "@asset\ndef export(ctx):\n    ctx.execute_sql('CREATE TEMP TABLE a AS SELECT 1')\n    ctx.query('FROM a')\n"
    assert facts(made).tables == ()


@pytest.mark.parametrize(
    ("code", "exported"),
    [
        ('ctx.export(model("a"), "x.csv")', model("a")),
        ('ctx.export(what=seed("a"), path="x.csv")', seed("a")),
        ('ctx.export(refs.source("a"), "x.csv")', source("a")),
        ('ctx.export(ORDERS, "x.csv")', model("orders")),
        ('ctx.export(model(NAME), "x.csv")', model("b")),
        ('ctx.export(bound, "x.csv")', model("c")),
        ('ctx.export(model(word), "x.csv")', model("d")),
        ('chosen = model("a")\n    ctx.log("x")\n    return ctx.export(chosen, "x.csv")', model("a")),
        ('ctx.export(f"SELECT * FROM {ctx.relation(ORDERS)}", "x.csv")', 'SELECT * FROM __ref("orders")'),
        ('r = ctx.relation(ORDERS)\n    sql = f"FROM {r}" + " WHERE 1"\n    ctx.export(sql, "x")', 'FROM __ref("orders") WHERE 1'),
        ('ctx.export(f"FROM {ctx.relation(ORDERS)} JOIN {ctx.relation(seed(NAME))}", "x")', 'FROM __ref("orders") JOIN __seed("b")'),
        ('ctx.export(f"FROM {ctx.relation(ORDERS)} LIMIT {NAME}", "x")', None),
        ('ctx.export("SELECT 1 AS n", "x")', None),
        ('ctx.export("FROM %s" % ctx.relation(ORDERS), "x")', None),
        ('ctx.export(ctx.query("SELECT 1").arrow(), "x")', None),
        ('ctx.export(ORDERS, "x")\n    ctx.export(ORDERS, "y")', None),
        ('ctx.export(ORDERS, "x")\n    ctx.execute_sql("SELECT 1")', None),
        ('ctx.export(ORDERS, "x")\n    ctx.connection', None),
        ('ctx.export(ORDERS, "x")\n    print(ctx)', None),
        ('c = ctx\n    c.export(ORDERS, "x")', None),
        ('chosen = ORDERS\n    if ctx.vars:\n        chosen = model("b")\n    ctx.export(chosen, "x")', None),
        ('ctx.export(model(ctx.vars["x"]), "x")', None),
        ('ctx.export(model(NAME + "x"), "x")', None),
    ],
)  # fmt: skip
def test_what_an_asset_exports_is_known_where_it_is_sure(facts, code, exported):
    text = """
ORDERS, NAME = model("orders"), "b"
for word in ("d",):
    def make(bound=model("c"), word=word):
        @asset
        def export(ctx, *, word=word):
            if not word: bound
            {}
        return export
    make()
""".replace("{}", code.replace("\n    ", "\n            "))
    found = facts(text).export
    if exported is None:
        assert found is None
    elif isinstance(exported, str):
        assert found.sql == exported
        assert [found.sql[each.start : each.end] for each in found.references] == [
            each for each in exported.split() if each.startswith("__")
        ]
    else:
        assert (found.sql, found.references[0].reference) == ("", exported)


FILES = {
    "sqlbuild_project.toml": """
        name = "shop"
        [connections.duckdb]
        database = ":memory:"
        [connections.server]
        adapter = "postgres"
        dsn = "postgresql://nobody@localhost/shop"
        [targets.dev]
        connection = "duckdb"
        schema = "dev"
        [targets.plain]
        connection = "duckdb"
        schema = "main"
        [targets.server]
        connection = "server"
        schema = "dev"
        """,
    "models/orders.sql": 'SELECT id, total * 2 AS doubled FROM __source("raw_orders")',
    "models/loose.sql": "MODEL (sql_analysis false);\nSELECT 1 AS one",
    "sources/raw.yml": """
        sources:
          - name: raw_orders
            schema: raw
            table: Orders
            columns: [{name: id, type: INTEGER}, {name: total, type: INTEGER}]
        """,
}


@pytest.fixture
def compiled(tmp_path):
    """The graph of a project with this Python file, for the target `dev` or another one."""

    def compiled(python, target="dev"):
        for name, text in {**FILES, "assets/a.py": HEAD + textwrap.dedent(python)}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return compile_project(load_project(str(tmp_path), target=target, environ={}), InMemoryAnalysisCache())

    yield compiled
    close_project(str(tmp_path))


def test_an_asset_that_only_exports_one_query_has_the_columns_of_that(compiled):
    graph = compiled("""
        ORDERS = model("orders")
        @asset(depends_on=ORDERS)
        def whole(ctx):
            ctx.export(ORDERS, "x.csv")
        @asset(depends_on=(ORDERS, source("raw_orders")))
        async def part(ctx):
            await ctx.export(f"SELECT o.id + 1 AS next, r.total FROM {ctx.relation(ORDERS)} o, {ctx.relation(source('raw_orders'))} r", "y")
        @asset(depends_on=ORDERS, columns=[{"name": "own"}])
        def declared(ctx):
            ctx.export(ORDERS, "x.csv")
        @asset(depends_on=ORDERS)
        def wrong(ctx):
            ctx.export(f"SELECT nothing FROM {ctx.relation(ORDERS)}", "x.csv")
        @asset(depends_on=model("loose"))
        def unknown(ctx):
            ctx.export(model("loose"), "x.csv")
        @asset
        def undeclared(ctx):
            ctx.export(ORDERS, "x.csv")
    """)
    columns = {
        name: [each.name for each in graph.nodes[f"asset:{name}"].columns or ()]
        for name in ("whole", "part", "declared", "wrong", "unknown", "undeclared")
    }
    assert columns == {"whole": ["id", "doubled"], "part": ["next", "total"], "declared": ["own"], "wrong": [],
                       "unknown": [], "undeclared": []}  # fmt: skip
    assert graph.nodes["asset:whole"].column_lineage["doubled"] == (
        ColumnReference("model:orders", "doubled", "direct"),
    )
    assert graph.nodes["asset:part"].column_lineage == {
        "next": (ColumnReference("model:orders", "id", "expression"),),
        "total": (ColumnReference("source:raw_orders", "total", "direct"),),
    }
    assert graph.nodes["asset:declared"].column_lineage == {}


@pytest.mark.parametrize(
    ("target", "sql", "message"),
    [
        ("dev", "SELECT * FROM dev.orders", "a.py:8:34: export reads dev.orders by its name, so nothing makes it wait for orders\n  help: write {ctx.relation(model(\"orders\"))}"),
        ("dev", "FROM DEV.Orders", "export reads DEV.Orders by its name"),
        ("dev", "INSERT INTO dev.orders VALUES (1)", "export changes dev.orders by its name"),
        ("dev", "SELECT * FROM raw.orders", "export reads raw.orders by its name, so nothing makes it wait for raw_orders\n  help: write {ctx.relation(source("),
        ("dev", "INSERT INTO raw.orders VALUES (1)", None),
        ("dev", "SELECT * FROM orders, other.orders, shop.dev.orders", None),
        ("plain", "SELECT * FROM orders", "export reads orders by its name"),
        ("server", "SELECT * FROM dev.Orders", "export reads dev.Orders by its name"),
        ("server", "SELECT * FROM dev.'Orders', raw.orders, orders", None),
        ("server", "SELECT * FROM raw.'Orders'", "wait for raw_orders"),
    ],
)  # fmt: skip
def test_sql_in_python_does_not_name_what_the_project_has(compiled, target, sql, message):
    sql = sql.replace("'", '"')
    python = f"""
        for name in ("export", "other"):
            @asset(name=name)
            def each(ctx):
                ctx.query({sql!r})
    """
    if message is None:
        compiled(python, target)
        return
    with pytest.raises(ProjectError) as raised:
        compiled(python, target)
    assert len([each for each in raised.value.problems if each.code == "NAMED_TABLE"]) == 1
    assert message in str(raised.value)
