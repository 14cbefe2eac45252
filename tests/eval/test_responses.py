"""Held-out prompts are drawn fairly, and a killed run ends with the responses of an unbroken one."""

from collections import Counter

import pytest

from chat import resumable
from chat.engine.bulk import BulkDecoder
from chat.generate import Reply
from chat.sampling import Sampling
from eval.responses import (
    cut_at_turn,
    held_out,
    respond,
    sample_by_source,
    sample_indices,
    train_lines,
    validation_pairs,
)
from hub.errors import UserError
from hub.lineage import pin

SAMPLING = Sampling(max_new_tokens=4)


def test_a_draw_is_seeded_and_no_film_outweighs_the_rest():
    films = ["long"] * 900 + ["short"] * 3 + [f"m{index}" for index in range(50)]
    drawn = sample_indices(films, 60, 5, seed=1)
    assert len(set(drawn)) == len(drawn) == 58  # 5 + 3 + 50: all there are
    assert Counter(films[index] for index in drawn)["long"] == 5
    assert sample_indices(films, 20, 5, seed=1) == drawn[:20]
    assert sample_indices(films, 20, 5, seed=2) != drawn[:20]
    assert sample_indices([], 20, 5, seed=1) == []


def test_sources_are_drawn_in_turn_and_none_depends_on_another():
    films = [f"a{index % 40}" for index in range(400)] + [f"b{index}" for index in range(15)]
    sources = ["large"] * 400 + ["small"] * 15
    drawn = sample_by_source(films, sources, 40, 5, seed=1)
    assert Counter(sources[index] for index in drawn) == {"large": 25, "small": 15}  # all that the small one has
    assert Counter(sources[index] for index in drawn[:20]) == {"large": 10, "small": 10}
    alone = sample_indices(films[:400], 40, 5, seed=1)
    assert [index for index in drawn if index < 400] == alone[:25]
    assert sample_by_source(films[:400], sources[:400], 40, 5, seed=1) == alone  # one source: as ever
    assert sample_by_source([], [], 40, 5, seed=1) == []


@pytest.fixture
def small_chunks(monkeypatch):
    """Two prompts a chunk, so that six prompts make three."""
    whole = resumable.generate_resumable
    monkeypatch.setattr("eval.responses.generate_resumable", lambda *arguments: whole(*arguments, chunk=2))


@pytest.mark.parametrize(
    ("said", "turn"),
    [
        ("At the pier.\nWhere were you?\nOut.", "At the pier."),
        ("\n\n  No. \r\nJACK: Why?", "No."),
        ("At the pier.", "At the pier."),
        ("", ""),
    ],
)
def test_a_reply_that_runs_on_is_cut_at_its_turn_and_still_did_not_end(said, turn):
    assert cut_at_turn(Reply(said, "length", 64)) == Reply(turn, "length", 64)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_cut_run_carries_on_to_the_same_responses(variants, rows, tmp_path, small_chunks, monkeypatch):
    unbroken = respond(variants, rows, SAMPLING, 7, tmp_path / "unbroken")
    wanted = contents(tmp_path / "unbroken")
    assert list(wanted) == ["base.jsonl", "dpo.jsonl", "sft.jsonl"]
    assert len(set(wanted.values())) == 3
    lines = wanted["sft.jsonl"].splitlines(keepends=True)
    cuts = {
        "in a line": b"".join(lines[:2]) + lines[2][:17],
        "in a chunk": b"".join(lines[:3]),
        "between chunks": b"".join(lines[:4]),
        "before anything": b"",
        "in the first line": lines[0][:5],
    }
    asked = []
    whole = BulkDecoder.replies
    monkeypatch.setattr(
        BulkDecoder, "replies", lambda self, prompts, *rest: asked.append(prompts) or whole(self, prompts, *rest)
    )
    for name, content in cuts.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "base.jsonl").write_bytes(wanted["base.jsonl"])
        (folder / "sft.jsonl").write_bytes(content)
        asked.clear()
        assert respond(variants, rows, SAMPLING, 7, folder) == unbroken
        assert contents(folder) == wanted
        kept = content.count(b"\n") // 2
        assert len(asked) == (3 - kept) + 3  # the rest of sft, all of dpo, nothing of base


def test_another_seed_says_something_else(variants, rows, tmp_path):
    first, second = (respond(variants, rows, SAMPLING, seed, tmp_path / str(seed)) for seed in (1, 2))
    assert first != second


@pytest.fixture
def dialogue(namespace, rows, tmp_path):
    """Publishes rows as splits of a dialogue dataset."""
    from datasets import Dataset
    from huggingface_hub import HfApi

    def make(*splits):
        repo, api = f"{namespace}/{'-'.join(splits)}", HfApi()
        api.create_repo(repo, repo_type="dataset")
        data = ", ".join(f"{{split: {split}, path: {split}.parquet}}" for split in splits)
        card = f"---\nconfigs:\n- config_name: pairs\n  data_files: [{data}]\n---\n".encode()
        api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=repo, repo_type="dataset")
        for split in splits:
            Dataset.from_list(rows).to_parquet(tmp_path / f"{split}.parquet")
            api.upload_file(
                path_or_fileobj=tmp_path / f"{split}.parquet",
                path_in_repo=f"{split}.parquet",
                repo_id=repo,
                repo_type="dataset",
            )
        return pin(repo, "dataset")

    return make


def test_a_missing_test_split_is_said_and_a_missing_train_split_is_no_lines(dialogue, rows):
    made = dialogue("train")
    with pytest.raises(UserError, match="has no split `test`"):
        held_out(made, 5, 5, seed=1)
    lines = train_lines(made)
    assert lines[:2] == ["Where were you?", "Who sent you?"]
    assert len(lines) == 2 * len(rows)
    assert validation_pairs(made, 5, 5, seed=1) == []
    other = dialogue("test", "validation")
    assert len(validation_pairs(other, 4, 5, seed=1)) == 4
    assert train_lines(other) == []
    assert len(held_out(other, 5, 5, seed=1)) == 5
