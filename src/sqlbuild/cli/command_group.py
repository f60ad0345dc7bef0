"""The commands of `sqb`: known by name and purpose from the start, loaded when one is asked for."""

from __future__ import annotations

import importlib
import typing

import typer
import typer.core
import typer.main

from sqlbuild.cli.options import with_shared_options
from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class Command:
    """`purpose` is the first sentence of the function's docstring; the function stands in cli/, in `module`."""

    name: str
    module: str
    function: str
    purpose: str
    hidden: bool = False


def _command(name: str, purpose: str, function: str | None = None) -> Command:
    return Command(name=name, module=f"{name}_command", function=function or name, purpose=purpose)


COMMANDS = (
    _command("build", "Run loaders, unit tests, models, audits, tasks, assets and checks."),
    _command("plan", "Show what a build would run, and why."),
    _command(
        "retry",
        "Go on with the last run that did not succeed: what failed, was stopped or never began, and what depends on it.",
    ),
    _command("audit", "Run audits alone, against what exists."),
    _command("test", "Run unit tests of SQL alone.", "run_tests"),
    _command("check", "Run checks alone, against what exists."),
    _command("load", "Run loaders alone, with whatever they need and the target lacks."),
    _command("seed", "Load the CSV files of seeds/ into their tables, and nothing else."),
    _command("compile", "Check the whole project and report every problem at once.", "compile_project"),
    _command("list", "List the nodes that a selection contains.", "list_nodes"),
    Command(name="ls", module="list_command", function="list_nodes", purpose="As list.", hidden=True),
    _command("show", "Show one node."),
    _command("history", "Show past runs, the newest first."),
    _command("dag", "Summarise the graph of the project."),
    _command("lineage", "Show what a node or column is made of, and what is made of it."),
    _command("freshness", "Show what version the data of sources has."),
    _command("query", "Run a read-only query against the target."),
    _command("init", "Make an empty project."),
    _command("playground", "Make a small working project that shows every kind of node."),
    _command("clean", "Remove what earlier commands left behind."),
)
"""In the order in which the help lists them."""
_BY_NAME = {command.name: command for command in COMMANDS}


class CommandGroup(typer.core.TyperGroup):
    """Has a command without options for each name, and gives the real one to who resolves it."""

    def resolve_command(self, ctx: typing.Any, args: list[str]) -> typing.Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else loaded_command(name), rest


def loaded_command(name: str) -> typing.Any:
    """The command of this name with its options."""
    command = _BY_NAME[name]
    function = getattr(importlib.import_module(f"sqlbuild.cli.{command.module}"), command.function)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name, hidden=command.hidden)(with_shared_options(function))
    return typer.main.get_command(app)


def add_commands(app: typer.Typer) -> None:
    for command in COMMANDS:
        app.command(command.name, help=command.purpose, hidden=command.hidden)(_not_loaded)


def _not_loaded() -> None:
    raise AssertionError("a command is loaded before it is called")
