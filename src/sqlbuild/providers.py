"""Providers: shared clients that are made once in a run and given to the nodes that name them.

Needs pydantic-settings: `pip install 'sqlbuild[providers]'`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from sqlbuild.errors import ExtraNotInstalled, Problem
from sqlbuild.interfaces.providers import ProviderContext

try:
    from pydantic_settings import BaseSettings, SettingsConfigDict
except ImportError as error:
    raise ExtraNotInstalled(
        Problem(
            code="EXTRA",
            message="sqlbuild.providers needs pydantic-settings, which is not installed",
            help="pip install 'sqlbuild[providers]'",
        )
    ) from error

__all__ = ["Provider", "ProviderContext"]


class Provider(BaseSettings):
    """What a class in `providers/*.py` derives from.

    Its fields come from environment variables of their names (`model_config = SettingsConfigDict(env_prefix="CRM_")` puts
    something in front) and are validated before any node of a run begins. Then there is one instance in a run: `setup` is
    called when the first node needs it, `teardown` when the run ends, in reverse order. Both may be `def`, which runs on a
    thread, or `async def`. Instead of the two a class may have `__aenter__` and `__aexit__`; if `__aenter__` returns
    something, nodes get that.

    A node gets it as the parameter named like the class in snake_case (`crm_client` for `CrmClient`) and as
    `ctx.providers.crm_client`.
    """

    __sqlbuild_provider__: ClassVar[bool] = True

    model_config = SettingsConfigDict(extra="ignore", arbitrary_types_allowed=True)

    def setup(self, ctx: ProviderContext) -> object:
        """Open what the nodes will use. What it raises fails the nodes that need the provider."""
        return None

    def teardown(self) -> object:
        """Close it; only called after a `setup` that did not raise."""
        return None

    def __setattr__(self, name: str, value: Any) -> None:
        # Clients are kept as plain attributes beside the fields, which pydantic alone would refuse.
        if name in type(self).model_fields or name.startswith("_"):
            super().__setattr__(name, value)
        else:
            object.__setattr__(self, name, value)


def environment_variables(provider: Any) -> Mapping[str, tuple[str, str]]:
    """Field (or its alias, which is a variable's name itself) -> the variable it comes from, and what that holds now."""
    prefix = provider.model_config.get("env_prefix", "")
    names = {field: f"{prefix}{field}".upper() for field in provider.model_fields}
    aliases = {facts.validation_alias for facts in provider.model_fields.values()}
    names |= {alias: alias for alias in aliases if isinstance(alias, str)}
    values = {name.upper(): value for name, value in os.environ.items()}
    return {field: (name, values.get(name.upper(), "")) for field, name in names.items()}
