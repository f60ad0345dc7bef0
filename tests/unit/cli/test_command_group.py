from __future__ import annotations

import importlib
import inspect

import pytest

from sqlbuild.cli.command_group import COMMANDS, loaded_command


@pytest.mark.parametrize("command", [each for each in COMMANDS if not each.hidden], ids=lambda command: command.name)
def test_the_purpose_that_the_help_lists_is_how_the_help_of_the_command_begins(command):
    function = getattr(importlib.import_module(f"sqlbuild.cli.{command.module}"), command.function)
    described = inspect.getdoc(function) or ""
    assert described.partition(". ")[0].removesuffix(".") + "." == command.purpose
    assert loaded_command(command.name).name == command.name
