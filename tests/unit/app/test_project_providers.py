from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from sqlbuild.app.project_providers import ProjectProviders
from sqlbuild.domain.ids import Place
from sqlbuild.domain.providers import ProviderDeclaration, provider_name
from sqlbuild.errors import ProjectError, ProviderError
from sqlbuild.providers import Provider


class Crm(Provider):
    model_config = SettingsConfigDict(env_prefix="CRM_")

    token: SecretStr
    port: int = 80
    mode: Literal["fast", "safe"] = "safe"
    base: str = Field(default="", validation_alias="CRM_BASE_URL")
    regions: list[int] = []

    @field_validator("token")
    @classmethod
    def has_prefix(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith("t-"):
            raise ValueError(f"{value.get_secret_value()} does not begin with t-")
        return value


class Erp(Provider):
    erp_host: str


class Hasty(Provider):
    def model_post_init(self, _context: object) -> None:
        raise OSError("no route to host")


def providers(*types: type[Provider]) -> ProjectProviders:
    return ProjectProviders(
        [
            ProviderDeclaration(name=provider_name(each.__name__), type=each, place=Place("providers/crm.py", line))
            for line, each in enumerate(types, 1)
        ]
    )


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in ("CRM_TOKEN", "CRM_PORT", "CRM_MODE", "CRM_BASE_URL", "CRM_REGIONS", "ERP_HOST"):
        monkeypatch.delenv(name, raising=False)


def test_fields_come_from_the_environment_and_there_is_one_instance(monkeypatch):
    monkeypatch.setenv("CRM_TOKEN", "t-secret")
    monkeypatch.setenv("CRM_BASE_URL", "http://crm.local")
    found = providers(Crm)
    found.validate(["crm"])
    crm = found.make("crm")
    assert (crm.token.get_secret_value(), crm.port, crm.base) == ("t-secret", 80, "http://crm.local")
    assert found.make("crm") is crm


def test_everything_that_is_wrong_is_told_at_once_and_no_value_is_shown(monkeypatch):
    monkeypatch.setenv("CRM_TOKEN", "very-secret-token")
    monkeypatch.setenv("CRM_PORT", "very-secret-port")
    monkeypatch.setenv("CRM_MODE", "very-secret-mode")
    with pytest.raises(ProjectError) as caught:
        providers(Crm, Erp).validate(["crm", "erp", "crm"])
    assert "very-secret" not in str(caught.value)
    assert [(problem.line, problem.message, problem.help) for problem in caught.value.problems] == [
        (
            1,
            "the provider Crm: token: Value error, **** does not begin with t-",
            "correct the environment variable CRM_TOKEN",
        ),
        (
            1,
            "the provider Crm: port: Input should be a valid integer, unable to parse string as an integer",
            "correct the environment variable CRM_PORT",
        ),
        (1, "the provider Crm: mode: Input should be 'fast' or 'safe'", "correct the environment variable CRM_MODE"),
        (2, "the provider Erp: erp_host: Field required", "set the environment variable ERP_HOST"),
    ]
    assert caught.value.exit_code == 2


def test_only_what_is_used_is_looked_at():
    providers(Crm, Erp).validate([])


def test_a_value_of_several_parts_that_is_no_json_is_told(monkeypatch):
    monkeypatch.setenv("CRM_TOKEN", "t-secret")
    monkeypatch.setenv("CRM_REGIONS", "north,south")
    with pytest.raises(ProjectError, match="regions") as caught:
        providers(Crm).validate(["crm"])
    assert "JSON" in caught.value.problems[0].help
    assert "north" not in str(caught.value)


def test_an_entry_inside_a_field_is_named(monkeypatch):
    monkeypatch.setenv("CRM_TOKEN", "t-secret")
    monkeypatch.setenv("CRM_REGIONS", '[1, "two"]')
    with pytest.raises(ProjectError, match=r"regions\[1\]: Input should be a valid integer"):
        providers(Crm).validate(["crm"])


def test_a_class_that_raises_when_it_is_made_is_told_to_wait_for_setup():
    with pytest.raises(ProjectError, match="cannot be made: OSError: no route to host") as caught:
        providers(Hasty).validate(["hasty"])
    assert "`setup`" in caught.value.problems[0].help


def test_what_was_not_validated_before_the_run_fails_the_node_that_asks():
    with pytest.raises(ProviderError, match="erp_host: Field required") as caught:
        providers(Erp).make("erp")
    assert caught.value.help == "set the environment variable ERP_HOST"


def test_clients_are_kept_as_plain_attributes_beside_the_fields():
    crm = Crm(token="t-1", port="8080")
    crm.session = object()
    crm.port = 81
    assert (crm.port, crm.session) == (81, crm.session)
    assert "session" not in crm.model_dump()
    assert "t-1" not in repr(crm)
