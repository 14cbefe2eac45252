"""Windows over conversations, and the rows of the dataset that they become.

Nothing here loops over lines: a window is a first and a last place in the columns of a corpus, and Arrow gathers what
stands between. That is what makes a corpus a matter of seconds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chat.template import SYSTEM_PROMPT
from training.data.arrow_lists import one_chunk, ragged_ranges
from training.data.corpus.assemble import Corpus, WeightedCorpus


class Windows(NamedTuple):
    """Windows of a corpus, each (windows,): the places of its first line and of its reply, and its conversation."""

    first: np.ndarray
    reply: np.ndarray
    talk: np.ndarray

    def take(self, rows: np.ndarray) -> Windows:
        """The windows at these places."""
        return Windows(*(column[rows] for column in self))


def slide(starts: np.ndarray, context_turns: int) -> Windows:
    """Slides the window: every line but a first one is a reply to the one to `context_turns` lines before it."""
    opening = np.repeat(starts[:-1], np.diff(starts))
    indices = np.arange(starts[-1])
    reply = indices[indices > opening]
    first = np.maximum(opening[reply], reply - context_turns)
    return Windows(first, reply, np.repeat(np.arange(len(starts) - 1), np.diff(starts) - 1))


def pair_table(named: WeightedCorpus, windows: Windows) -> pa.Table:
    """A prompt and its reply from each window."""
    first, reply, talk = windows
    return pa.table(
        {
            "prompt": chat(named.corpus, first, reply - 1, reply, system=True),
            "completion": chat(named.corpus, reply, reply, reply),
            **provenance(named, talk, first, reply),
        }
    )


def conversation_table(named: WeightedCorpus, talks: np.ndarray) -> pa.Table:
    """The conversations at these places, whole."""
    first, last = named.corpus.starts[talks], named.corpus.starts[talks + 1] - 1
    return pa.table({"messages": chat(named.corpus, first, last, last), **provenance(named, talks, first, last)})


def chat(corpus: Corpus, first: np.ndarray, last: np.ndarray, reply: np.ndarray, system: bool = False) -> pa.ListArray:
    """The lines of each window as messages: the reply is the assistant's, and the roles alternate backwards from it."""
    offsets, indices = ragged_ranges(first - system, last)
    speaker = (np.repeat(reply, np.diff(offsets)) - indices) % 2
    texts = one_chunk(corpus.lines["text"])
    if system:
        speaker[offsets[:-1]], indices[offsets[:-1]] = 2, len(texts)
        texts = pa.concat_arrays([texts, pa.array([SYSTEM_PROMPT])])
    roles = pa.array(["assistant", "user", "system"]).take(pa.array(speaker))
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.StructArray.from_arrays([roles, texts.take(pa.array(indices))], ["role", "content"])
    )


def provenance(
    named: WeightedCorpus, conversation: np.ndarray, first: np.ndarray, last: np.ndarray
) -> dict[str, pa.Array]:
    """Where each row comes from, down to the lines of its window."""
    corpus = named.corpus
    films = {
        "movie_id": pa.array([film.id for film in corpus.films], pa.string()),
        "movie_title": pa.array([film.title for film in corpus.films], pa.string()),
        "year": pa.array([film.year for film in corpus.films], pa.int32()),
        "rating": pa.array([film.rating for film in corpus.films], pa.float64()),
        "votes": pa.array([film.votes for film in corpus.films], pa.int32()),
        "genres": pa.array([film.genres for film in corpus.films], pa.list_(pa.string())),
        "script_url": pa.array([film.script_url for film in corpus.films], pa.string()),
    }
    film = pa.array(corpus.film_of[conversation])
    offsets, indices = ragged_ranges(first, last)
    of_window = {
        name: pa.ListArray.from_arrays(pa.array(offsets), one_chunk(corpus.lines[column]).take(pa.array(indices)))
        for name, column in (("line_ids", "line_id"), ("speakers", "speaker"), ("raw_text", "raw_text"))
    }
    talks, row_talk = np.unique(conversation, return_inverse=True)
    ids = conversation_ids(corpus, talks).take(pa.array(row_talk))
    source = pa.repeat(pa.scalar(named.name, pa.string()), len(conversation))
    return {
        "source": source,
        **{name: column.take(film) for name, column in films.items()},
        "conversation_id": ids,
        **of_window,
    }


def conversation_ids(corpus: Corpus, talks: np.ndarray) -> pa.Array:
    """The conversations at these places, each named by its film and its first line."""
    films = pa.array([str(film.id or film.title) for film in corpus.films], pa.string())
    opening = one_chunk(corpus.lines["line_id"]).take(pa.array(corpus.starts[talks]))
    return pc.binary_join_element_wise(films.take(pa.array(corpus.film_of[talks])), opening, ":")
