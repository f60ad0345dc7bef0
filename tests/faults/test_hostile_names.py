"""Fault 35: whatever a name holds, it is that name everywhere, and nothing of it is ever run as SQL."""

from __future__ import annotations

import json

from faulty_places import PostgresPlace, on_both

from sqlbuild.sql.rendering import quote_identifier

NAMES = (
    "select",
    "two words",
    'a "quoted" name',
    "it's; DROP TABLE canary; --",
    "line\nbreak",
    "übersicht 注文 \U0001f600",
    "a.b",
    "%s $1 ? {} \\",
    "x" * 63,
    "x" * 62 + "y",
    "x" * 62,
    "_select",
)
SCHEMA = 'the "odd"; DROP TABLE canary; --\' schema'
NODES = f"""
    import os
    from sqlbuild.assets import asset
    from sqlbuild.loaders import loader
    from sqlbuild.refs import model, source

    NAMES = {NAMES}

    @loader
    def raw(ctx):
        return [{{name: f"{{name}} {{row}}" for name in NAMES}} for row in range(int(os.environ["DAY"]) + 1)]

    @asset(depends_on=[source("raw"), *(model(f"shown_{{number}}") for number in range(len(NAMES)))])
    def seen(ctx):
        day = os.environ["DAY"]
        counts = [
            ctx.query(f"SELECT count(*) FROM {{ctx.relation(model(f'shown_{{number}}'))}}").scalar()
            for number in range(len(NAMES))
        ]
        exported = ctx.export(source("raw"), "exports/raw", partition_by=[NAMES[3]], format="csv")
        return {{"counts": counts, "rows": exported.rows}}
"""


def models() -> dict[str, str]:
    files = {}
    for number, name in enumerate(NAMES):
        column = quote_identifier(name)
        files[f"models/table_{number}.sql"] = (
            f'MODEL (materialized table, alias """{name}""", indexes [(columns [{column}])]);\n'
            f'SELECT {column}, count(*) AS n FROM __source("raw") GROUP BY 1\n'
        )
        files[f"models/shown_{number}.sql"] = (
            f'MODEL (materialized view, alias """{name[:50]} {number}""");\n'
            f'SELECT t.{column} FROM __ref("table_{number}") AS t\n'
        )
    return files


@on_both
def test_odd_names_are_kept_everywhere_and_nothing_in_them_is_run(faulty, place):
    on_server = isinstance(place, PostgresPlace)
    target = {"connection": "server", "schema": SCHEMA} if on_server else {"schema": SCHEMA}
    settings = [place.settings().partition("[targets.dev]")[0], "[targets.dev]"]
    settings += [f"{key} = {json.dumps(value)}" for key, value in target.items()]
    key = json.dumps([NAMES[3], NAMES[2]])
    source = f"{{name: raw, managed: true, write_strategy: merge, unique_key: {key}}}"
    faulty.write(
        {
            "sqlbuild_project.toml": "\n".join(settings),
            "sources/raw.yml": f"sources:\n  - {source}\n",
            "python/nodes.py": NODES,
            **models(),
        }
    )
    by_hand = {
        f"by_hand_{number}": f"SELECT {quote_identifier(name)} FROM {quote_identifier(SCHEMA)}.{quote_identifier(name)}"
        for number, name in enumerate(NAMES)
    }
    if on_server:
        place.rows("CREATE TABLE canary AS SELECT 1 AS alive")
    for day in (1, 2):
        faulty.environ["DAY"] = str(day)
        finished = faulty.sqb("build")
        assert finished.exit_code == 0, finished.output
        assert faulty.result("seen")["payload"] == {"counts": [day + 1] * len(NAMES), "rows": day + 1}
        if on_server and day == 1:
            for view, query in by_hand.items():
                place.rows(f"CREATE VIEW public.{view} AS {query}")
    columns = place.rows(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name "
        "NOT LIKE '%sqlbuild%'",
        SCHEMA,
    )
    expected = {("raw", name) for name in NAMES} | {(name, name) for name in NAMES} | {(name, "n") for name in NAMES}
    assert set(columns) == expected | {(f"{name[:50]} {number}", name) for number, name in enumerate(NAMES)}
    manifest = json.loads((faulty.root / "exports/raw/_manifest.json").read_text())
    assert [file["values"] for file in manifest["files"]] == [{NAMES[3]: f"{NAMES[3]} {row}"} for row in range(3)]
    if on_server:
        assert place.rows("SELECT alive FROM public.canary") == [(1,)]
        assert [place.rows(f"SELECT count(*) FROM public.{view}") for view in by_hand] == [[(3,)]] * len(NAMES)
