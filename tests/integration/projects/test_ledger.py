"""A ledger in double entry: integer cursors, columns that come and go, a branch beside what is published."""

from __future__ import annotations

import pytest

ENTRIES = """
    CREATE TABLE bank.entries (
      entry_no BIGINT, transfer_no INTEGER, account VARCHAR(20), cents BIGINT, currency VARCHAR(3), note VARCHAR(40)
    )
"""
FIRST = (
    "CREATE TABLE bank.accounts (account VARCHAR(20), owner VARCHAR(20))",
    "INSERT INTO bank.accounts VALUES ('cash', 'Ann'), ('equity', 'Ann'), ('stock', 'Bo'), ('sales', 'Bo')",
    """
    INSERT INTO bank.entries VALUES
      (1, 1, 'cash', 10000, 'EUR', NULL), (2, 1, 'equity', -10000, 'EUR', NULL),
      (3, 2, 'cash', -2500, 'EUR', NULL), (4, 2, 'stock', 2500, 'EUR', NULL),
      (5, 3, 'cash', 4000, 'USD', NULL), (6, 3, 'sales', -4000, 'USD', NULL)
    """,
)
SECOND = """
    INSERT INTO bank.entries VALUES
      (7, 4, 'ghost', 100, 'EUR', 'refund'), (8, 4, 'cash', -100, 'EUR', 'refund'),
      (9, 5, 'bank', -50, 'EUR', NULL), (10, 5, 'cash', 50, 'EUR', NULL)
"""
JOURNAL = [
    (1, "cash", 10000, "EUR"),
    (2, "equity", -10000, "EUR"),
    (3, "cash", -2500, "EUR"),
    (4, "stock", 2500, "EUR"),
    (5, "cash", 3600, "USD"),
    (6, "sales", -3600, "USD"),
]
NEW = [(7, "sales", 100), (8, "cash", -100), (9, "bank", -50), (10, "cash", 50)]
NOTES = {7: "refund", 8: "refund"}
BALANCES = [("cash", 11100, 5, 1), ("equity", -10000, 2, 1), ("sales", -3600, 6, 1), ("stock", 2500, 4, 1)]
VARIANTS = ("journal_ignore", "journal_sync", "journal_strict")
WITHOUT_CURRENCY = ("cents, currency FROM", "cents, note FROM")


@pytest.fixture
def ledger(copied):
    ledger = copied("ledger")
    ledger.run("CREATE SCHEMA bank", ENTRIES, *FIRST)
    return ledger


def table(ledger, name: str, schema: str = "books") -> list[tuple]:
    return ledger.run(f'SELECT * FROM {schema}."{name}" ORDER BY 1')


