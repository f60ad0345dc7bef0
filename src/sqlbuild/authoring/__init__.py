"""What the author's modules share: the decorators, the contexts, and the collecting of nodes while a project loads.

Imports only the standard library and the light modules below it. `queries.py` imports pyarrow, pandas and polars
inside functions, when `.arrow()`, `.batches()`, `.df()` or `.pl()` is called.
"""
