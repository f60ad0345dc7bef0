from __future__ import annotations

import pytest

from sqlbuild.authoring.provided import Provided


class Session:
    def provider(self, name: str) -> str:
        return f"the {name}"


def test_attributes_are_asked_of_the_session():
    assert Provided(Session()).crm_client == "the crm_client"


def test_names_that_begin_with_an_underscore_are_no_providers():
    with pytest.raises(AttributeError, match="_repr_html_"):
        Provided(Session())._repr_html_  # noqa: B018
