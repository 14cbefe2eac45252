"""What an artifact says of its inputs, checked against the Hub."""

from dataclasses import replace

import huggingface_hub
import pytest
from huggingface_hub import HfApi

from hub.lineage import pin
from hub.publish import publish
from hub.verify import verify
from tests.support import warm_hub
from tests.support.lineages import lineage


@pytest.fixture
def family(namespace):
    """An adapter made from a base of somebody else's and a dataset, which was made from a file."""
    publish(f"{namespace}/data", "dataset", {"d.parquet": b"d", "README.md": b"# D"}, lineage("prepare"), "m")
    HfApi().create_repo(f"{namespace}/base")
    HfApi().upload_file(path_or_fileobj=b"w", path_in_repo="w.safetensors", repo_id=f"{namespace}/base")
    inputs = (pin(f"{namespace}/base", "model"), pin(f"{namespace}/data", "dataset"))
    publish(f"{namespace}/adapter", "model", {"a": b"a"}, lineage("sft", inputs), "m")
    return namespace


def test_what_is_true_verifies(family):
    lines = list(verify(f"{family}/adapter", "model"))
    assert all(right for right, _ in lines)
    assert [line.split("@")[0] for _, line in lines] == [
        f"model {family}/adapter",
        f"model {family}/base",
        f"dataset {family}/data",
        "file corpus",
    ]


def test_what_is_not_true_is_named(family, monkeypatch):
    base, data = pin(f"{family}/base", "model"), pin(f"{family}/data", "dataset")
    cases = {
        "its content is not the one": (replace(base, content="f" * 64), data),
        "it is not there": (replace(base, revision="e" * 40), data),
    }
    for said, inputs in cases.items():
        publish(f"{family}/adapter", "model", {"a": b"a"}, lineage("sft", inputs), "m")
        wrong = [line for right, line in verify(f"{family}/adapter", "model") if not right]
        assert len(wrong) == 1
        assert said in wrong[0]
        assert f"{family}/base@" in wrong[0]
    forged = lineage("sft", (base, data)).to_json().replace('"stage": "sft"', '"stage": "dpo"')
    HfApi().upload_file(path_or_fileobj=forged.encode(), path_in_repo="lineage.json", repo_id=f"{family}/adapter")
    wrong = [line for right, line in verify(f"{family}/adapter", "model") if not right]
    assert len(wrong) == 1
    assert "fingerprint" in wrong[0]
    download = huggingface_hub.hf_hub_download

    def damaged(repo, path, **options):
        file = download(repo, path, **options)
        if path == "d.parquet":
            with open(file, "wb") as content:
                content.write(b"rotten")
        return file

    publish(f"{family}/adapter", "model", {"a": b"a"}, lineage("sft", (base, data)), "m")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", damaged)
    wrong = [line for right, line in verify(f"{family}/adapter", "model") if not right]
    assert len(wrong) == 1
    assert "d.parquet not as the Hub says" in wrong[0]


def test_the_verify_command_ends_in_one_line(family, tmp_path):
    done = warm_hub.run(warm_hub.LINEAGE, "--verify", f"{family}/adapter", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nok    ") == 4
    HfApi().delete_repo(f"{family}/base")
    done = warm_hub.run(warm_hub.LINEAGE, "--verify", f"{family}/adapter", folder=tmp_path)
    assert done.returncode == 1
    assert "WRONG model" in done.stdout
    assert len(done.stderr.splitlines()) == 1
