from __future__ import annotations

import ast

import pytest

from sqlbuild.project.canonical_code import SourceFile, canonical_text


def text_of(source):
    return canonical_text(ast.parse(source))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("x = 1", "x  =  1 # why"),
        ("x = 'a'", 'x = "a"'),
        ("x = u'a'", "x = 'a'"),
        ("def f():\n    '''doc'''\n    return 1", "def f():\n    return 1"),
        ("class A:\n    'doc'\n    x = 1", "class A:\n    x = 1"),
        ("f(a,\n  b)", "f(a, b)"),
        ("x = (1)", "x = 1"),
    ],
)
def test_what_does_not_change_the_program_does_not_change_the_text(one, two):
    assert text_of(one) == text_of(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = '1'", "x = 1"),
        ("x = 'a b'", "x = 'a', 'b'"),
        ("f(a, b)", "f(a, *b)"),
        ("x = a and b", "x = a or b"),
        ("def f(a): ...", "def f(*, a): ...\n"),
        ("def f(a, /): ...", "def f(a): ...\n"),
        ("def f(): return 'doc'", "def f(): 'doc'"),
        ("global a, b", "global b, a"),
        ("try: a\nexcept: b", "try: a\nexcept E: b"),
        ("[a for a in b if c]", "[a for a in b]"),
        ("from . import a", "from .. import a"),
        ("async def f(): ...", "def f(): ..."),
        ("x: int = 1", "x = 1"),
        ("{**a}", "{a: a}"),
        ("@a\ndef f(): ...", "def f(): ..."),
        ("f'{a!r}'", "f'{a!s}'"),
    ],
)
def test_what_changes_the_program_changes_the_text(one, two):
    assert text_of(one) != text_of(two)


def functions_of(source):
    names: dict[str, object] = {}
    exec(compile(source, "x.py", "exec"), names)
    return names


def test_functions_are_found_by_their_code_objects():
    source = (
        "def decorate(f): return f\n"
        "if True:\n    @decorate\n    @decorate\n    def f(): return 1\n"
        "class A:\n    class B:\n        def f(self): return 2\n"
        "try:\n    pass\nexcept ValueError:\n    pass\nelse:\n    def g(): return lambda: 3\n"
        "two = (lambda: 4), (lambda: 5)\n"
        "match 1:\n    case 1:\n        def h(): return 6\n"
    )
    names = functions_of(source)
    file = SourceFile(source.encode())
    functions = [names["f"], names["A"].B.f, names["g"], names["g"](), names["two"][0], names["h"]]
    digests = [file.digest_of_function(function.__code__) for function in functions]
    assert None not in digests
    assert len(set(digests)) == len(functions)
    assert file.digest_of_function(names["two"][1].__code__) == digests[4]
    assert file.digest_of_class("A.B") is not None
    assert file.digest_of_class("A.C") is None
    assert file.digest_of_function(functions_of("\n\n\ndef elsewhere(): ...")["elsewhere"].__code__) is None


def test_the_decorators_of_a_function_do_not_count():
    one, two = (SourceFile(f"{decorator}\ndef f(): return 1\n".encode()) for decorator in ("@a", "@b(1)"))
    code = functions_of("def a(f): return f\n@a\ndef f(): return 1\n")["f"].__code__
    one_code = code.replace(co_firstlineno=1)
    assert one.digest_of_function(one_code) == two.digest_of_function(one_code) is not None


def test_an_expression_of_thousands_of_terms_needs_no_recursion():
    source = "x = [" + "[" * 80 + "]" * 80 + "]\ny = " + " + ".join(map(str, range(900)))
    assert text_of(source).count("int") == 900
