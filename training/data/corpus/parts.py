"""A corpus in parts, and parts as one corpus: conversations are never cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from hub.rights import Rights, combine_rights
from training.data.corpus.assemble import Corpus, Film


def parts(corpus: Corpus, most_lines: int) -> Iterator[Corpus]:
    """Cuts a corpus between conversations into parts of about `most_lines` lines each; the first has its counts.

    A conversation of more lines than that is a part of its own. Nothing is copied.
    """
    edges = np.arange(most_lines, corpus.starts[-1], most_lines)
    cuts = np.unique(np.concatenate([[0], np.searchsorted(corpus.starts, edges), [len(corpus.film_of)]]))
    for place, (first, last) in enumerate(pairwise(cuts.tolist()) if len(cuts) > 1 else [(0, 0)]):
        starts = corpus.starts[first : last + 1]
        used, film_of = np.unique(corpus.film_of[first:last], return_inverse=True)
        yield replace(
            corpus,
            films=[corpus.films[film] for film in used.tolist()],
            film_of=film_of,
            starts=starts - starts[0],
            lines=corpus.lines.slice(starts[0], starts[-1] - starts[0]),
            counts=Counter() if place else corpus.counts,
        )


def joined(corpora: Iterable[Corpus]) -> Corpus:
    """The parts of a source as one corpus, in memory. Raises whatever reading them raises."""
    import pyarrow as pa

    every = list(corpora)
    if len(every) == 1:
        return every[0]
    films: dict[Film, int] = {}
    counts, rights = Counter[str](), list[Rights]()
    film_of, starts = [], [np.zeros(1, dtype=np.int64)]
    for corpus in every:
        places = np.array([films.setdefault(film, len(films)) for film in corpus.films], dtype=np.int64)
        film_of.append(places[corpus.film_of])
        starts.append(corpus.starts[1:] + starts[-1][-1])
        counts.update(corpus.counts)
        if len(corpus.film_of) and corpus.rights not in rights:
            rights.append(corpus.rights)
    of_talks = np.concatenate(film_of)
    counts["films"] = len(np.unique(of_talks))
    return replace(
        every[0],
        films=list(films),
        film_of=of_talks,
        starts=np.concatenate(starts),
        lines=pa.concat_tables(corpus.lines for corpus in every),
        counts=counts,
        rights=combine_rights(rights),
        rows=every[-1].rows,
    )
