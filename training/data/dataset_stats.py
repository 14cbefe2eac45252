"""What a reader of the dataset's card wants to know of its pairs: shares, lengths, and a figure of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training.data.arrow_lists import message_texts

Shares = dict[str, dict[str, float]]  # by value (a genre, a decade) and split
QUANTILES = {"5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "99%": 0.99, "longest": 1.0}


def films(pairs: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """One row of each film of a split."""
    distinct = {}
    for split, table in pairs.items():
        film = pc.coalesce(table["movie_title"], table["movie_id"]).combine_chunks().dictionary_encode().indices
        distinct[split] = table.take(np.unique(film.to_numpy(), return_index=True)[1])
    return distinct


def genres(rows: dict[str, pa.Table]) -> Shares:
    """The share of each split's rows that are of a genre; a film has several."""
    return shares({split: pc.list_flatten(table["genres"]) for split, table in rows.items()}, rows)


def decades(rows: dict[str, pa.Table]) -> Shares:
    """The share of each split's rows that are of a decade, "1990s"."""
    years = {split: table["year"].drop_null().to_numpy() // 10 * 10 for split, table in rows.items()}
    return shares({split: pa.array([f"{year}s" for year in column]) for split, column in years.items()}, rows)


def shares(values: dict[str, pa.Array], rows: dict[str, pa.Table]) -> Shares:
    """Share of each split's rows that have a value, most common in train first; `values` is flat over the rows."""
    found: Shares = {}
    for split, column in values.items():
        for entry in pc.value_counts(column).to_pylist():
            found.setdefault(entry["values"], dict.fromkeys(rows, 0.0))[split] = entry["counts"] / len(rows[split])
    return dict(sorted(found.items(), key=lambda item: -item[1]["train"]))


def widest(found: Shares) -> float:
    """The largest difference between two splits in any share, in percentage points; 0 without any."""
    return max((100 * (max(by.values()) - min(by.values())) for by in found.values()), default=0.0)


def word_counts(pairs: pa.Table, column: str) -> np.ndarray:
    """Words of the last message in `prompt` or `completion`, (pairs,)."""
    texts = message_texts(pairs[column])
    last = texts.values.take(pa.array(texts.offsets.to_numpy()[1:] - 1))
    return pc.add(pc.count_substring(last, " "), 1).to_numpy()


def word_quantiles(pairs: dict[str, pa.Table]) -> dict[str, dict[str, int]]:
    """Quantiles of the words in the line to answer and in the reply, over all splits."""
    whole = pa.concat_tables(pairs.values()).combine_chunks()
    return {
        title: {name: int(np.quantile(count, share)) for name, share in QUANTILES.items()}
        for title, count in (
            ("line to answer", word_counts(whole, "prompt")),
            ("reply", word_counts(whole, "completion")),
        )
    }


def draw_lengths(pairs: dict[str, pa.Table], conversations: dict[str, pa.Table], path: Path) -> Path:
    """Draws how long lines, replies and conversations are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    whole = pa.concat_tables(pairs.values()).combine_chunks()
    turns = np.concatenate([pc.list_value_length(table["messages"]).to_numpy() for table in conversations.values()])
    drawing = Figure(figsize=(9, 3.2), dpi=120, layout="constrained")
    FigureCanvasAgg(drawing)
    left, right = drawing.subplots(1, 2)
    edges = np.arange(0.5, 61.5)
    for column, label, style in (("prompt", "line to answer", "step"), ("completion", "reply", "stepfilled")):
        left.hist(
            np.minimum(word_counts(whole, column), 60), bins=edges, histtype=style, label=label,
            color={"step": "#1d3557", "stepfilled": "#e9a23b"}[style], alpha=0.9, zorder=2 if style == "step" else 1,
        )  # fmt: skip
    left.set(xlabel="words (60 and more in the last bar)", ylabel="pairs", xlim=(0, 61))
    left.legend(frameon=False)
    right.hist(np.minimum(turns, 20), bins=np.arange(1.5, 21.5), color="#457b9d")
    right.set_xticks([2, 5, 10, 15, 20])
    right.set(xlabel="lines of a conversation (20 and more in the last bar)", ylabel="conversations", xlim=(1, 21))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    drawing.savefig(path, metadata={"Software": None})
    return path
