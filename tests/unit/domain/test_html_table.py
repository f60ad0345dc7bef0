from __future__ import annotations

from sqlbuild.domain.html_table import Folded, html_table

HOSTILE = """<img src=x onerror="alert('1')">&amp;"""


def test_nothing_that_is_shown_can_become_markup():
    shown = html_table(HOSTILE, [HOSTILE], [[HOSTILE, Folded(HOSTILE, HOSTILE)]], HOSTILE)
    assert "<img" not in shown
    assert shown.count("&lt;img src=x onerror=&quot;alert(&#x27;1&#x27;)&quot;&gt;&amp;amp;") == 6


def test_a_table_without_rows_is_no_table():
    assert "<table" not in html_table("nothing ran", ["node"], [])
