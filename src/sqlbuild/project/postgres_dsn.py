"""libpq's other way to write how a server is reached: `host=db.local dbname=shop password='it''s'`."""

from __future__ import annotations

from sqlbuild.domain.pattern import pattern

_KEYS = """
    host hostaddr port user password passfile dbname service sslmode sslrootcert sslcert sslkey connect_timeout
    application_name options target_session_attrs
"""
DSN_KEYS = frozenset(_KEYS.split())

_PAIR = pattern(r"\s*(?P<key>\w+)\s*=\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)'|(?P<plain>(?:[^\s'\\]|\\.)*))(?=\s|$)")
_ESCAPED = pattern(r"\\(.)")


class UnreadableDsn(ValueError):
    """Neither a URL nor pairs of keys and values. Its message has nothing of the text, which may hold a password."""


def keyword_options(dsn: str) -> dict[str, str]:
    """The pairs of `key=value key='value'`; in values a backslash goes before ' and itself. Raises UnreadableDsn."""
    found: dict[str, str] = {}
    position = 0
    while position < len(dsn.rstrip()):
        pair = _PAIR.match(dsn, position)
        if pair is None:
            raise UnreadableDsn("it is neither a URL nor pairs like host=db.local dbname=shop")
        quoted = pair["quoted"]
        found[pair["key"]] = _ESCAPED.sub(r"\1", pair["plain"] if quoted is None else quoted)
        position = pair.end()
    if not found:
        raise UnreadableDsn("it is empty")
    return found
