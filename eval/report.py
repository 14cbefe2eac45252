"""Judge-free evaluation: `python -m eval.report --namespace NAMESPACE --size starter --prompts 200`.

Answers held-out prompts with base, SFT and DPO, measures them, and publishes responses, figures and a card in one
commit. A run that was killed carries on; one whose inputs and settings are those of the published set is up to date.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from chat.sampling import Sampling
from eval.show import figure, table
from hub.cards import dataset_card
from hub.errors import UserError, one_line_errors
from hub.lineage import Input, Lineage, resolve, up_to_date
from hub.names import Names
from hub.publish import publish
from hub.rights import handed_on
from hub.tables import write_tables

if TYPE_CHECKING:
    from chat.generate import Reply
    from eval.measure import Ranked

Results = dict[str, Any]
JUDGED = (("dpo", "sft"), ("sft", "base"))  # does the first of each answer better than the second?


def run(
    names: Names,
    *,
    base: str,
    dataset: str,
    adapters: Mapping[str, str],
    prompts: int,
    distractors: int,
    per_film: int,
    seed: int,
    sampling: Sampling,
    work: Path,
    judge: str = "pmi",
    private: bool = False,
) -> str:
    """Publishes the evaluation set and returns its full commit sha.

    Args:
        base, dataset: Hub ids of the base model and of the dialogue dataset whose test split is answered.
        adapters: voice to Hub id.
        prompts, per_film: how many test prompts, and how many of them at most from one film.
        distractors: wrong candidates beside the film's own reply in Hits@1.
        work: where a killed run finds its responses.
        judge: who compares responses, a name in `eval.judge.JUDGES`.

    Raises UserError for an unknown judge or a dataset without test pairs.
    """
    inputs = {name: resolve(repo, "model") for name, repo in {"base": base, **adapters}.items()}
    data = resolve(dataset, "dataset")
    settings = {"prompts": prompts, "distractors": distractors, "per_film": per_film, "seed": seed, "judge": judge}
    settings |= asdict(sampling)
    lineage = Lineage("evaluation", settings, (*inputs.values(), data))
    if revision := up_to_date(names.evaluation, "dataset", lineage):
        print(f"[evaluation] up to date: {names.evaluation}@{revision}", flush=True)
        return revision
    folder = work / f"evaluation-{lineage.fingerprint[:12]}"
    rows, results = evaluate(inputs, data, settings, sampling, folder)
    print("\n" + table(results) + "\n", flush=True)
    rights = handed_on(data)
    lineage = Lineage("evaluation", settings, lineage.inputs, facts={**results, "rights": rights.as_fact()})
    files, metadata = write_tables({"responses": {"test": pa.Table.from_pylist(rows)}}, folder)
    card = dataset_card(
        "evaluation",
        {"pretty_name": f"Repartee evaluation ({names.size})", **rights.license, **metadata},
        repo=names.evaluation,
        table=table(results),
        prompts=len(rows),
        command=(
            f"python -m eval.report --namespace {names.namespace} --size {names.size} --base {base} "
            f"--prompts {prompts} --distractors {distractors} --per-film {per_film} --seed {seed}"
        ),
        citations=rights.citations,
        lineage=lineage,
    )
    files |= {
        "README.md": card.encode(),
        "results.json": (json.dumps(results, indent=2) + "\n").encode(),
        "metrics.png": figure(results, folder / "metrics.png"),
    }
    return publish(names.evaluation, "dataset", files, lineage, "Judge-free evaluation", private=private)


def evaluate(
    inputs: Mapping[str, Input], data: Input, settings: dict[str, Any], sampling: Sampling, folder: Path
) -> tuple[list[dict[str, Any]], Results]:
    """Loads the voices by revision, lets them answer, and measures.

    Returns the rows to publish, one a prompt, and the figures as plain JSON.
    """
    from chat.voices import load
    from eval.judge import JUDGES
    from eval.measure import compare, figures, film_reply, rank
    from eval.metrics import distractors
    from eval.respond import held_out, respond

    if settings["judge"] not in JUDGES:
        raise UserError(f"no judge is called {settings['judge']}; there is {', '.join(JUDGES)}")
    seed = settings["seed"]
    pairs = held_out(data, settings["prompts"], settings["per_film"], seed)
    adapters = {name: source.repo for name, source in inputs.items() if name != "base"}
    voices = load(inputs["base"].repo, adapters, {name: source.revision for name, source in inputs.items()})
    replies = respond(voices, pairs, sampling, seed, folder)
    groups = [pair["conversation_id"] for pair in pairs]
    candidates = distractors([film_reply(pair) for pair in pairs], groups, settings["distractors"], seed)
    ranked = {name: rank(voices, name, pairs, candidates) for name in voices.names}
    judge = JUDGES[settings["judge"]](voices)
    compared = {
        f"{first} over {second}": compare(judge, pairs, replies[first], replies[second])
        for first, second in JUDGED
        if first in replies and second in replies
    }
    results = {
        "prompts": len(pairs),
        "candidates": len(candidates[0]) + 1,
        "voices": {name: figures(pairs, replies[name], ranked[name], seed) for name in voices.names},
        "judge": judge.name,
        "preferred": {pair: result.preference for pair, result in compared.items()},
    }
    orders = {pair: result.first_better for pair, result in compared.items()}
    rows = [response(pair, index, candidates, replies, ranked, orders) for index, pair in enumerate(pairs)]
    return rows, plain(results)


def response(
    pair: dict[str, Any],
    index: int,
    candidates: list[list[str]],
    replies: Mapping[str, list[Reply]],
    ranked: Mapping[str, list[Ranked]],
    orders: Mapping[str, list[list[float]]],
) -> dict[str, Any]:
    """One published row: where a prompt is from, what everybody answered, and every number the figures are made of."""
    return {
        "prompt": pair["prompt"],
        "film_reply": pair["completion"][0]["content"],
        **{key: pair[key] for key in ("movie_id", "movie_title", "conversation_id", "line_ids")},
        "distractors": candidates[index],
        **{
            name: {
                **asdict(replies[name][index]),
                "film_reply_nats": -sum(ranked[name][index].log_probs),
                "film_reply_tokens": len(ranked[name][index].log_probs),
                "hit_pmi": ranked[name][index].hit_pmi,
                "hit_likelihood": ranked[name][index].hit_likelihood,
            }
            for name in replies
        },
        "first_better": {pair: both[index] for pair, both in orders.items()},
    }


def plain(value: Any) -> Any:
    """Named tuples and what is inside them as dictionaries, for JSON."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    return {key: plain(entry) for key, entry in value.items()} if isinstance(value, dict) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--size", default="starter", help="of the models: part of their names (default: %(default)s)")
    parser.add_argument("--base", help="Hub id of the base (default: the namespace's starter)")
    parser.add_argument("--prompts", type=positive, default=2_000)
    parser.add_argument("--distractors", type=positive, default=19)
    parser.add_argument("--per-film", type=positive, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path(".repartee/work"))
    parser.add_argument("--private", action="store_true")
    arguments = vars(parser.parse_args())
    names = Names(arguments.pop("namespace"), arguments.pop("size"))
    base = arguments.pop("base") or names.starter
    adapters = {kind: names.adapter(kind) for kind in ("sft", "dpo")}
    with one_line_errors():
        run(names, base=base, dataset=names.dialogue, adapters=adapters, sampling=Sampling(), **arguments)


def positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)


if __name__ == "__main__":
    main()
