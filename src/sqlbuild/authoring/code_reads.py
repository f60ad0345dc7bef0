"""What a piece of code reads from outside of itself: globals, found in its bytecode, and closure cells."""

from __future__ import annotations

import dis
import sys
from types import CellType, CodeType, FunctionType

from sqlbuild.domain.record import record

MISSING = object()
"""Stands for a global without a value and for an empty closure cell."""

_CACHE = dis.opmap["CACHE"]
_EXTENDED_ARG = dis.opmap["EXTENDED_ARG"]
_IMPORT_NAME = dis.opmap["IMPORT_NAME"]
_LOAD_CONST = dis.opmap["LOAD_CONST"]


def _operations(shifts: dict[str, int]) -> dict[int, int]:
    return {dis.opmap[name]: shift for name, shift in shifts.items() if name in dis.opmap}


# By how many bits the argument is shifted to become an index into co_names.
_LOADS = _operations({"LOAD_GLOBAL": 1, "LOAD_NAME": 0, "LOAD_FROM_DICT_OR_GLOBALS": 0})
_SMALL_INTS = _operations({"LOAD_SMALL_INT": 0})
_ATTRIBUTES = _operations({"LOAD_ATTR": 1 if sys.version_info >= (3, 12) else 0, "LOAD_METHOD": 0})


@record(frozen=True, slots=True, kw_only=True)
class CodeReads:
    """Global names read by a code object and the code nested in it.

    `chains` are the names with the attributes read from them: `("helpers", "rates", "get")` for `helpers.rates.get()`.
    `imports` are the modules that the code itself imports when it runs, relative ones with their leading dots.
    """

    names: tuple[str, ...]
    chains: tuple[tuple[str, ...], ...]
    imports: tuple[str, ...]


def reads_of(code: CodeType) -> CodeReads:
    chains: dict[tuple[str, ...], None] = {}
    imports: dict[str, None] = {}
    pending = [code]
    while pending:
        current = pending.pop()
        pending += [constant for constant in current.co_consts if isinstance(constant, CodeType)]
        if current.co_names:
            _scan(current, chains, imports)
    return CodeReads(
        names=tuple(dict.fromkeys(chain[0] for chain in chains)), chains=tuple(chains), imports=tuple(imports)
    )


def _scan(code: CodeType, chains: dict[tuple[str, ...], None], imports: dict[str, None]) -> None:
    # dis.get_instructions says the same twenty times slower; a test compares the two on every Python version.
    names = code.co_names
    instructions = code.co_code
    chain: tuple[str, ...] = ()
    constants: tuple[object, ...] = ()
    extended = 0
    for offset in range(0, len(instructions), 2):
        operation, argument = instructions[offset], instructions[offset + 1] | extended
        if operation == _CACHE:
            continue
        extended = argument << 8 if operation == _EXTENDED_ARG else 0
        if operation in _ATTRIBUTES and chain:
            chain = (*chain, names[argument >> _ATTRIBUTES[operation]])
            continue
        if chain:
            chains[chain] = None
            chain = ()
        if operation in _LOADS:
            chain = (names[argument >> _LOADS[operation]],)
        elif operation == _LOAD_CONST:
            constants = (*constants[-1:], code.co_consts[argument])
        elif operation in _SMALL_INTS:
            constants = (*constants[-1:], argument)
        elif operation == _IMPORT_NAME:
            level = constants[0] if constants else 0
            imports["." * (level if isinstance(level, int) else 0) + names[argument]] = None
    if chain:
        chains[chain] = None


def cell_values(function: FunctionType) -> tuple[object, ...]:
    """What the closure cells hold, in the order of `co_freevars`; MISSING for an empty one."""
    return tuple([_content(cell) for cell in function.__closure__ or ()])


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING
