from __future__ import annotations

from sqlbuild.app.export_places import export_places
from sqlbuild.domain.settings import Connection, RunSettings, Settings, Target
from sqlbuild.runner.exporting.paths import resolve_place


def test_folders_that_are_reached_by_a_symlink_are_known_by_what_it_leads_to(tmp_path):
    (tmp_path / "real/project").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    target = Target(name="dev", schema="dev", connection=Connection(name="dev", adapter="duckdb"))
    run = RunSettings(export_paths=(str(tmp_path / "link/reports"),))
    settings = Settings(name="shop", target=target, targets={"dev": target}, run=run)
    places = export_places(str(tmp_path / "link/project"), settings, "r1")
    found = [resolve_place(path, places) for path in ("x.csv", str(tmp_path / "link/reports/y.csv"))]
    assert [place.path for place in found] == [
        str(tmp_path / "real/project/x.csv"),
        str(tmp_path / "real/reports/y.csv"),
    ]
    assert places.never == (str(tmp_path / "real/project/target"),)
