"""`@@...` in SQL: vars of the project, variables of the environment, and in hooks what they know of their model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sqlbuild.domain.pattern import pattern
from sqlbuild.errors import Rebuilt
from sqlbuild.project.field_reader import nearest

_WRITTEN = r"(?<!@)@@(?:CTX:(?P<context>\w+\.\w+)|ENV:(?P<env>\w+)|(?P<var>[A-Za-z_]\w*))"
_VARIABLE = pattern(_WRITTEN)
_IN_SQL = pattern(
    rf"(?P<comment>--[^\n]*+|/\*[^*]*+\*++(?:[^/*][^*]*+\*++)*+/)|(?P<text>'(?:[^']++|'')*+'|\"[^\"]*+\")"
    rf"|(?P<macro>@py\.[^\W\d]\w*+\s*+\()|{_WRITTEN}"
)
_IN_ARGUMENTS = pattern(
    r'(?P<string>"""[\s\S]*?"""|' + r"'''[\s\S]*?'''" + r'|"(?:[^"\\\n]++|\\.)*+"|' + r"'(?:[^'\\\n]++|\\.)*+')"
    rf"|(?P<open>[(\[{{])|(?P<close>[)\]}}])|{_WRITTEN}"
)


class WrongVariable(Rebuilt):
    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.help = help


class SqlVariables:
    """What `@@...` may stand for. `context` is that of a hook; None where there is no `@@CTX:`."""

    def __init__(
        self, values: Mapping[str, object], environ: Mapping[str, str], context: Mapping[str, str] | None = None
    ) -> None:
        self._vars = values
        self._environ = environ
        self._context = context

    def replaced(self, text: str, refuse: Callable[[int, WrongVariable], None]) -> str:
        """`text` with the values put in as they are, also inside of quotes; among the arguments of macros as Python
        values. `refuse` is told of what stands for nothing, with its offset."""
        if "@@" not in text:
            return text
        parts: list[str] = []
        position = depth = 0

        def value(found: re.Match[str], begin: int = 0) -> object:
            try:
                return self._value(found)
            except WrongVariable as wrong:
                refuse(begin + found.start(), wrong)
                return None

        def within(quoted: str, begin: int, quote: str) -> str:
            def put(each: re.Match[str]) -> str:
                found = _sql(value(each, begin))
                return _escaped(found, quote) if quote else found

            return _VARIABLE.sub(put, quoted)

        while found := (_IN_ARGUMENTS if depth else _IN_SQL).search(text, position):
            parts.append(text[position : found.start()])
            position, whole = found.end(), found.group()
            match found.lastgroup:
                case "comment":
                    parts.append(whole)
                case "text" | "string" as kind:
                    parts.append(within(whole, found.start(), whole[0] if kind == "string" else ""))
                case "macro" | "open":
                    depth += 1
                    parts.append(whole)
                case "close":
                    depth -= 1
                    parts.append(whole)
                case _:
                    parts.append(repr(value(found)) if depth else _sql(value(found)))
        return "".join((*parts, text[position:]))

    def _value(self, found: re.Match[str]) -> object:
        """What stands for one `@@...`: a text, a number, a truth value or None. Raises WrongVariable."""
        if (name := found["context"]) is not None:
            return self._of_context(name)
        if (name := found["env"]) is not None:
            if name not in self._environ:
                raise WrongVariable(f"the environment variable {name} is not set", "set it, or correct the name")
            return self._environ[name]
        name = found["var"]
        if name not in self._vars:
            raise WrongVariable(f"there is no var {name}", nearest(name, self._vars) or "add it to [vars]")
        value = self._vars[name]
        if not isinstance(value, str | int | float | None):
            raise WrongVariable(f"the var {name} is a list or a table", "give a text, a number, true or false")
        return value

    def _of_context(self, name: str) -> str:
        if self._context is None:
            raise WrongVariable(f"@@CTX:{name} stands in hooks only", "write it in `pre_hooks` or `post_hooks`")
        if name not in self._context:
            raise WrongVariable(f"there is no @@CTX:{name}", nearest(name, self._context))
        if not self._context[name]:
            raise WrongVariable(
                f"@@CTX:{name} is empty: the database is that of the connection", "leave it out, or set `database`"
            )
        return self._context[name]


def _sql(value: object) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).upper()
        case _:
            return str(value)


def _escaped(text: str, quote: str) -> str:
    return text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
