from __future__ import annotations

import ast
import dis
import inspect
import types
from types import CodeType

import pytest

from sqlbuild.authoring import code_reads, contexts, declare, read_options
from sqlbuild.authoring.code_reads import MISSING, cell_values, reads_of


def test_names_chains_and_imports_are_found_also_in_nested_code():
    def function(parameter):
        import json

        from ..sibling import thing  # noqa: TID252

        local = helpers.rates.get(LIMIT)  # noqa: F821
        return [json, thing, parameter.LIMIT_OF, local, lambda: (DEEP, len(local))]  # noqa: F821

    reads = reads_of(function.__code__)
    assert set(reads.names) == {"helpers", "LIMIT", "DEEP", "len"}
    assert ("helpers", "rates", "get") in reads.chains
    assert set(reads.imports) == {"json", "..sibling"}


def codes_of(module):
    pending = [compile(inspect.getsource(module), "x", "exec")]
    while pending:
        code = pending.pop()
        yield code
        pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


@pytest.mark.parametrize("module", [ast, inspect, types, contexts, declare, read_options, code_reads])
def test_the_scan_finds_the_same_names_as_the_disassembler(module):
    """Also where arguments are extended: `inspect` has code with more than 256 names."""
    for code in codes_of(module):
        shown = {
            instruction.argval
            for instruction in dis.get_instructions(code)
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
        }
        imported = {each.argval for each in dis.get_instructions(code) if each.opname == "IMPORT_NAME"}
        alone = code.replace(co_consts=tuple(None if isinstance(each, CodeType) else each for each in code.co_consts))
        reads = reads_of(alone)
        assert set(reads.names) == shown
        assert {name.lstrip(".") for name in reads.imports} == imported
        attributes = {
            instruction.argval
            for instruction in dis.get_instructions(code)
            if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD")
        }
        assert {name for chain in reads.chains for name in chain[1:]} <= attributes


def test_an_empty_cell_is_missing():
    def outer(full):
        def inner():
            return full, empty

        values = cell_values(inner)
        empty = 1
        return values

    assert set(outer(3)) == {3, MISSING}
