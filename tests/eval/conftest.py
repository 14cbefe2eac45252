"""Prompts in the form of the dialogue dataset."""

from __future__ import annotations

import pytest

from chat.template import SYSTEM_PROMPT
from hub.names import Names
from tests.support.scenes import EXCHANGES


@pytest.fixture
def rows():
    """One pair a conversation, two conversations a film."""
    return [
        {
            "prompt": [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": line}],
            "completion": [{"role": "assistant", "content": reply}],
            "movie_id": f"m{index // 2}",
            "movie_title": f"film {index // 2}",
            "conversation_id": f"c{index}",
            "line_ids": [f"L{2 * index}", f"L{2 * index + 1}"],
            "source": "ours" if index < 4 else "theirs",
        }
        for index, (line, reply) in enumerate(EXCHANGES)
    ]


@pytest.fixture
def published(namespace, starter, adapters, rows, tmp_path):
    """Base, adapters and a dialogue dataset whose test split holds `rows`."""
    from datasets import Dataset
    from huggingface_hub import HfApi

    names, api = Names(namespace, "starter"), HfApi()
    for repo, folder in {
        names.base: starter,
        **{names.adapter(kind): path for kind, path in adapters.items()},
    }.items():
        api.create_repo(repo)
        api.upload_folder(repo_id=repo, folder_path=str(folder), ignore_patterns=["checkpoint.pt"])
    Dataset.from_list(rows).to_parquet(tmp_path / "test.parquet")
    splits = ("test", "validation")
    listed = "\n".join(f"  - {{split: {split}, path: {split}.parquet}}" for split in splits)
    card = f"---\nconfigs:\n- config_name: pairs\n  data_files:\n{listed}\n---\n".encode()
    api.create_repo(names.dialogue, repo_type="dataset")
    parts = {f"{split}.parquet": tmp_path / "test.parquet" for split in splits}
    for path, content in {**parts, "README.md": card}.items():
        api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=names.dialogue, repo_type="dataset")
    return names
