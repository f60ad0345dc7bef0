from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.domain.ids import Place
from sqlbuild.domain.source_map import Expansion, offset_of_line, shifted, written_at, written_in_line

MACRO = Place("macros/python/m.py", 1)


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


PIECES = st.lists(st.tuples(st.booleans(), st.text("ab\n", min_size=1, max_size=8)), max_size=8)


@given(PIECES, st.text("x\n", min_size=1, max_size=6))
def test_text_around_macros_is_found_where_it_was_written_and_what_they_gave_at_their_calls(pieces, call):
    written, expanded, expansions, origins = "", "", [], []
    for is_macro, text in pieces:
        if is_macro:
            place = Place("m.sql", *line_and_column(written, len(written)))
            written += call
            behind = Place("m.sql", *line_and_column(written, len(written)))
            expansions.append(
                Expansion(
                    macro="m",
                    defined=MACRO,
                    start=len(expanded),
                    end=len(expanded) + len(text),
                    place=place,
                    behind=behind,
                )
            )
            origins += [(place, True)] * len(text)
        else:
            origins += [
                (Place("m.sql", *line_and_column(written + text, len(written) + at)), False) for at in range(len(text))
            ]
            written += text
        expanded += text
    for offset, (place, is_macro) in enumerate(origins):
        found = written_at(expanded, Place("m.sql", 1, 1), expansions, offset)
        assert (found.place, found.expansion is not None) == (place, is_macro)
        line, column = line_and_column(expanded, offset)
        assert written_in_line(expanded, Place("m.sql", 1, 1), expansions, line, column) == found


def test_a_line_without_a_column_is_a_place_without_one():
    assert written_in_line("a\nb", Place("m.sql", 7, 3), (), 2).place == Place("m.sql", 8)


def test_a_line_that_is_not_there_is_the_end_of_the_text():
    assert [offset_of_line("a\nbc", line) for line in (1, 2, 3)] == [0, 2, 4]


def test_expansions_move_and_grow_with_what_is_put_in_the_place_of_references():
    expansion = Expansion(macro="m", defined=MACRO, start=10, end=20, place=MACRO, behind=MACRO)
    (moved,) = shifted([expansion], [(2, 5), (12, 3), (25, 100)])
    assert (moved.start, moved.end) == (15, 28)
