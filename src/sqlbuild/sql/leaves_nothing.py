"""Whether a statement of PostgreSQL leaves its session as it was, by its words: then the session needs no reset. Pure."""

from __future__ import annotations

import re
import string

from sqlbuild.domain.pattern import pattern

LONGEST = 10_000
"""Characters. Next to what a longer statement costs, a reset costs nothing."""

_GRAMMAR = """
    all and any array as between bit case cast char character coalesce dec decimal distinct else except exists extract
    float from greatest group grouping having in intersect interval lateral least limit nchar not nullif numeric offset
    on only or overlay position row select some substring then time timestamp trim union using values varchar variadic
    when where
"""
"""Words that may stand before a bracket; no function can be called so without quotes."""
_AGGREGATES = """
    array_agg avg bit_and bit_or bool_and bool_or corr count covar_pop covar_samp every json_agg json_object_agg
    jsonb_agg jsonb_object_agg max min mode percentile_cont percentile_disc regr_slope stddev stddev_pop stddev_samp
    string_agg sum var_pop var_samp variance cume_dist dense_rank first_value lag last_value lead nth_value ntile
    percent_rank rank row_number
"""
_TEXTS = """
    ascii bit_length btrim char_length character_length chr concat concat_ws decode encode format initcap left length
    lower lpad ltrim md5 octet_length quote_ident quote_literal quote_nullable regexp_match regexp_matches
    regexp_replace regexp_split_to_array regexp_split_to_table repeat replace reverse right rpad rtrim sha256 split_part
    starts_with strpos substr to_hex translate upper
"""
_NUMBERS = """
    abs acos asin atan atan2 cbrt ceil ceiling cos cot degrees div exp factorial floor gcd lcm ln log log10 mod pi pow
    power radians random round scale sign sin sqrt tan to_number trim_scale trunc width_bucket
"""
_TIMES = """
    age clock_timestamp date_bin date_part date_trunc isfinite justify_days justify_hours justify_interval make_date
    make_interval make_time make_timestamp make_timestamptz now statement_timestamp timezone to_char to_date
    to_timestamp transaction_timestamp
"""
_MANY = """
    array_append array_cat array_dims array_length array_lower array_ndims array_position array_positions array_prepend
    array_remove array_replace array_to_json array_to_string array_upper cardinality generate_series
    generate_subscripts isempty json_array_elements json_array_elements_text json_array_length json_build_array
    json_build_object json_each json_each_text json_extract_path json_extract_path_text json_object_keys json_typeof
    jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each
    jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object_keys jsonb_typeof lower_inc row_to_json
    string_to_array to_json to_jsonb unnest upper_inc
"""
_SERVER = """
    current_setting gen_random_uuid num_nonnulls num_nulls pg_backend_pid pg_column_size pg_database_size
    pg_indexes_size pg_relation_size pg_size_pretty pg_table_size pg_total_relation_size pg_typeof to_regclass version
"""
_BEFORE_BRACKETS = frozenset(f"{_GRAMMAR}{_AGGREGATES}{_TEXTS}{_NUMBERS}{_TIMES}{_MANY}{_SERVER}".split())

_STRING, _NAME = "\x01", "\x02"
_OPAQUE = pattern(
    r"""
      '(?:[^'\\]++|'')*+'
    | "(?:[^"]++|"")*+"
    | --[^\r\n]*+
    | /\*[^*/]*+(?:\*++[^*/]++)*+\*++/
    """,
    re.VERBOSE,
)
"""Strings in which nothing can be escaped, names in quotes, comments without a slash."""
_PLACEHOLDERS = {"'": _STRING, '"': _NAME}
_BEGINNING = pattern(r"[ (]*+(?:select|values|table|with)\b")
_DOUBTFUL = ("'", '"', "\\", "/*", "*/", ";", ". ", " .")
"""What is not closed, or escaped, or several statements, or a name with blanks in it."""
_DOLLAR = pattern(r"\$(?!\d)")
_DOING = ("into", "insert", "update", "delete", "merge")
_DOING_WORD = pattern(rf"\b(?:{'|'.join(_DOING)})\b")
_OF_NAMES = f"{string.ascii_lowercase}{string.digits}_$.{_STRING}{_NAME}"
_NO_CALL = pattern(rf"(?:\bas [\w{_NAME}]++|\b(?:group|order|partition) by|\) ?(?:over|filter))\Z")
"""An alias with its columns or a type with its length; and words that may be a function's name in other places."""


def leaves_nothing(sql: str) -> bool:
    """True only for one statement that reads, and calls nothing but functions of the server that change no session.

    What stands behind its names is not known here: a view, a policy, an operator or a cast may call what it likes.
    """
    if len(sql) > LONGEST:
        return False
    text = _OPAQUE.sub(lambda found: _PLACEHOLDERS.get(found[0][0], " "), sql)
    if not text.isascii():
        # Letters for the server, perhaps blanks here.
        return False
    text = " ".join(text.lower().split()).rstrip("; ")
    if not _BEGINNING.match(text) or any(each in text for each in _DOUBTFUL) or _DOLLAR.search(text):
        return False
    if any(each in text for each in _DOING) and _DOING_WORD.search(text):
        return False
    *before_brackets, _ = text.split("(")
    return all(map(_calls_nothing_unknown, before_brackets))


def _calls_nothing_unknown(before_bracket: str) -> bool:
    before = before_bracket.rstrip(" ")
    name = before[len(before.rstrip(_OF_NAMES)) :]
    return not name or name in _BEFORE_BRACKETS or _NO_CALL.search(before) is not None
