from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from sqlbuild.project.read_python import close_python, read_python

HEAD = "from sqlbuild.assets import asset\nfrom sqlbuild.refs import model\n"


@pytest.fixture
def facts(tmp_path):
    """Facts of the asset `export` of a project with these files (a text alone is assets/a.py)."""

    def facts(files, name="asset:export"):
        given = {"assets/a.py": files} if isinstance(files, str) else files
        for path, text in given.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
        read = read_python(tmp_path, [Path(path) for path in sorted(given) if "/" in path])
        assert read.problems == ()
        return read.code[name]

    yield facts
    close_python(tmp_path)


PLAIN = """
    RATE = 3

    def helper(value):
        return value * 2

    @asset(tags=["a"])
    def export(ctx):
        '''Exports.'''
        return helper(1) + RATE
"""


@pytest.mark.parametrize(
    "same",
    [
        PLAIN.replace('tags=["a"]', 'tags=["b"], description="other"'),
        PLAIN.replace("Exports.", "Writes."),
        PLAIN.replace("helper(1) + RATE", "helper( 1 ) + \\\n            RATE  # a comment"),
        "UNUSED = 4\ndef unused(): ...\n" + textwrap.dedent(PLAIN),
    ],
)
def test_layout_docs_decorators_and_other_code_change_nothing(facts, same):
    before = facts(PLAIN)
    assert facts(same) == before
    assert before.not_tracked == ()


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("helper(1)", "helper(2)", "source_digest"),
        ("value * 2", "value * 3", "source_digest"),
        ("RATE = 3", "RATE = 4", "values"),
        ("def export(ctx)", "async def export(ctx)", "source_digest"),
    ],
)
def test_a_change_of_what_runs_is_seen(facts, old, new, part):
    before = facts(PLAIN)
    after = facts(PLAIN.replace(old, new))
    assert getattr(before, part) != getattr(after, part)


def test_calls_are_followed_through_modules_classes_and_other_files(facts):
    files = {
        "_shared.py": "from _deep import deep\nLIMIT = 1\nclass Base:\n    def run(self): return deep()\n"
        "class Client(Base):\n    @property\n    def x(self): return 1\n    @staticmethod\n    def y(): return other()\n"
        "def other(): return 5\n",
        "_deep.py": "def deep(): return 7\n",
        "assets/a.py": "import _shared\n@asset\ndef export(ctx): return _shared.Client().run(), _shared.LIMIT\n",
    }
    before = facts(files)
    assert before.values == {"_shared.LIMIT": "1"}
    for path, old, new in (
        ("_deep.py", "7", "8"),
        ("_shared.py", "return deep()", "return deep() + 1"),
        ("_shared.py", "def x(self): return 1", "def x(self): return 2"),
        ("_shared.py", "return 5", "return 6"),
    ):
        changed = facts({**files, path: files[path].replace(old, new)})
        assert changed.source_digest != before.source_digest, (path, old)


def test_wrappers_partials_and_bound_values_are_followed(facts):
    text = """
        import functools

        def times(count):
            def decorate(function):
                @functools.wraps(function)
                def wrapper(*args):
                    return [function(*args) for _ in range(count)]
                return wrapper
            return decorate

        def add(a, b):
            return a + b

        add_one = functools.partial(add, 1, b=2)

        @functools.lru_cache
        def cached():
            return 9

        @asset
        @times(3)
        def export(ctx, *, day="monday"):
            return add_one(), cached()
    """
    before = facts(text)
    assert before.values == {
        "wrapper(count)": "3",
        "export(day)": '"monday"',
        "assets.a.add_one[0]": "1",
        "assets.a.add_one[b]": "2",
    }
    for old, new in (("for _ in", "for __ in"), ("a + b", "a - b"), ("return 9", "return 8"), ("times(3)", "times(4)")):
        assert facts(text.replace(old, new)) != before, old


def test_nodes_made_in_a_loop_differ_by_what_is_bound_to_them(facts, tmp_path):
    text = """
        for carrier in ("aa", "ua"):
            @asset(name=carrier)
            def export(ctx, carrier=carrier):
                return carrier
    """
    one, two = facts(text, "asset:aa"), facts(text, "asset:ua")
    assert one.source_digest == two.source_digest
    assert (one.values, two.values) == ({"export(carrier)": '"aa"'}, {"export(carrier)": '"ua"'})


