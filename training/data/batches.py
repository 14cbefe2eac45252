"""Batches of conversations on disk: what is read of the sources, with all that can be told of a batch by itself.

Each batch is a folder, renamed to its source's place and its number there when it is whole. Beside the lines it holds
sorted runs (`sorted_runs`) of what is compared between batches: pairs, neighbouring lines and films.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hub.rights import Rights, rights_from_fact
from training.data.corpus.assemble import Corpus, Film, WeightedCorpus
from training.data.corpus.parts import parts
from training.data.minhash import BANDS, Shingles, band_keys, shingles
from training.data.sorted_runs import EVERY, digests, digests_of_ranges, save_run
from training.data.splits import KEPT, copy_order, film_keys, own_rules, splits_of, weights
from training.data.windows import Windows, slide
from training.recipe_schema import Data

PAIR_RUN, NEIGHBOUR_RUN, FILM_RUN, NEAR_RUN = "pairs.npy", "neighbours.npy", "films.npy", "near.npy"
SOURCE_BITS = 40  # a source has fewer pairs; of the ROW_BITS of a row the 16 above them are its source's place
ARRAYS = ("film_of", "starts", "talk_split", "pair_split", "copies", "rule")


@dataclass(frozen=True)
class WeightedSource:
    """A source, what its rows say in `source`, and how often its train pairs are taken."""

    name: str
    weight: float
    batches: Callable[[int], Iterable[Corpus]]
    """Reads it, as `Located.batches` does."""


@dataclass(frozen=True)
class StoredBatch:
    """One batch as it lies on disk."""

    folder: Path
    about: dict[str, Any]
    """`source` (its place among the sources), `first_pair` and `first_talk` (the number of its first one, see
    `write_source`), `pairs`, `talks` (how many it has), `counts`, `rights`, `resume` (see `write_batches`)."""

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """By name: `film_of` and `starts` of the corpus, splits of conversations and pairs, `copies` and own `rule`."""
        return {name: np.load(self.folder / f"{name}.npy") for name in ARRAYS}

    @property
    def counts(self) -> Counter[str]:
        """What was counted when it was read."""
        return Counter(self.about["counts"])

    @property
    def rights(self) -> Rights:
        """Those that its reader states."""
        return rights_from_fact(self.about["rights"])

    @cached_property
    def corpus(self) -> Corpus:
        """Its conversations. The lines are mapped from the file."""
        lines = pa.ipc.open_file(pa.memory_map(str(self.folder / "lines.arrow"))).read_all()
        return Corpus(self.films(), self.arrays["film_of"], self.arrays["starts"], lines, self.counts, self.rights)

    def films(self) -> list[Film]:
        """Those of its conversations, as `Corpus.films`."""
        stored = json.loads((self.folder / "films.json").read_text("utf-8"))
        return [Film(**{**film, "genres": tuple(film["genres"])}) for film in stored]

    def windows(self, data: Data) -> Windows:
        """Those of its pairs."""
        return slide(self.arrays["starts"], data.context_turns)


def open_batch(folder: Path) -> StoredBatch:
    """The batch that lies in a folder."""
    return StoredBatch(folder, json.loads((folder / "about.json").read_text("utf-8")))


def stored_batches(folder: Path, source: str = "*") -> list[Path]:
    """The folders of the whole batches in a folder, in order: all, or one source's by its place (`place_name`)."""
    return sorted(folder.glob(f"{source}-*[0-9]"))


def place_name(source: int) -> str:
    """A source's place among the sources, as the names of its batches begin."""
    return f"{source:05}"


def write_batches(
    sources: list[WeightedSource], data: Data, folder: Path, most_lines: int, share: slice = EVERY
) -> Iterator[StoredBatch]:
    """Reads every source of a share into batches of about `most_lines` lines in a folder, and yields each that is new.

    A batch says where reading goes on behind it (`resume`): the row of the source, and how many batches from there are
    done. A table is read on from the row, its earlier rows are passed over; any other source is read again, and what is
    there already is passed over.
    """
    for place in range(len(sources))[share]:
        if not (read := folder / f"{place_name(place)}.read").exists():
            yield from write_source(sources[place], place, data, folder, most_lines)
            read.touch()


def write_source(
    source: WeightedSource, place: int, data: Data, folder: Path, most_lines: int
) -> Iterator[StoredBatch]:
    """The batches that a source at a place among the sources does not have yet.

    Its pairs and conversations are numbered from `place << SOURCE_BITS` on, whatever the others have: they stand in
    the order of the sources, and no source waits for another.
    """
    name = place_name(place)
    for draft in folder.glob(f"{name}-*.draft"):
        shutil.rmtree(draft)
    last = open_batch(done[-1]).about if (done := stored_batches(folder, name)) else None
    pairs, talks = (
        last[f"first_{unit}"] + last[f"{unit}s"] if last else place << SOURCE_BITS for unit in ("pair", "talk")
    )
    row, skipped = last["resume"] if last else (0, 0)
    new = resumable_parts(source.batches(row), row, skipped, most_lines)
    for number, (corpus, resume) in enumerate(new, len(done)):
        batch = folder / f"{name}-{number:06}"
        draft = batch.with_suffix(".draft")
        draft.mkdir()
        about = {"source": place, "first_pair": pairs, "first_talk": talks, "resume": resume}
        pairs, talks = write_batch(WeightedCorpus(source.name, source.weight, corpus), data, draft, about)
        draft.rename(batch)
        yield open_batch(batch)


def resumable_parts(
    corpora: Iterable[Corpus], row: int, skipped: int, most_lines: int
) -> Iterator[tuple[Corpus, tuple[int, int]]]:
    """Yields the parts of corpora, from the one after `skipped` on, and with each where reading goes on behind it."""
    done = 0
    for corpus in corpora:
        every = list(parts(corpus, most_lines))
        for part in every:
            done += 1
            if part is every[-1] and corpus.rows > row:
                row, done = corpus.rows, 0
            if skipped:
                skipped -= 1
            else:
                yield part, (row, done)


def write_batch(named: WeightedCorpus, data: Data, folder: Path, about: dict[str, Any]) -> tuple[int, int]:
    """Writes a batch into a folder; returns the numbers of the first pair and the first conversation behind it."""
    corpus = named.corpus
    windows = slide(corpus.starts, data.context_turns)
    talk_split, pair_split = splits_of(corpus, windows, data)
    copies = weights(named, windows, pair_split, data.salt)
    rule = own_rules(corpus, windows, copies, data)
    lines = corpus.lines.combine_chunks()
    with pa.ipc.new_file(str(folder / "lines.arrow"), lines.schema) as writer:
        writer.write_table(lines)
    stored = (corpus.film_of, corpus.starts, talk_split, pair_split, copies, rule)
    for name, array in zip(ARRAYS, stored, strict=True):
        np.save(folder / f"{name}.npy", array)
    save_runs(corpus, windows, talk_split, copy_order(pair_split, copies), folder, about)
    if data.near_duplicates:
        save_bands(corpus, windows, np.flatnonzero(rule == KEPT), copy_order(pair_split, copies), folder, about)
    about |= {
        "pairs": len(rule),
        "talks": len(talk_split),
        "counts": dict(corpus.counts),
        "rights": corpus.rights.as_fact(),
    }
    (folder / "films.json").write_text(json.dumps([film._asdict() for film in corpus.films]), "utf-8")
    (folder / "about.json").write_text(json.dumps(about), "utf-8")
    return about["first_pair"] + len(rule), about["first_talk"] + len(talk_split)


def save_bands(
    corpus: Corpus, windows: Windows, kept: np.ndarray, order: np.ndarray, folder: Path, about: dict[str, Any]
) -> None:
    """Writes the sorted run of the MinHash keys of pairs (places `kept`; a pair without a word has none).

    The others are as `save_runs` takes them.
    """
    own = shingles(corpus.lines["text"], windows.take(kept))
    worded = own.end > own.first
    own, kept = Shingles(own.values, own.first[worded], own.end[worded]), kept[worded]
    rows = np.tile(about["first_pair"] + kept, BANDS)
    save_run(folder / NEAR_RUN, b"".join(band_keys(own)), rows, np.tile(order[kept], BANDS))


def save_runs(
    corpus: Corpus,
    windows: Windows,
    talk_split: np.ndarray,
    order: np.ndarray,
    folder: Path,
    about: dict[str, Any],
) -> None:
    """Writes the sorted runs of a batch: its pairs, every two neighbouring lines, and its films.

    Args:
        corpus: of the batch.
        windows: of its pairs.
        talk_split: of its conversations.
        order: `copy_order` of its pairs.
        folder: of the batch.
        about: as in `StoredBatch`, as far as it is known.
    """
    texts = corpus.lines["text"]
    neighbours = digests_of_ranges(texts, windows.reply - 1, windows.reply)
    one_line = bool((windows.first == windows.reply - 1).all())
    pairs = neighbours if one_line else digests_of_ranges(texts, windows.first, windows.reply)
    talk = about["first_talk"] + np.arange(len(talk_split))
    talk_order = copy_order(talk_split, np.ones(len(talk_split)))
    film = np.frombuffer(digests(film_keys(corpus)), dtype=">u8")[::2][corpus.film_of]
    rows = about["first_pair"] + np.arange(len(order))
    save_run(folder / PAIR_RUN, pairs, rows, order, film[windows.talk])
    save_run(folder / NEIGHBOUR_RUN, neighbours, talk[windows.talk], talk_order[windows.talk])
    used, first = np.unique(corpus.film_of, return_index=True)
    facts = digests([f"{about['source']} {corpus.films[place]!r}" for place in used.tolist()])
    save_run(folder / FILM_RUN, facts, talk[first])
