"""A table as HTML for notebooks; everything that is not markup is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable

from sqlbuild.domain.record import record

_CELL = "text-align:left;vertical-align:top;padding:2px 10px 2px 0"


@record(frozen=True, slots=True)
class Folded:
    """A cell that shows `head` and, opened, `text` as it stands."""

    head: str
    text: str


Cell = str | Folded


def html_table(title: str, headings: Iterable[str], rows: Iterable[Iterable[Cell]], note: str = "") -> str:
    """`title` above, `note` below; any of the texts may be hostile."""
    head = "".join(f'<th style="{_CELL}">{_escaped(heading)}</th>' for heading in headings)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""
    below = f"<p>{_escaped(note)}</p>" if note else ""
    return f"<div><p><strong>{_escaped(title)}</strong></p>{table}{below}</div>"


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return f'<td style="{_CELL}">{_escaped(cell)}</td>'
    folded = f'<pre style="white-space:pre-wrap">{_escaped(cell.text)}</pre>'
    return f'<td style="{_CELL}"><details><summary>{_escaped(cell.head)}</summary>{folded}</details></td>'


def _escaped(text: str) -> str:
    # Written out: the module `html` has tables of a thousand names, which every command would load.
    for character, reference in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#x27;")):
        text = text.replace(character, reference)
    return text
