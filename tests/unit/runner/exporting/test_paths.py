"""Fault 34: a path is refused with the reason, or proven to be inside; two names never map to one file."""

from __future__ import annotations

import os

import pytest

from sqlbuild.domain.exports import ExportFormat
from sqlbuild.domain.ids import NodeId
from sqlbuild.errors import ExportPathError
from sqlbuild.runner.exporting.claimed_paths import ClaimedPaths
from sqlbuild.runner.exporting.paths import ExportPlaces, LocalPlace, UrlPlace, format_of, resolve_place

NODE, OTHER = NodeId("asset:one"), NodeId("asset:other")


@pytest.fixture
def places(tmp_path):
    root = tmp_path / "project"
    (root / "target").mkdir(parents=True)
    return ExportPlaces(
        root=str(root), never=(str(root / "target"), str(root / "shop.duckdb")), spool=str(root / "target/runs/r1")
    )


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("..", "it holds .."),
        ("../x.csv", "it holds .."),
        ("a/../b.csv", "it holds .."),
        ("a/../../x.csv", "it holds .."),
        ("/etc/passwd.csv", "it is outside of the project"),
        ("C:/x.csv", "drive letters"),
        ("c:x.csv", "drive letters"),
        ("C:\\x.csv", "a backslash"),
        ("..\\x.csv", "a backslash"),
        ("\\\\host\\share\\x.csv", "a backslash"),
        ("//host/share/x.csv", "a network share"),
        ("a\0b.csv", "a control character"),
        ("a\nb.csv", "a control character"),
        ("a\ud800.csv", "not valid Unicode"),
        ("CON", "the name of a device"),
        ("exports/con.csv", "the name of a device"),
        ("exports/Aux /x.csv", "ends with a dot or a space"),
        ("lpt1.tar.csv", "the name of a device"),
        ("com\u00b9.csv", "the name of a device"),
        ("exports/x.csv.", "ends with a dot or a space"),
        ("exports /x.csv", "ends with a dot or a space"),
        (f"{'a' * 300}.csv", "304 bytes is too long"),
        (f"{'é' * 130}.csv", "264 bytes is too long"),
        ("/".join(["a" * 200] * 30) + "/x.csv", "are too long"),
        ("%2e%2e/x.csv", "an encoded dot, slash or NUL"),
        ("a%2Fb.csv", "an encoded dot, slash or NUL"),
        ("a%252e%252e/b.csv", "an encoded dot, slash or NUL"),
        ("a%00.csv", "an encoded dot, slash or NUL"),
        ("file:///tmp/x.csv", "a URL of a local file"),
        ("FILE:/tmp/x.csv", "a URL of a local file"),
        ("local://x.csv", "a URL of a local file"),
        ("mailto:x.csv", "neither a folder nor a URL"),
        ("~/x.csv", "~ is not replaced"),
        (".", "the project's own folder"),
        ("target/x.csv", "target is kept by sqlbuild"),
        ("target/runs/r1/journal.jsonl", "target is kept by sqlbuild"),
        ("shop.duckdb", "shop.duckdb is kept by sqlbuild"),
        ("shop.duckdb/x.csv", "shop.duckdb is kept by sqlbuild"),
        ("exports/.sqb-export~r1~one~1-1-aa.tmp", "unfinished exports"),
        ("s3://", "it names no file"),
        ("s3://bucket/../x.csv", "it holds .."),
        ("s3://bucket//x.csv", "an empty name or a dot"),
        ("s3://bucket/./x.csv", "an empty name or a dot"),
        ("simplecache::s3://bucket/x.csv", "neither a folder nor a URL"),
        ("s3://bucket/x.zip::y.csv", "chained URLs"),
        ("ftp://user:password@host/x.csv", "a user or password"),
    ],
)
def test_a_path_is_refused_with_the_reason(places, written, reason):
    with pytest.raises(ExportPathError) as refused:
        resolve_place(written, places)
    message = refused.value.args[0]
    assert reason in message
    assert refused.value.help
    assert "password" not in written or "password@" not in message


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("x.csv", "x.csv"),
        ("./exports//x.csv", "exports/x.csv"),
        ("exports/we'ird *[x]?{a}.csv", "exports/we'ird *[x]?{a}.csv"),
        ("exports/ünï.csv", "exports/ünï.csv"),
        ("exports/2025-01-01T10:00.csv", "exports/2025-01-01T10:00.csv"),
        ("exports/console.csv", "exports/console.csv"),
        ("..a/x.csv", "..a/x.csv"),
        ("shop.duckdb.csv", "shop.duckdb.csv"),
    ],
)
def test_a_path_inside_of_the_project_is_proven_to_be_there(places, written, shown):
    place = resolve_place(written, places)
    assert isinstance(place, LocalPlace)
    assert place.shown == shown
    assert os.path.commonpath([place.path, places.root]) == places.root
    assert resolve_place(os.path.join(places.root, shown), places) == place


