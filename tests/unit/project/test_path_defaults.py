from __future__ import annotations

import pytest

from sqlbuild.project.path_defaults import matching_keys


@pytest.mark.parametrize(
    ("folder", "keys", "best"),
    [
        ("staging", ["staging", "marts"], ["staging"]),
        ("staging", ["models/staging/"], ["models/staging/"]),
        ("staging/orders", ["staging", "staging/orders"], ["staging/orders"]),
        ("staging/orders/late", ["staging", "staging/orders"], ["staging/orders"]),
        ("staging_old", ["staging"], []),
        ("a/staging", ["staging"], []),
        ("", ["staging"], []),
        ("", ["**", "models"], ["models"]),
        ("", ["**"], ["**"]),
        ("a/b/c", ["**"], ["**"]),
        ("staging", ["**", "staging"], ["staging"]),
        ("staging/x", ["staging/*", "staging"], ["staging"]),
        ("a/x/c", ["a/*", "a/*/c", "**"], ["a/*/c"]),
        ("a/b", ["*/b", "a/*"], ["*/b", "a/*"]),
        ("a/b", ["**/b", "*/b"], ["*/b"]),
        ("a/b/c", ["**/c"], ["**/c"]),
        ("stg_orders", ["stg_*"], ["stg_*"]),
        ("a.b", ["axb"], []),
    ],
)
def test_the_nearest_key_is_taken(folder: str, keys: list[str], best: list[str]):
    assert matching_keys(folder, keys) == best
