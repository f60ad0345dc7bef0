"""A project with seeds, from its CSV files to the tables of the models that read them, on both warehouses."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

ON_POSTGRES = """
    name = "shop"
    adapter = "postgres"
    [connections.server]
    dsn = "${ENV:SHOP_DSN}"
    [targets.dev]
    schema = "dev"
    [defaults]
    seed_schema = "lookups"
"""
ON_DUCKDB = 'name = "shop"\n[targets.dev]\nschema = "dev"\n[defaults]\nseed_schema = "lookups"\n'
FILES = {
    "seeds/geo/airports.csv": "\ufeffcode;city;opened;runways\r\nJFK;'New\r\nYork';1948-07-01;4\r\nLGA;New York;;?\r\n",
    "seeds/prices.csv": 'fare,currency,rate\n"1,5",EUR,1.085\n\n2,NA,\n',
    "seeds/all.yml": """
        seeds:
          - name: airports
            description: Where flights start
            tags: [geo]
            csv_settings: {delimiter: ";", quotechar: "'", na_values: {runways: ["?"]}}
            columns:
              - {name: runways, type: SMALLINT}
              - {name: code, type: VARCHAR, nullable: false}
              - {name: city, type: VARCHAR}
              - {name: opened, type: DATE}
          - name: prices
            schema: dev
            columns:
              - {name: fare, type: VARCHAR}
              - {name: currency, type: VARCHAR}
              - {name: rate, type: "DECIMAL(6, 2)"}
    """,
    "models/cities.sql": """
        MODEL (materialized table);
        SELECT a.code, replace(replace(a.city, chr(13), ''), chr(10), ' ') AS city, a.runways, p.rate
        FROM __seed("airports") AS a CROSS JOIN __seed("prices") AS p
        WHERE p.rate IS NOT NULL
    """,
    "assets/facts.py": """
        from sqlbuild.assets import asset
        from sqlbuild.refs import seed

        @asset(depends_on=[seed("airports")])
        def facts(ctx):
            return ctx.query(f"SELECT count(*), min(opened) FROM {ctx.relation(seed('airports'))}").fetchone()[0]
    """,
}


@pytest.fixture(params=["duckdb", "postgres"])
def shop(request, project, monkeypatch):
    """The project, and what reads rows of its target as text."""
    if request.param == "duckdb":
        project.write({"sqlbuild_project.toml": ON_DUCKDB, **FILES})
        return project, lambda sql: [["" if cell is None else str(cell) for cell in row] for row in project.rows(sql)]
    url, server = request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres_server")
    monkeypatch.setenv("SHOP_DSN", url)
    project.write({"sqlbuild_project.toml": ON_POSTGRES, **FILES})
    return project, lambda sql: server.sql(sql, database=urlsplit(url).path.strip("/"))


def test_seeds_are_loaded_before_what_reads_them_and_again_when_they_change(shop):
    project, rows = shop
    project.build()
    assert project.statuses() == {
        "seed:airports": "succeeded",
        "seed:prices": "succeeded",
        "model:cities": "succeeded",
        "asset:facts": "succeeded",
    }
    cities = rows("SELECT * FROM dev.cities ORDER BY code")
    assert cities == [["JFK", "New York", "4", "1.09"], ["LGA", "New York", "", "1.09"]]
    airports = "SELECT runways, code, length(city), opened FROM lookups.airports ORDER BY code"
    assert rows(airports) == [["4", "JFK", "9", "1948-07-01"], ["", "LGA", "8", ""]]
    assert rows("SELECT fare, currency FROM dev.prices ORDER BY fare") == [["1,5", "EUR"], ["2", "NA"]]
    assert project.result("facts")["payload"] == 2

    (project.root / "seeds/prices.csv").write_text("fare,currency,rate\n3,CHF,0.5\n")
    plan = {node["id"]: node["why"] for node in project.sqb("plan", "--json").json["nodes"]}
    assert "file changed since run" in plan["seed:prices"]
    assert "nothing changed" in plan["seed:airports"]
    assert "upstream changed" in plan["model:cities"]
    told = project.sqb("seed", "seed:prices")
    assert told.code == 0, told.everything
    assert "1 row" in told.out
    assert list(project.statuses()) == ["seed:prices"]
    assert rows("SELECT * FROM dev.prices") == [["3", "CHF", "0.50"]]
    assert "sqb seed seed:prices" in project.sqb("history").out
    shown = project.sqb("query", "SELECT code FROM seed:airports ORDER BY 1", "--json").json
    assert shown["rows"] == [["JFK"], ["LGA"]] or shown["rows"] == [{"code": "JFK"}, {"code": "LGA"}]


def test_a_row_that_does_not_fit_leaves_the_table_and_blocks_what_reads_it(shop):
    project, rows = shop
    project.build()
    (project.root / "seeds/prices.csv").write_text('fare,currency,rate\n"a\nb",EUR,1\n3,CHF,much\n')
    told = project.sqb("build")
    assert told.code == 1
    assert "seeds/prices.csv:4" in told.everything
    assert "column rate: 'much' is no DECIMAL(6, 2), the declared type" in told.everything
    assert project.statuses()["model:cities"] == "blocked"
    assert rows("SELECT count(*) FROM dev.prices") == [["2"]]
    (project.root / "seeds/prices.csv").write_text("fare,currency,rate\n3,CHF,0.5\n")
    assert project.sqb("retry").code == 0
    assert rows("SELECT DISTINCT rate FROM dev.cities") == [["0.50"]]


def test_mistakes_are_told_all_at_once_before_anything_runs(project):
    project.write(
        {
            **FILES,
            "seeds/nobody.csv": "a\n1\n",
            "seeds/empty.csv": "",
            "seeds/more.yml": """
                seeds:
                  - {name: empty, columns: [{name: a, type: INTEGER}]}
                  - {name: absent, columns: [{name: a, type: INTEGER}], descripton: x}
            """,
            "models/cities.sql": 'SELECT a.cod FROM __seed("airports") AS a JOIN __ref("prices") AS p ON true',
        }
    )
    told = project.sqb("compile")
    assert told.code == 2
    for message in (
        "seeds/nobody.csv: no YAML file under seeds/ declares nobody",
        "seeds/empty.csv: the file of the seed empty is empty",
        "seeds/more.yml:4:12: the seed absent is declared, but there is no file absent.csv",
        "did you mean `description`?",
        'cities reads __ref("prices"), but "prices" is a seed',
        'write __seed("prices")',
    ):
        assert message in told.everything, told.everything