def test_a_symlink_that_leads_out_is_refused_and_one_inside_is_followed(places, tmp_path):
    os.mkdir(tmp_path / "outside")
    os.mkdir(os.path.join(places.root, "data"))
    os.symlink(tmp_path / "outside", os.path.join(places.root, "out"))
    os.symlink(tmp_path / "outside/x.csv", os.path.join(places.root, "x.csv"))
    os.symlink("data", os.path.join(places.root, "in"))
    for written in ("out/x.csv", "x.csv"):
        with pytest.raises(ExportPathError, match=r"outside of the project \(it leads to"):
            resolve_place(written, places)
    assert resolve_place("in/x.csv", places).shown == "data/x.csv"


@pytest.mark.parametrize("written", ["loop", "loop/x.csv"])
def test_a_symlink_that_leads_to_itself_is_refused(places, written):
    os.symlink("loop", os.path.join(places.root, "loop"))
    with pytest.raises(ExportPathError, match="leads back to itself"):
        resolve_place(written, places)


def test_settings_allow_more_folders(places, tmp_path):
    more = ExportPlaces(root=places.root, also_into=(str(tmp_path / "reports"),), spool=places.spool)
    place = resolve_place(str(tmp_path / "reports/x.csv"), more)
    assert (place.path, place.shown) == (str(tmp_path / "reports/x.csv"), str(tmp_path / "reports/x.csv"))
    with pytest.raises(ExportPathError, match="outside"):
        resolve_place(str(tmp_path / "reports2/x.csv"), more)


def test_a_url_is_taken_as_it_is(places):
    assert resolve_place("S3://bucket/a b/x.csv", places) == UrlPlace(path="s3://bucket/a b/x.csv", scheme="s3")


@pytest.mark.parametrize(
    ("path", "format"),
    [
        ("x.parquet", ExportFormat.PARQUET),
        ("a.b/x.CSV", ExportFormat.CSV),
        ("x.csv.gz", ExportFormat.CSV_GZ),
        ("x.jsonl", ExportFormat.JSONL),
        ("x.json", ExportFormat.JSON),
        ("s3://b/x.arrow", ExportFormat.ARROW),
        ("x.gz", None),
        ("a.csv/x", None),
        ("csv", None),
    ],
)
def test_the_suffix_tells_the_format(path, format):
    assert format_of(path) is format


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a/x.csv", "a/X.csv"),
        ("A/x.csv", "a/x.csv"),
        ("caf\u00e9.csv", "cafe\u0301.csv"),
        ("stra\u00dfe.csv", "STRASSE.csv"),
    ],
)
def test_two_spellings_of_one_file_are_refused_in_one_run(places, one, other):
    claimed = ClaimedPaths()
    claimed.claim(resolve_place(one, places), NODE, is_folder=False)
    claimed.claim(resolve_place(one, places), NODE, is_folder=False)
    with pytest.raises(ExportPathError, match="are one file on systems"):
        claimed.claim(resolve_place(other, places), NODE, is_folder=False)
    with pytest.raises(ExportPathError, match="what one exports in this run"):
        claimed.claim(resolve_place(other, places), OTHER, is_folder=False)


@pytest.mark.parametrize(
    ("one", "is_folder", "other", "other_is_folder"),
    [
        ("out/x.csv", False, "out/x.csv", False),
        ("out", True, "out", True),
        ("out", True, "out/part.csv", False),
        ("out/part.csv", False, "out", True),
        ("out/a/b.csv", False, "OUT", True),
    ],
)
def test_what_two_nodes_export_is_never_in_each_others_way(places, one, is_folder, other, other_is_folder):
    claimed = ClaimedPaths()
    claimed.claim(resolve_place(one, places), NODE, is_folder=is_folder)
    with pytest.raises(ExportPathError, match="in each other's way"):
        claimed.claim(resolve_place(other, places), OTHER, is_folder=other_is_folder)
    claimed.claim(resolve_place("elsewhere.csv", places), OTHER, is_folder=False)
