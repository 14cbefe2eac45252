"""Published correlations of metrics and LLM judges with people, from recorded scores: G-Eval, UniEval, HANNA."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from benchmarks.recorded_figure import Figure, read_recorded
from eval.agreement import MEASURES, PairedScore, correlate
from eval.geval.scoring import mean_of_samples

GEVAL = {
    "coherence": ("coh", 0.582, 0.457),
    "consistency": ("con", 0.507, 0.425),
    "fluency": ("flu", 0.506, 0.455),
    "relevance": ("rel", 0.547, 0.433),
}
"""G-Eval-4 on SummEval, by document: Spearman, Kendall (Liu et al., 2023, table 1)."""
TOPICAL_CHAT = {
    "naturalness": (0.443666, 0.513986, 0.373973),
    "coherence": (0.595143, 0.612942, 0.465915),
    "engagingness": (0.55651, 0.604739, 0.455941),
    "groundedness": (0.536209, 0.574954, 0.451533),
    "understandability": (0.380038, 0.467807, 0.360741),
    "overall": (0.632796, 0.662583, 0.487272),
}
"""UniEval on Topical-Chat, by turn: Pearson, Spearman, Kendall (reproduce/README.md of its repository)."""
SUMMEVAL = {
    "response": {
        "coherence": (0.533249, 0.591811, 0.424627),
        "consistency": (0.634377, 0.434997, 0.349272),
        "fluency": (0.597067, 0.451053, 0.353974),
        "relevance": (0.434236, 0.465623, 0.337676),
    },
    "item": {
        "coherence": (0.553818, 0.575186, 0.44249),
        "consistency": (0.648491, 0.445596, 0.370913),
        "fluency": (0.605978, 0.449168, 0.370628),
        "relevance": (0.416225, 0.42569, 0.324938),
    },
    "system": {
        "coherence": (0.810345, 0.811765, 0.683333),
        "consistency": (0.945761, 0.911765, 0.75),
        "fluency": (0.908509, 0.844739, 0.661094),
        "relevance": (0.900644, 0.838235, 0.666667),
    },
}
"""UniEval on SummEval, by level (its sample, summary and system): Pearson, Spearman, Kendall (the same page)."""
HANNA_CRITERIA = {"RE": "Relevance", "CH": "Coherence", "EM": "Empathy", "SU": "Surprise", "EG": "Engagement",
            "CX": "Complexity"}  # fmt: skip
HANNA = {
    "response": {
        "Beluga-13B": (0.21, 0.26, 0.27, 0.17, 0.26, 0.32),
        "Llama-13B": (0.16, 0.18, 0.15, 0.12, 0.11, 0.26),
        "Mistral-7B": (0.22, 0.22, 0.20, 0.13, 0.21, 0.23),
        "ChatGPT": (0.15, 0.22, 0.20, 0.05, 0.19, 0.27),
    },
    "system": {
        "Beluga-13B": (0.49, 0.78, 0.73, 0.73, 0.73, 0.72),
        "Llama-13B": (0.64, 0.87, 0.54, 0.56, 0.73, 0.54),
        "Mistral-7B": (0.36, 0.60, 0.60, 0.51, 0.64, 0.63),
        "ChatGPT": (0.07, 0.73, 0.56, 0.07, 0.64, 0.72),
    },
}
"""LLMs as judges of HANNA's stories by its first prompt, people's own stories left out: Kendall, without its sign, by
criterion (Chhun et al., 2024, figures of data_visualization.ipynb in its repository). By system it took some equal
means for different, by their last binary digit; ours are ties, which makes up to 0.03."""


def geval_figures(source: Path) -> Iterator[Figure]:
    """G-Eval's sampled answers on SummEval, read by `eval.geval.scoring`, against people's scores."""
    for criterion, (short, *expected) in GEVAL.items():
        scores = []
        for row in json.loads(read_recorded(source, f"results/gpt4_{short}_detailed.json")):
            found = mean_of_samples(row["all_responses"])
            if found:
                human = float(row["scores"][criterion])
                scores.append(PairedScore(str(row["doc_id"]), str(row["system_id"]), human, found.value))
        for measure, published in zip(("spearman", "kendall"), expected, strict=True):
            got, _ = correlate(scores, measure, "item")
            yield Figure(f"G-Eval-4, SummEval, {criterion}, {measure} by document", published, got, 3)


def topical_chat_figures(source: Path) -> Iterator[Figure]:
    """UniEval's recorded scores on Topical-Chat against those of USR's annotators."""
    rows = json.loads(read_recorded(source, "reproduce/unieval_predict/dialogue/topical_chat_result.json"))
    for criterion, expected in TOPICAL_CHAT.items():
        scores = [
            PairedScore(row["source"], row["system_id"], row["scores"][criterion], row["predict_scores"][criterion])
            for row in rows
        ]
        for measure, published in zip(MEASURES, expected, strict=True):
            got, _ = correlate(scores, measure, "response")
            yield Figure(f"UniEval, Topical-Chat, {criterion}, {measure} by turn", published, got, 6)


def summeval_figures(source: Path) -> Iterator[Figure]:
    """UniEval's recorded scores on SummEval against its experts', of each summary, by document and by system."""
    rows = json.loads(read_recorded(source, "reproduce/unieval_predict/summarization/summeval_result.json"))
    for level, criteria in SUMMEVAL.items():
        for criterion, expected in criteria.items():
            scores = [
                PairedScore(
                    str(row["doc_id"]), row["system_id"], row["scores"][criterion], row["predict_scores"][criterion]
                )
                for row in rows
            ]
            for measure, published in zip(MEASURES, expected, strict=True):
                got, _ = correlate(scores, measure, level)
                yield Figure(f"UniEval, SummEval, {criterion}, {measure} by {level}", published, got, 6)


def hanna_figures(source: Path) -> Iterator[Figure]:
    """LLMs' recorded scores of HANNA's stories against the mean of three people's, over stories and over systems."""
    table = csv.DictReader(io.StringIO(read_recorded(source, "hanna_metric_scores_llm.csv")))
    systems = [row for row in table if row["Model"] != "Human"]
    for level, judges in HANNA.items():
        for judge, expected in judges.items():
            for (short, criterion), published in zip(HANNA_CRITERIA.items(), expected, strict=True):
                scores = chain.from_iterable(
                    (
                        PairedScore(str(story), row["Model"], *both)
                        for story, both in enumerate(
                            zip(json.loads(row[criterion]), json.loads(row[f"{judge} {short} 1"]), strict=True)
                        )
                    )
                    for row in systems
                )
                got, _ = correlate(list(scores), "kendall", level)
                yield Figure(f"{judge}, HANNA, {criterion.lower()}, kendall by {level}", published, abs(got), 2)
