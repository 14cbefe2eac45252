"""Large files that no pattern covers are given to git-lfs by name."""

import subprocess

import pytest

from hub.local.gitattributes import track_with_lfs

LFS = b" filter=lfs diff=lfs merge=lfs -text\n"


def test_only_what_is_not_covered_is_added_once():
    before = b"*.bin" + LFS
    assert track_with_lfs(before, ["a.bin", "d/b.bin"]) == before
    once = track_with_lfs(before, ["weights", "d/weights"])
    assert once == before + b"/weights" + LFS + b"/d/weights" + LFS
    assert track_with_lfs(once, ["weights", "d/weights"]) == once
    assert track_with_lfs(b"x text", ["y"]) == b"x text\n/y" + LFS
    assert track_with_lfs(b"", []) == b""


@pytest.mark.parametrize("path", ["a b", "[x]", "a*b", "q?", "d/e f/[1] *.x", "\u5b57.dat", "#1", "!x", "back\\slash"])
def test_git_understands_each_line_to_mean_its_file_alone(tmp_path, path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitattributes").write_bytes(track_with_lfs(b"", [path]))
    for asked, filter in ((path, "lfs"), ("other" + path, "unspecified"), (path + "x", "unspecified")):
        command = ["git", "-C", tmp_path, "check-attr", "-z", "filter", "--", asked]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert said.split("\0")[2] == filter, asked
    twice = track_with_lfs(track_with_lfs(b"", [path]), [path])
    assert twice == track_with_lfs(b"", [path])
