"""The command line of G-Eval: `python -m eval.geval --namespace NAMESPACE --model MODEL`."""

from __future__ import annotations

import argparse
from pathlib import Path

from eval.geval.run import CRITERIA, items_of, run, task
from eval.judge.settings import JudgeSettings
from hub.errors import one_line_errors
from hub.names import Names
from hub.task import log_progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--size", default="starter", help="of the models (default: %(default)s)")
    parser.add_argument("--model", required=True, help="the judge, as its endpoint calls it")
    parser.add_argument("--base-url", help="of an OpenAI-compatible endpoint (default: OpenAI's)")
    parser.add_argument(
        "--key-env", default="OPENAI_API_KEY", help="variable that holds the key (default: %(default)s)"
    )
    parser.add_argument("--effort", help="of a reasoning model; most give log-probabilities with none alone")
    parser.add_argument("--second", action="store_true", help="as the second judge, to be shown beside the first")
    parser.add_argument("--prompts", type=int, help="the first so many (default: all)")
    parser.add_argument("--budget", type=float, help="US dollars that are not passed")
    parser.add_argument(
        "--price", type=float, nargs=2, default=(None, None), metavar=("IN", "OUT"), help="per million tokens"
    )
    parser.add_argument("--batch", action="store_true", help="through the Batch API")
    parser.add_argument("--work", type=Path, default=Path(".repartee/work"))
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--dry-run", action="store_true", help="say what would be scored, and ask nothing")
    given = parser.parse_args()
    with one_line_errors():
        names = Names(given.namespace, given.size)
        settings = JudgeSettings(
            model=given.model,
            base_url=given.base_url,
            key_env=given.key_env,
            effort=given.effort,
            budget=given.budget,
            price_in=given.price[0],
            price_out=given.price[1],
            batch=given.batch,
        )
        if given.dry_run:
            made = task(names, settings, given.prompts, given.second)
            made.preview()
            count = len(items_of(made.lineage.inputs[0], given.prompts)) * len(CRITERIA)
            log_progress("geval", f"{count:,} scores would be asked for")
        else:
            run(names, settings, given.work, given.prompts, given.private, given.second)


if __name__ == "__main__":
    main()
