"""Replies to read: `python -m eval.samples --namespace NAMESPACE --size SIZE` prints some of an evaluation set.

Prompts are drawn by seed, with the reply of every variant and of the controls, unedited, as markdown.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence

from eval.evaluation import positive
from eval.rows import Response, load_responses
from hub.cards import inline
from hub.errors import UserError, one_line_errors
from hub.lineage import fetch_lineage
from hub.names import Names
from hub.results_table import TITLES


def sample_lines(responses: Sequence[Response], count: int, seed: int) -> Iterator[str]:
    """Markdown lines of `count` responses drawn by seed: the line, then who answered what.

    Raises:
        UserError: there are fewer.
    """
    if count > len(responses):
        raise UserError(f"the evaluation set has {len(responses):,} prompts, not {count:,}; give --count less")
    for number, response in enumerate(random.Random(seed).sample(responses, count), 1):
        asked = " / ".join(inline(turn["content"]) for turn in response.prompt if turn["role"] != "system")
        yield f"{number}. **{asked}** ({inline(response.movie_title)})"
        for variant, reply in response.variants.items():
            cut = "" if reply.ended == "<|im_end|>" else " \u2026"
            yield f"   - {TITLES[variant]}: {inline(reply.text)}{cut}"
        for control, text in response.controls.items():
            yield f"   - {TITLES[control]}: {inline(text)}"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: which evaluation set, how many, by which seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--size", default="starter", help="of the models: part of their names (default: %(default)s)")
    parser.add_argument("--count", type=positive, default=20, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    arguments = parser.parse_args(argv)
    with one_line_errors():
        repo = Names(arguments.namespace, arguments.size).evaluation
        found = fetch_lineage(repo, "dataset")
        if found is None:
            raise UserError(f"there is no dataset {repo}; run eval.evaluation first")
        responses = load_responses(repo, found[0])
        print(f"{arguments.count} of {len(responses):,} prompts of {repo}@{found[0][:12]}, seed {arguments.seed}\n")
        print("\n".join(sample_lines(responses, arguments.count, arguments.seed)))


if __name__ == "__main__":
    main()
