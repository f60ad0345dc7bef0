"""What stops a build between what a model has staged and what it publishes: the old table stays, and nothing else."""

from __future__ import annotations

import json
import signal

from faulty_places import on_both, on_postgres

ENDLESS = (
    "SELECT 1 FROM generate_series(1, 1000000) AS a (n), generate_series(1, 1000000) AS b (n) WHERE (a.n + b.n) % 7 = 9"
)
FILES = {
    "audits/generic/endless.sql": f"AUDIT (sql_analysis false);\nSELECT o.* FROM @relation AS o WHERE EXISTS ({ENDLESS})\n",
    "models/orders.sql": "MODEL (materialized table, columns (v (audits [not_null])));\nSELECT 1 AS v\n",
    "models/readers.sql": 'MODEL (materialized view);\nSELECT v FROM __ref("orders")\n',
}


def changed(faulty, header: str, value: str = "2") -> None:
    faulty.write({"models/orders.sql": f"MODEL (materialized table, {header});\nSELECT {value} AS v\n"})


def tables(faulty) -> set[str]:
    found = faulty.place.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = $1", faulty.place.schema
    )
    return {name for (name,) in found if not name.startswith("_sqlbuild_") or "staging" in name}


@on_both
def test_a_signal_while_an_audit_looks_leaves_the_old_table_and_nothing_staged(faulty):
    faulty.write(FILES)
    faulty.build()
    changed(faulty, "audits [endless], columns (v (audits [not_null]))")
    process = faulty.start("build", "--events")
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "node_started" and event["node"] == "audit:orders.endless":
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    found = faulty.statuses()
    assert {name: found[name] for name in ("orders", "orders.endless", "readers")} == {
        "orders": "cancelled",
        "orders.endless": "cancelled",
        "readers": "not_started",
    }
    assert faulty.place.rows("SELECT v FROM orders") == [(1,)]
    assert tables(faulty) == {"orders", "readers"}
    changed(faulty, "columns (v (audits [not_null]))")
    resumed = faulty.sqb("retry")
    assert resumed.exit_code == 0, resumed.output
    assert faulty.place.rows("SELECT v FROM orders") == [(2,)]


@on_both
def test_the_first_failure_and_a_time_limit_end_other_audits_of_the_model_too(faulty):
    faulty.write(FILES)
    faulty.build()
    changed(faulty, "audits [endless], columns (v (audits [not_null]))", "CAST(NULL AS INTEGER)")
    stopped = faulty.sqb("build", "--fail-fast")
    assert stopped.exit_code == 1, stopped.output
    found = faulty.statuses()
    assert found["orders.not_null(v)"] == "failed"
    assert found["orders.endless"] in ("cancelled", "not_started")
    assert found["orders"] == "failed"
    assert "1 of 2 audits did not pass: not_null(v); what was there before stays" in stopped.output
    changed(faulty, "timeout 1.5, audits [endless], columns (v (audits [not_null]))")
    late = faulty.sqb("build")
    assert late.exit_code == 1, late.output
    assert faulty.statuses() == {
        "orders": "failed",
        "orders.not_null(v)": "succeeded",
        "orders.endless": "timed_out",
        "readers": "blocked",
    }
    assert faulty.place.rows("SELECT v FROM orders") == [(1,)]
    assert tables(faulty) == {"orders", "readers"}


@on_postgres
def test_a_promotion_that_is_tried_again_publishes_what_the_audits_have_seen(faulty):
    faulty.write({**FILES, "sqlbuild_project.toml": faulty.place.settings(options="lock_timeout = 0.5")})
    faulty.build()
    changed(faulty, "retry (max_attempts 20, initial_delay_seconds 0.01), columns (v (audits [not_null]))")
    with faulty.place.held("SELECT v FROM orders"):
        process = faulty.start("build", "-v")
        said = [process.stdout.readline()]
        while "retrying" not in said[-1]:
            said.append(process.stdout.readline())
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert faulty.place.rows("SELECT v FROM orders") == [(2,)]
    assert faulty.result("orders")["attempt"] > 1
    assert faulty.result("orders.not_null(v)")["attempt"] == 1
    assert tables(faulty) == {"orders", "readers"}
