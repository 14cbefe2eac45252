"""Large files that no pattern covers are given to git-lfs by name."""

import subprocess

import pytest

from hub.local.gitattributes import default_attributes, lfs_rules, track_with_lfs
from tests.support.hub_http import add

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


@pytest.mark.parametrize(
    ("path", "model", "dataset"),
    [
        ("model.safetensors", True, True),
        ("d/e/tokenizer.model", True, True),
        ("a.tar.gz", True, True),
        ("saved_model/v1/x.txt", True, True),
        ("runs/events.out.tfevents.12", True, True),
        ("figure.png", False, True),
        ("voice.flac", False, True),
        ("README.md", False, False),
        ("model.gguf", False, False),
        ("safetensors", False, False),
    ],
)
def test_a_new_repository_has_the_real_hubs_patterns(path, model, dataset):
    assert lfs_rules(default_attributes("model"))(path) == model
    assert lfs_rules(default_attributes("space"))(path) == model
    assert lfs_rules(default_attributes("dataset"))(path) == dataset


def test_the_rules_of_the_repository_count(api, repo):
    """Whoever changes .gitattributes changes what is uploaded by LFS, in both directions; later lines win."""
    rules = b"*.csv" + LFS + b"*.bin" + LFS + b"small/*.bin !filter\n"
    api.create_commit(repo, [add(".gitattributes", rules)], commit_message="rules")
    files = [add(path, b"content of " + path.encode()) for path in ("a.csv", "b.bin", "small/c.bin", "d.parquet")]
    api.create_commit(repo, files, commit_message="files")
    assert {file.path for file in api.list_repo_tree(repo, recursive=True) if getattr(file, "lfs", None)} == {
        "a.csv",
        "b.bin",
    }
