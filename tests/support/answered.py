"""Responses as an evaluation set holds them, made up, and results of them all."""

from __future__ import annotations

from typing import Any

from eval.metrics import win_rate
from hub.results_table import ROWS
from stats.clustered import paired_difference

ESTIMATE = {"value": 0.5, "low": 0.25, "high": 0.75, "p_value": None, "clusters": 30}
VARIANTS = ("base", "sft", "dpo")
HOSTILE = "<img src=x onerror=\"document.title='gone'\">"


def response_row(
    line_ids: list[str], lines: list[str], texts: dict[str, str], columns: dict[str, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """A whole published row of a prompt and its replies; `columns` has what matters of a variant beside its text."""
    plain = {"ended": "<|im_end|>", "tokens": 3, "film_reply_nats": 9.0, "film_reply_tokens": 4}
    plain["film_reply_end_nats"] = 1.5
    return {
        "prompt": [{"role": "system", "content": "Answer."}, *({"role": "user", "content": line} for line in lines)],
        "film_reply": "So.",
        "shuffled_reply": "Then.",
        "movie_id": "m0",
        "movie_title": "film 0",
        "conversation_id": "c0",
        "line_ids": line_ids,
        "distractors": ["No."],
        **{
            variant: {
                "text": text,
                "uncut": f"{text}\nAnd?",
                **plain,
                "hit_pmi": False,
                "hit_likelihood": False,
                **(columns or {}).get(variant, {}),
            }
            for variant, text in texts.items()
        },
        "first_better": {"sft over base": [0.6, 0.6], "dpo over sft": [0.7, 0.7]},
    }


def answered(place: int) -> dict[str, Any]:
    """DPO hits more often, and its replies are longer by one word; one reply of each kind that says nothing."""
    texts = {"base": f"base {place}", "sft": f"sft {place}", "dpo": f"dpo well {place}"}
    if place < 2:
        texts = {"base": "", "sft": "  ", "dpo": HOSTILE}
    columns = {
        variant: {
            "hit_pmi": place % {"base": 5, "sft": 3, "dpo": 2}[variant] == 0,
            "film_reply_nats": 12.0 - VARIANTS.index(variant) + (place % 4),
        }
        for variant in VARIANTS
    }
    return response_row([f"L{place}", f"L{place + 1}"], [f"Line {place}?"], texts, columns) | {
        "film_reply": f"Film {place}.",
        "movie_id": f"m{place // 2}",
        "movie_title": f"film {place // 2}",
        "first_better": {"sft over base": [0.6, 0.6], "dpo over sft": [0.7, 0.7] if place % 3 else [0.2, 0.4]},
    }


def compared(films: int = 30) -> dict[str, Any]:
    """Comparisons of 60 such rows, regrouped to so many films, as an evaluation publishes them."""
    rows = [answered(place) for place in range(60)]
    clusters, sizes = [f"m{place * films // 60}" for place in range(60)], [len(row["film_reply"]) for row in rows]
    paired: dict[str, Any] = {}
    preferred = {}
    for first, second in (("sft", "base"), ("dpo", "sft")):
        columns = {
            "hits_pmi": ("hit_pmi", None),
            "hits_likelihood": ("hit_likelihood", None),
            "text_nats_per_byte": ("film_reply_nats", sizes),
        }
        paired[f"{first} - {second}"] = {
            key: paired_difference(
                [row[first][column] for row in rows], [row[second][column] for row in rows], clusters, weights
            )._asdict()
            for key, (column, weights) in columns.items()
        }
        orders = [sum(row["first_better"][f"{first} over {second}"]) / 2 for row in rows]
        same = [row[first]["text"] == row[second]["text"] for row in rows]
        rate, ties = win_rate(orders, same, clusters)
        preferred[f"{first} over {second}"] = {"rate": rate._asdict(), "ties": ties}
    return {"paired": paired, "preferred": preferred}


FACTS = {
    "prompts": 60,
    "films": 30,
    "candidates": 20,
    "voices": {variant: dict.fromkeys(ROWS, ESTIMATE) for variant in VARIANTS},
    "film": {"distinct_1_equal": 0.5},
    "judge": "PMI under the base model",
    **compared(),
}
