from __future__ import annotations

from sqlbuild.domain.relation_options import MAX_NAME_BYTES, Index, index_names


def names(relation: str, *keys: str, **fields: object) -> tuple[str, ...]:
    return index_names(relation, [Index(columns=(key,), **fields) for key in keys])


def test_names_are_made_of_the_table_and_its_keys():
    assert names("orders", "id", "created_at DESC", "lower(email)") == (
        "orders_id_idx",
        "orders_created_at_desc_idx",
        "orders_lower_email_idx",
    )
    assert names("orders", "id", unique=True) == ("orders_id_key",)


def test_names_that_would_be_one_are_numbered():
    indexes = [Index(columns=("id",), name="orders_id_idx"), Index(columns=("id",)), Index(columns=("id",), where="x")]
    assert index_names("orders", indexes) == ("orders_id_idx", "orders_id_2_idx", "orders_id_3_idx")


def test_long_names_fit_and_stay_apart():
    made = names("ü" * 30, "a" * 40 + "1", "a" * 40 + "2")
    assert all(len(name.encode()) <= MAX_NAME_BYTES for name in made)
    assert len(set(made)) == 2
