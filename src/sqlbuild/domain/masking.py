"""Secrets in what is written about a run: each place where one stands is replaced by `****`. Pure.

A secret is also found as it stands in a URL, in JSON, in a Python or SQL text, in Base64 (also in the middle of
something longer, such as an HTTP header), and line by line if it has several lines.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping

from sqlbuild.errors import Problem

MASK = "****"
SHORTEST_SECRET = 4
"""Shorter values are not masked: they would stand everywhere."""
SHORTEST_LINE = 8
"""Of a secret with several lines; also the shortest secret that is looked for in Base64."""

_URL_SAFE = ("", "/", "!$&'()*+,;=:@/?~")
"""Characters that URLs are seen to keep, besides letters, digits and `_.-~`."""


class Masker:
    """Knows the secrets of one command. More may be added at any time, from any thread.

    Without secrets it is false and changes nothing.
    """

    __slots__ = ("_forms", "_json_forms", "_values")

    def __init__(self, values: Iterable[str] = ()) -> None:
        # Only ever added to, and in one step: others may be going through them at that moment.
        self._values: list[str] = []
        self._forms: list[str] = []
        self._json_forms: list[str] = []
        self.add(values)

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(self._values)

    def __bool__(self) -> bool:
        return bool(self._forms)

    def add(self, values: Iterable[str]) -> None:
        for value in dict.fromkeys(values):
            if len(value) >= SHORTEST_SECRET and value not in self._values:
                forms = dict.fromkeys(_forms_of(value))
                self._json_forms.extend(dict.fromkeys(map(_in_json, forms)))
                self._forms.extend(forms)
                self._values.append(value)

    def text(self, text: str) -> str:
        """The same text if no secret is in it. Where several overlap, all that they cover is replaced at once."""
        for form in self._forms:
            if form in text:
                return self._masked(text)
        return text

    def plain(self, value: object) -> object:
        """A JSON value with the secrets in its texts and keys masked; a number that is a secret becomes the mask."""
        return self._plain(value) if self._forms else value

    def json_text(self, text: str) -> str:
        """The JSON text of the masked value; the same text if no secret is in it."""
        if not any(form in text for form in self._json_forms):
            return text
        value = json.loads(text)
        masked = self._plain(value)
        return text if masked == value else json.dumps(masked, ensure_ascii=False, separators=(",", ":"))

    def problem(self, problem: Problem) -> Problem:
        if not self._forms:
            return problem
        return dataclasses.replace(problem, message=self.text(problem.message), help=self.text(problem.help))

    def cut(self, text: str) -> int:
        """How much of `text` can be masked alone: whatever follows, no secret stands on both sides of that place."""
        end = len(text)
        start = max(0, end - max(map(len, self._forms), default=0) + 1)
        place = next(
            (at for at in range(start, end) if any(form.startswith(text[at:]) for form in self._forms)),
            end,
        )
        return next((first for first, last in self._spans(text) if first < place < last), place)

    def _plain(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._plain(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self._plain(entry) for entry in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in self._values:
            return MASK
        return value

    def _masked(self, text: str) -> str:
        parts: list[str] = []
        end = 0
        for first, last in self._spans(text):
            parts += (text[end:first], MASK)
            end = last
        return "".join([*parts, text[end:]])

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where secrets stand, in order; those that overlap are one."""
        found = sorted(span for form in self._forms for span in _places(form, text))
        first = last = -1
        for start, end in found:
            if start >= last:
                if last > 0:
                    yield first, last
                first, last = start, end
            else:
                last = max(last, end)
        if last > 0:
            yield first, last


class MaskedStream:
    """Text that comes in pieces, cut anywhere: a piece that could be the start of a secret is kept until more comes."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._kept = ""

    def feed(self, text: str) -> str:
        """What can be shown by now."""
        text = self._kept + text
        place = self._masker.cut(text)
        self._kept = text[place:]
        return self._masker.text(text[:place])

    def finish(self) -> str:
        """The rest."""
        text, self._kept = self._kept, ""
        return self._masker.text(text)


def _places(form: str, text: str) -> Iterator[tuple[int, int]]:
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + 1)


def _forms_of(value: str) -> Iterator[str]:
    """The secret as it may stand somewhere, first as it is."""
    for text in (value, *_lines_of(value)):
        yield text
        yield _in_json(text)
        yield json.dumps(text)[1:-1]
        yield repr(text)[1:-1]
        yield text.replace("'", "''")
        yield from _in_url(text)
    yield from _in_base64(value)


def _lines_of(value: str) -> Iterator[str]:
    lines = value.splitlines()
    if len(lines) > 1:
        yield from (line.strip() for line in lines if len(line.strip()) >= SHORTEST_LINE)


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _in_url(text: str) -> Iterator[str]:
    # A lone surrogate cannot stand in a URL.
    quoted = [urllib.parse.quote(text, safe, errors="replace") for safe in _URL_SAFE]
    quoted.append(urllib.parse.quote_plus(text, errors="replace"))
    for form in quoted:
        yield form
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form)


def _in_base64(value: str) -> Iterator[str]:
    """The characters that depend on nothing but the secret, wherever in the encoded bytes it begins."""
    body = value.encode("utf-8", "replace")
    if len(body) < SHORTEST_LINE:
        return
    for before in range(3):
        size = before + len(body)
        encoded = base64.b64encode(b"\0" * before + body).decode()[(before * 8 + 5) // 6 : size * 8 // 6]
        yield encoded
        yield encoded.replace("+", "-").replace("/", "_")
