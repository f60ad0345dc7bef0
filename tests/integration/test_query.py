"""`sqb query`: into files."""

from __future__ import annotations


def test_a_file_in_a_folder_that_is_not_there_is_refused(project):
    folder = project.write({"sqlbuild_project.toml": 'name = "shop"\n'})
    refused = folder.sqb("query", "SELECT 1", "-o", "nope/x.csv")
    assert refused.code == 2
    assert f"error[OUTPUT] there is no folder {folder.root}/nope\n" in refused.err
    assert "help: make it, or give a path in another folder" in refused.err
