"""sqlbuild runs a data project's SQL models and Python assets, sync and async, as one graph."""

__version__ = "0.1.0"
