"""Published figures recomputed by our code from recorded public data: `python -m benchmarks.recorded --unieval FOLDER`.

    python -m benchmarks.recorded --geval geval --unieval UniEval --hanna hanna-benchmark-asg --pandalm PandaLM \
        --alpaca-eval alpaca_eval

Each FOLDER is a checkout of a GitHub repository, or its git directory: nlpyang/geval, maszhongming/UniEval,
dig-team/hanna-benchmark-asg, WeOpenML/PandaLM, tatsu-lab/alpaca_eval. Nothing of them is copied here. Printed are the
figure as published, what our code gives, and their difference; what is not given or not there is one line that says so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from benchmarks.recorded_alpaca import alpaca_figures, length_controlled_figures
from benchmarks.recorded_correlations import geval_figures, hanna_figures, summeval_figures, topical_chat_figures
from benchmarks.recorded_figure import Figure, read_recorded
from stats.kappa import cohen_kappa

PANDALM = {(1, 2): 0.85, (1, 3): 0.88, (2, 3): 0.86}
"""Cohen's kappa of PandaLM's annotators (its README)."""


def pandalm_figures(source: Path) -> Iterator[Figure]:
    """Agreement of PandaLM's three annotators."""
    rows = json.loads(read_recorded(source, "data/testset-v1.json"))
    for one, other in combinations((1, 2, 3), 2):
        got = cohen_kappa(*([row[f"annotator{who}"] for row in rows] for who in (one, other)))
        yield Figure(f"PandaLM, Cohen's kappa of annotators {one} and {other}", PANDALM[one, other], got, 2)


STUDIES = {
    "geval": ("nlpyang/geval", (geval_figures,)),
    "unieval": ("maszhongming/UniEval", (topical_chat_figures, summeval_figures)),
    "hanna": ("dig-team/hanna-benchmark-asg", (hanna_figures,)),
    "pandalm": ("WeOpenML/PandaLM", (pandalm_figures,)),
    "alpaca_eval": ("tatsu-lab/alpaca_eval", (alpaca_figures, length_controlled_figures)),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the recomputation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (repository, _) in STUDIES.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=Path, metavar="FOLDER", help=f"https://github.com/{repository}")
    arguments = vars(parser.parse_args(argv))
    figures: list[Figure] = []
    skipped = []
    for name, (repository, studies) in STUDIES.items():
        if arguments[name] is None:
            skipped.append(f"skipped: {repository} is not given")
            continue
        for study in studies:
            try:
                figures += list(study(arguments[name]))
            except FileNotFoundError as error:
                skipped.append(f"skipped: {error}; fetch https://github.com/{repository} whole")
    lines = ["| figure | published | ours | difference |", "|---|---:|---:|---:|", *(one.to_row() for one in figures)]
    print("\n".join([*(lines if figures else []), *skipped]))


if __name__ == "__main__":
    main()
