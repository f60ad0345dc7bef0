"""Warehouses: what the engine asks of a database, in that database's SQL."""
