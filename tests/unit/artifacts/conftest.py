"""Documents against their shipped schemas."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest


def _closed(schema: Any) -> Any:
    """The schema with every object that lists its members allowing no others: nothing goes out undescribed."""
    if isinstance(schema, list):
        return [_closed(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if "required" in closed:
        closed["additionalProperties"] = False
    return closed


@pytest.fixture(scope="session")
def validate() -> Callable[[str, object], None]:
    """`validate("dag", document)` raises where the document and its schema differ, either way."""

    def check(name: str, document: object) -> None:
        schemas = importlib.resources.files("sqlbuild.artifacts") / "schemas"
        schema = json.loads((schemas / f"{name}.schema.json").read_text("utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.Draft202012Validator(schema).validate(document)
        jsonschema.Draft202012Validator(_closed(schema)).validate(document)

    return check