def test_the_books_balance_and_columns_come_and_go(ledger):
    built = ledger.build()
    assert set(built.values()) == {"succeeded"}
    assert len(built) == 37
    assert table(ledger, "currencies") == [
        ("EUR", 'Euro, the "single" one', "€", 2),
        ("JPY", "Yen", None, 0),
        ("USD", "US Dollar", "$", 2),
    ]
    assert all(table(ledger, name) == JOURNAL for name in ("journal", *VARIANTS))
    assert table(ledger, "balances") == BALANCES
    assert table(ledger, "last_entries") == [
        (2, "equity", -10000),
        (4, "stock", 2500),
        (5, "cash", 3600),
        (6, "sales", -3600),
    ]
    assert table(ledger, "account_totals") == [("cash", 3), ("equity", 1), ("sales", 1), ("stock", 1)]
    sides = {number: "debit" if number in (1, 4, 5) else "credit" for number in range(1, 7)}
    assert table(ledger, "marks") == sorted(sides.items())
    assert table(ledger, "versions") == [(number, "first") for number in range(1, 7)]
    assert table(ledger, "current_entries") == [(number,) for number in range(1, 7)]
    assert table(ledger, "closed_year") == [(2, -10000), (3, -2500), (4, 2500)]
    assert table(ledger, "cash entries") == [
        (number, cents, "debit") for number, cents in ((1, 10000), (3, -2500), (5, 3600))
    ]
    assert (ledger.root / "exports/cash.csv").read_text().splitlines() == ["account,cents", "cash,11100"]

    # A branch changes one model, and reads everything else where it is published.
    ledger.change("models/books/account_totals.sql", ("AS entries", "AS entries, CAST(SUM(cents) AS BIGINT) AS cents"))
    branch = f"{ledger.target}_branch"
    assert ledger.build("account_totals+", "--defer-to", ledger.target, target=branch) == {
        "account_totals": "succeeded"
    }
    assert table(ledger, "account_totals", "branch") == [
        ("cash", 3, 11100), ("equity", 1, -10000), ("sales", 1, -3600), ("stock", 1, 2500),
    ]  # fmt: skip
    there = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'branch'"
    assert {name for (name,) in ledger.run(there) if not name.startswith("_sqlbuild_")} == {"account_totals"}
    assert table(ledger, "account_totals") == [("cash", 3), ("equity", 1), ("sales", 1), ("stock", 1)]

    # An account that nobody knows: nothing is built of it.
    ledger.run(SECOND, "INSERT INTO bank.accounts VALUES ('bank', 'Cy')")
    stopped = ledger.build("--changed", code=1)
    assert [name for name, status in stopped.items() if status == "failed"] == ["raw_entries.relationships(account)"]
    assert {stopped[name] for name in ("stg_entries", "journal", "balances", "cash_statement")} == {"blocked"}
    assert table(ledger, "balances") == BALANCES

    # It is mended. What was a column of the models is none any more, and another one has come.
    ledger.run("UPDATE bank.entries SET account = 'sales' WHERE entry_no = 7")
    for path in ("books/journal", *(f"variants/{name}" for name in VARIANTS)):
        ledger.change(f"models/{path}.sql", WITHOUT_CURRENCY)
    ledger.change(
        "tests/unit/entries.sql", (', @param("code") AS currency),\n__expected__balances', "),\n__expected__balances")
    )
    built = ledger.build("--changed", code=1)
    assert {name for name, status in built.items() if status != "succeeded"} == {"journal_strict"}
    assert ledger.message("journal_strict").endswith("journal_strict: note is new; currency is gone")
    notes = [NOTES.get(number) for number, *_ in NEW]
    assert table(ledger, "journal") == [
        *((*row, None) for row in JOURNAL),
        *((*row, None, note) for row, note in zip(NEW, notes, strict=True)),
    ]
    assert table(ledger, "journal_sync") == [
        *((*row[:3], None) for row in JOURNAL),
        *((*row, note) for row, note in zip(NEW, notes, strict=True)),
    ]
    assert table(ledger, "journal_ignore") == [*JOURNAL, *((*row, None) for row in NEW)]
    assert table(ledger, "journal_strict") == JOURNAL
    assert table(ledger, "balances") == [
        ("bank", -50, 9, 6), ("cash", 11050, 10, 1), ("equity", -10000, 2, 1), ("sales", -3500, 7, 1), ("stock", 2500, 4, 1),
    ]  # fmt: skip
    assert table(ledger, "last_entries") == [
        (2, "equity", -10000), (4, "stock", 2500), (7, "sales", 100), (9, "bank", -50), (10, "cash", 50),
    ]  # fmt: skip
    assert table(ledger, "account_totals") == [
        ("bank", 1, -50), ("cash", 5, 11050), ("equity", 1, -10000), ("sales", 2, -3500), ("stock", 1, 2500),
    ]  # fmt: skip
    assert table(ledger, "versions") == [(number, "first") for number in range(1, 11)]
    assert table(ledger, "closed_year") == [(2, -10000), (3, -2500), (4, 2500)]
    assert table(ledger, "cash entries")[3:] == [(8, -100, "debit")]

    # An entry is lost, so that a transfer does not balance: an audit by itself fails, and what is built is built.
    ledger.run("DELETE FROM bank.entries WHERE entry_no = 3")
    ledger.change("models/books/marks.sql", ('@py.side_of("cents")', '@py.side_of("cents", debit="D")'))
    ledger.change("models/books/versions.sql", ("'first'", "'second'"))
    chosen = ("marks", "versions", "current_entries", "transfers_balance")
    planned = {node["name"]: node for node in ledger.sqb("plan", *chosen, "--diff")["nodes"]}
    assert [planned[name]["incremental"]["replay"] for name in ("marks", "versions")] == ["full", "bounded-3s"]
    (added,) = (line for line in planned["marks"]["diff"]["lines"] if line.startswith("+SELECT"))
    assert "CASE WHEN cents > 0 THEN 'D' ELSE 'credit' END AS side" in added
    built = ledger.build(*chosen, code=1)
    assert {name for name, status in built.items() if status != "succeeded"} == {"transfers_balance"}
    assert "transfer_no=2 cents=2500" in ledger.message("transfers_balance")
    sides = {number: "D" if number in (1, 4, 5, 7, 10) else "credit" for number in range(1, 11) if number != 3}
    assert table(ledger, "marks") == sorted(sides.items())
    assert table(ledger, "versions") == [(n, "second" if n >= 8 else "first") for n in range(1, 11)]
    assert table(ledger, "current_entries") == [(number,) for number in range(1, 11) if number != 3]

    # It is found again, behind the cursor; and the model that wanted no other columns is made anew.
    ledger.run("INSERT INTO bank.entries VALUES (3, 2, 'cash', -2500, 'EUR', 'found')")
    ledger.build("marks", "journal_sync", "--no-tests", "--start-cursor", "3", "--end-cursor", "4")
    assert table(ledger, "marks") == sorted({**sides, 3: "credit"}.items())
    assert table(ledger, "journal_sync")[2] == (3, "cash", -2500, "found")
    assert len(table(ledger, "journal_sync")) == 10
    ledger.build("journal_strict", "transfers_balance", "--no-tests", "--full-refresh")
    found = {**NOTES, 3: "found"}
    assert table(ledger, "journal_strict") == [
        (*row, found.get(row[0])) for row in [*(row[:3] for row in JOURNAL), *NEW]
    ]

    # What it all was made of.
    edges = ledger.sqb("lineage", "balances.cents", "--format", "json")["edges"]
    assert {(edge["from"], edge["from_column"], edge["to"], edge["transform"]) for edge in edges} == {
        ("model:journal", "cents", "model:balances", "aggregation"),
        ("model:stg_entries", "cents", "model:journal", "direct"),
        ("source:raw_entries", "cents", "model:stg_entries", "expression"),
        ("source:raw_rates", "rate", "model:stg_entries", "expression"),
    }
