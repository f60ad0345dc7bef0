"""The project's vars as nodes see them."""

from __future__ import annotations

import difflib
import json
from typing import Any, NoReturn

from sqlbuild.errors import MissingVar


class ProjectVars(dict[str, Any]):
    """A dict whose `[...]` says how to set a var that is missing; everything else is as in any dict."""

    def __missing__(self, name: object) -> NoReturn:
        if not isinstance(name, str):
            raise MissingVar(f"ctx.vars has no {name!r}: names of vars are texts")
        near = difflib.get_close_matches(name, self, n=1)
        message = f'there is no var "{name}"' + (f', did you mean "{near[0]}"?' if near else "")
        on_command_line = json.dumps({name: "..."}, ensure_ascii=False)
        raise MissingVar(
            message,
            help=f"set it under [vars] of sqlbuild_project.toml or with --vars '{on_command_line}'; "
            f'where it may be missing, read ctx.vars.get("{name}", default)',
        )
