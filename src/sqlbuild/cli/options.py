"""Options that every command takes, before or after its name, and what the environment says."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from sqlbuild.cli.interrupts import Stopped
from sqlbuild.cli.output import is_terminal
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class SharedOptions:
    """`project_dir` is as given; `environ` is a copy of the environment."""

    project_dir: str | None = None
    target: str | None = None
    vars: Mapping[str, object] = dataclasses.field(default_factory=dict)
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
    debug: bool = False
    environ: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    masker: Masker = dataclasses.field(default_factory=Masker, compare=False, repr=False)
    """Knows the secrets of the project once it is read."""

    def has_colour(self) -> bool:
        """Whether stdout is a terminal that may show colours."""
        return is_terminal(sys.stdout) and not self.no_color and colour_allowed(self.environ)

    def has_live_view(self) -> bool:
        """Whether stdout is a terminal on which a live view may be drawn."""
        in_ci = self.environ.get("CI", "").lower() not in ("", "0", "false")
        dumb = self.environ.get("TERM", "") in ("", "dumb")
        return is_terminal(sys.stdout) and not (in_ci or dumb or self.quiet or self.json)


def colour_allowed(environ: Mapping[str, str]) -> bool:
    return not environ.get("NO_COLOR") and environ.get("TERM", "") not in ("", "dumb")


def environment() -> dict[str, str]:
    """The one place outside of loading a project where the environment is read."""
    return dict(os.environ)


def parse_vars(text: str) -> dict[str, object]:
    """Read the value of --vars. Raises typer.BadParameter if it is not a JSON object."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise typer.BadParameter("not a JSON object; write for example --vars '{\"year\": 2013}'")
    return value


_SHARED: Mapping[str, Any] = {
    "project_dir": Annotated[
        str | None, typer.Option("--project-dir", metavar="PATH", help="Use the project at PATH, not the one around.")
    ],
    "target": Annotated[
        str | None, typer.Option("--target", "-t", metavar="NAME", help="Work on this target of the settings.")
    ],
    "vars": Annotated[
        Any, typer.Option("--vars", metavar="JSON", parser=parse_vars, help="Set project vars from a JSON object.")
    ],
    "json": Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on stdout.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Print only failures and the outcome.")],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Print more about every node.")],
    "no_color": Annotated[bool, typer.Option("--no-color", help="Print no colours (as NO_COLOR does).")],
    "debug": Annotated[bool, typer.Option("--debug", help="Print tracebacks of sqlbuild itself on stderr.")],
}
_FLAGS = ("json", "quiet", "verbose", "no_color", "debug")


def with_shared_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the shared options; it gets them as its first argument, a `SharedOptions`.

    An option after the command's name wins over the same one before it; vars are merged.
    """
    signature = inspect.signature(command, eval_str=True)
    own = list(signature.parameters.values())[1:]

    @functools.wraps(command)
    def with_options(context: typer.Context, **values: Any) -> int:
        given = {name: values.pop(name) for name in _SHARED}
        context.obj = _merged(context, given)
        try:
            return command(context.obj, **values)
        except BaseException as error:
            if Stopped.is_meant_by(error):
                raise Stopped from None
            raise

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    parameters += [parameter.replace(kind=keyword) for parameter in own]
    parameters += [
        inspect.Parameter(name, keyword, annotation=annotation, default=False if name in _FLAGS else None)
        for name, annotation in _SHARED.items()
    ]
    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _merged(context: typer.Context, given: Mapping[str, Any]) -> SharedOptions:
    before = context.obj if isinstance(context.obj, SharedOptions) else SharedOptions(environ=environment())
    flags = {name: getattr(before, name) or given[name] for name in _FLAGS}
    return dataclasses.replace(
        before,
        project_dir=given["project_dir"] if given["project_dir"] is not None else before.project_dir,
        target=given["target"] if given["target"] is not None else before.target,
        vars={**before.vars, **(given["vars"] or {})},
        **flags,
    )