def test_an_upstream_stands_for_itself_and_any_other_node_is_followed(facts):
    text = """
        @asset
        def upstream(ctx):
            return 1

        @asset(depends_on=upstream)
        def export(ctx):
            return ctx.result_of(upstream)
    """
    before = facts(text)
    assert facts(text.replace("return 1", "return 2")) == before
    alone = text.replace("(depends_on=upstream)", "")
    before = facts(alone)
    assert facts(alone.replace("return 1", "return 2")) != before


def test_what_cannot_be_followed_is_said(facts):
    text = """
        import logging
        import pytest
        import threading

        log = logging.getLogger(__name__)
        lock = threading.Lock()
        made = eval("lambda: 1")

        class Client:
            pass

        client = Client()

        @asset
        def export(ctx, stream=object()):
            import anyio
            from . import sibling
            log.info("x")
            return pytest.raises, lock, client, eval("1"), made()
    """
    assert set(facts(text).not_tracked) == {
        "the package pytest",
        "the package anyio",
        "the module ., imported when the node runs",
        "assets.a.lock, an object of type lock",
        "assets.a.client, an object of type Client",
        "export(stream), an object of type object",
        "eval() in export",
        "the source of <lambda>",
    }


def test_a_module_used_as_a_whole_or_imported_late_counts_as_a_whole(facts):
    files = {
        "_shared.py": "VALUE = 1\n",
        "_late.py": "VALUE = 1\n",
        "assets/a.py": "import _shared\nimport _late\ndel _late\n@asset\ndef export(ctx):\n"
        "    import _late\n    return vars(_shared), _late\n",
    }
    before = facts(files)
    assert facts({**files, "_shared.py": "VALUE = 2\n"}) != before
    facts(files)
    assert facts({**files, "_late.py": "VALUE = 2\n"}) != before


def test_an_object_that_raises_when_it_is_looked_at_does_no_harm(facts):
    text = """
        class Proxy:
            def __getattribute__(self, name):
                raise RuntimeError("outside of a request")

            def __eq__(self, other):
                raise RuntimeError

            __hash__ = None

        proxy = Proxy()

        @asset
        def export(ctx, other=proxy):
            return proxy
    """
    assert "assets.a.proxy, an object of type Proxy" in facts(text).not_tracked


def test_a_very_long_expression_is_no_problem(facts):
    text = "@asset\ndef export(ctx):\n    return " + " + ".join(["1"] * 900) + "\n"
    assert facts(text).source_digest != facts(text.replace("+ 1\n", "+ 2\n")).source_digest


def test_two_functions_of_one_name_keep_both_values(facts):
    text = """
        def one():
            def inner(x=1): return x
            return inner

        def two():
            def inner(x=2): return x
            return inner

        first, second = one(), two()

        @asset
        def export(ctx):
            return first(), second()
    """
    assert sorted(facts(text).values.values()) == ["1", "2"]


def test_a_function_without_source_is_told_and_still_compared(facts):
    text = """
        names = {}
        exec("def made(): return 1", names)
        made = names["made"]
        made.__code__ = made.__code__.replace(co_filename=__file__)

        @asset
        def export(ctx):
            return made()
    """
    before = facts(text)
    assert before.not_tracked == ("the source of made",)
    assert facts(text.replace("return 1", "return len([1])")).source_digest != before.source_digest


def test_methods_and_classes_bound_to_a_node_are_followed(facts):
    text = """
        import collections
        import datetime

        class Client:
            limit = 3

            def get(self):
                return 1

        get = Client().get
        log = print

        @asset
        def export(ctx, kind=Client, other=collections.OrderedDict):
            return get(), log, datetime.date
    """
    before = facts(text)
    assert facts(text.replace("return 1", "return 2")).source_digest != before.source_digest
    assert facts(text.replace("limit = 3", "limit = 4")).source_digest != before.source_digest
    assert before.not_tracked == ("assets.a.get, an object of type Client",)


def test_an_expression_too_deep_for_a_syntax_tree_is_told(facts, monkeypatch):
    def too_deep(source):
        raise RecursionError

    monkeypatch.setattr("sqlbuild.project.code_facts.SourceFile", too_deep)
    assert facts(PLAIN).not_tracked == ("the source of export", "the source of helper")
