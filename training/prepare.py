"""Corpus to dataset: `python -m training.prepare --recipe training/recipes/starter.yaml data.corpus=corpus.zip`.

Reads the films, slides a window over every conversation, splits by film and publishes two configs in one commit:
`pairs` (prompt and completion, as TRL takes them) and `conversations`.
"""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chat.template import SYSTEM_PROMPT
from hub.cards import dataset_card, size_category
from hub.errors import UserError
from hub.lineage import Input, Lineage, up_to_date
from hub.publish import publish
from training import corpus as cornell
from training.corpus import Conversation, Corpus, Line
from training.recipe import Data, Recipe
from training.stage import command, say, work_folder

SPLITS = ("train", "validation", "test")
SOURCE = "cornell-movie-dialogs"


def run(recipe: Recipe, work: Path) -> str:
    """Publishes the dialogue dataset and returns its full commit sha."""
    data, repo = recipe.data, recipe.names.dialogue
    path = local_corpus(data.corpus, work)
    source = Input("cornell-movie-dialogs-corpus", "file", sha := file_digest(path), sha)
    settings = {"data": {**vars(data), "corpus": SOURCE}, "system_prompt": SYSTEM_PROMPT}
    lineage = Lineage("prepare", settings, (source,))
    if revision := up_to_date(repo, "dataset", lineage):
        say("prepare", f"up to date: {repo}@{revision}")
        return revision

    corpus = cornell.read(path)
    folder = work_folder(work, lineage)
    rows = {
        "pairs": split_rows(corpus, data, pair_rows),
        "conversations": split_rows(corpus, data, conversation_rows),
    }
    files: dict[str, bytes | Path] = {
        f"{config}/{split}.parquet": write_parquet(splits[split], folder / config / f"{split}.parquet")
        for config, splits in rows.items()
        for split in SPLITS
    }
    counts = dict(corpus.counts) | {f"{split} pairs": len(rows["pairs"][split]) for split in SPLITS}
    for name, count in counts.items():
        say("prepare", f"{name}: {count:,}")
    if empty := [split for split in SPLITS if not rows["pairs"][split]]:
        raise UserError(f"{path}: no pair falls into {' and '.join(empty)}; give more films, or data.split_by=pair")
    lineage = Lineage("prepare", settings, (source,), facts={"counts": counts, "context_turns": data.context_turns})
    card = dataset_card(
        "dialogue",
        card_metadata(counts, list(rows)),
        repo=repo,
        counts=counts,
        split_by=data.split_by,
        salt=data.salt,
        context_turns=data.context_turns,
        system_prompt=SYSTEM_PROMPT,
        lineage=lineage,
    )
    files["README.md"] = card.encode()
    return publish(repo, "dataset", files, lineage, "Dialogue pairs and conversations", private=recipe.hub.private)


def local_corpus(corpus: str, work: Path) -> Path:
    """Returns the corpus as a path, after a download where it is an http address."""
    if not corpus.startswith(("http://", "https://")):
        if not Path(corpus).exists():
            raise UserError(f"{corpus}: no such corpus; give a zip or folder, or the address {cornell.PUBLIC_ADDRESS}")
        return Path(corpus)
    target = work / "downloads" / hashlib.sha256(corpus.encode()).hexdigest()[:12] / Path(corpus).name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".part")
        try:
            urllib.request.urlretrieve(corpus, partial)
        except OSError as error:
            raise UserError(
                f"{corpus} cannot be downloaded ({error}); download it elsewhere and give its path"
            ) from error
        partial.replace(target)
    return target


def file_digest(path: Path) -> str:
    """sha256 of a file, or of the names and contents of the text files of a folder."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(path.rglob("movie_*.txt")):
        digest.update(file.name.encode() if path.is_dir() else b"")
        digest.update(file.read_bytes())
    return digest.hexdigest()


def split_rows(corpus: Corpus, data: Data, rows_of: Any) -> dict[str, list[dict[str, Any]]]:
    """Builds the rows of one config and puts each into its split, before any window can straddle two."""
    splits: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for conversation in corpus.conversations:
        film = cornell.split_of(conversation.film.key, data.salt)
        for row in rows_of(conversation, data):
            split = film if data.split_by == "film" else cornell.split_of("-".join(row["line_ids"]), data.salt)
            splits[split].append(row)
    return splits


def pair_rows(conversation: Conversation, data: Data) -> Iterator[dict[str, Any]]:
    """Slides the window: every line but the first is a reply to the one to `context_turns` lines before it."""
    for index in range(1, len(conversation.lines)):
        window = conversation.lines[max(0, index - data.context_turns) : index + 1]
        yield {
            "prompt": [{"role": "system", "content": SYSTEM_PROMPT}, *turns(window)[:-1]],
            "completion": turns(window)[-1:],
            **provenance(conversation, window),
        }


def conversation_rows(conversation: Conversation, data: Data) -> Iterator[dict[str, Any]]:
    yield {"messages": turns(conversation.lines), **provenance(conversation, conversation.lines)}


def turns(lines: tuple[Line, ...]) -> list[dict[str, str]]:
    """Chat messages whose last one is the assistant's, the roles alternating backwards from there."""
    roles = ("assistant", "user")
    return [{"role": roles[(len(lines) - 1 - index) % 2], "content": line.text} for index, line in enumerate(lines)]


def provenance(conversation: Conversation, lines: tuple[Line, ...]) -> dict[str, Any]:
    film = conversation.film
    return {
        "source": SOURCE,
        "movie_id": film.id,
        "movie_title": film.title,
        "year": film.year,
        "rating": film.rating,
        "votes": film.votes,
        "genres": list(film.genres),
        "conversation_id": conversation.id,
        "line_ids": [line.id for line in lines],
        "speakers": [vars(line.speaker) for line in lines],
        "raw_text": [line.raw for line in lines],
    }


def write_parquet(rows: list[dict[str, Any]], path: Path) -> Path:
    """Writes rows with the schema of the dataset (the same one also for an empty split)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, many = pa.string(), pa.list_
    messages = many(pa.struct({"role": text, "content": text}))
    columns = {
        "prompt": messages,
        "completion": messages,
        "messages": messages,
        "source": text,
        "movie_id": text,
        "movie_title": text,
        "year": pa.int32(),
        "rating": pa.float32(),
        "votes": pa.int32(),
        "genres": many(text),
        "conversation_id": text,
        "line_ids": many(text),
        "speakers": many(pa.struct({"name": text, "gender": text, "position": pa.int32()})),
        "raw_text": many(text),
    }
    present = {name: kind for name, kind in columns.items() if not rows or name in rows[0]}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(present)), path, compression="zstd")
    return path


def card_metadata(counts: dict[str, int], configs: list[str]) -> dict[str, Any]:
    pairs = sum(counts[f"{split} pairs"] for split in SPLITS)
    return {
        "pretty_name": "Repartee dialogue",
        "size_categories": [size_category(pairs)],
        "configs": [
            {
                "config_name": config,
                "data_files": [{"split": split, "path": f"{config}/{split}.parquet"} for split in SPLITS],
                **({"default": True} if config == "pairs" else {}),
            }
            for config in configs
        ],
    }


if __name__ == "__main__":
    command(run, __doc__)
