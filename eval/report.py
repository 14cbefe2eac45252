"""Judge-free evaluation: `python -m eval.report --namespace NAMESPACE --size starter --prompts 200`.

Answers held-out prompts with base, SFT and DPO, measures them, and publishes responses, figures and a card in one
commit. A run that was killed carries on; one whose inputs and settings are those of the published set is up to date.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from chat.sampling import Sampling
from eval.show import figure
from hub.cards import dataset_card
from hub.errors import UserError, one_line_errors
from hub.figures import shown, table
from hub.lineage import Input, Lineage, published, resolve
from hub.names import Names
from hub.publish import publish
from hub.results import model_index, publish_results
from hub.rights import handed_on
from hub.tables import write_tables
from hub.task import Task

if TYPE_CHECKING:
    from chat.generate import Reply
    from eval.measure import Ranked

Results = dict[str, Any]
JUDGED = (("dpo", "sft"), ("sft", "base"))  # does the first of each answer better than the second?


@dataclass(frozen=True)
class Study:
    """What is measured, on what, and how."""

    names: Names
    base: str
    """Hub id of the base model."""
    dataset: str
    """Hub id of the dialogue dataset whose test split is answered."""
    adapters: Mapping[str, str]
    """Voice to Hub id."""
    prompts: int
    """How many test prompts,"""
    per_film: int
    """and how many of them at most from one film."""
    distractors: int
    """Wrong candidates beside the film's own reply in Hits@1."""
    seed: int
    sampling: Sampling
    judge: str = "pmi"
    """Who compares responses, a name in `eval.judge.JUDGES`."""

    @property
    def settings(self) -> dict[str, Any]:
        chosen = {name: getattr(self, name) for name in ("prompts", "distractors", "per_film", "seed", "judge")}
        return chosen | asdict(self.sampling)

    def task(self) -> Task:
        """The evaluation set, from the models and the dataset as they are now."""
        models = tuple(resolve(repo, "model") for repo in (self.base, *self.adapters.values()))
        inputs = (*models, resolve(self.dataset, "dataset"))
        return Task(self.names.evaluation, "dataset", Lineage("evaluation", self.settings, inputs))


def run(study: Study, work: Path, private: bool = False) -> str:
    """Publishes the evaluation set and returns its full commit sha; a killed run finds its responses in `work`.

    Raises UserError for an unknown judge or a dataset without test pairs.
    """
    made = study.task()
    revision = made.done() or measure(study, made, work, private)
    push_results(study, made)
    return revision


def push_results(study: Study, made: Task) -> None:
    """Puts the published figures into the card of each adapter that was measured; a second time changes nothing."""
    found = published(made.repo, made.type)
    assert found
    *models, data = found[1].inputs
    results = {name: value for name, value in found[1].facts.items() if name != "rights"}
    for (name, repo), source in zip(study.adapters.items(), models[1:], strict=True):
        index = model_index(repo, data, shown(results, name), made.repo)
        publish_results(repo, source.revision, index, f"{table(results)}\n\nFrom [{made.repo}]({address(made.repo)}).")


def measure(study: Study, made: Task, work: Path, private: bool) -> str:
    """Answers, measures and publishes; returns the full commit sha of the evaluation set."""
    names = study.names
    *models, data = made.lineage.inputs
    inputs = dict(zip(("base", *study.adapters), models, strict=True))
    folder = work / f"evaluation-{made.lineage.fingerprint[:12]}"
    rows, results = evaluate(inputs, data, study.settings, study.sampling, folder)
    print("\n" + table(results) + "\n", flush=True)
    rights = handed_on(data)
    lineage = replace(made.lineage, facts={**results, "rights": rights.as_fact()})
    files, metadata = write_tables({"responses": {"test": pa.Table.from_pylist(rows)}}, folder)
    card = dataset_card(
        "evaluation",
        {"pretty_name": f"Repartee evaluation ({names.size})", **rights.license, **metadata},
        repo=names.evaluation,
        table=table(results),
        prompts=len(rows),
        command=(
            f"python -m eval.report --namespace {names.namespace} --size {names.size} --base {study.base} "
            f"--prompts {study.prompts} --distractors {study.distractors} --per-film {study.per_film} "
            f"--seed {study.seed}"
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


def address(dataset: str) -> str:
    from huggingface_hub.constants import ENDPOINT

    return f"{ENDPOINT}/datasets/{dataset}"


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
    parser.add_argument("--dry-run", action="store_true", help="say what would be measured, and why")
    given = parser.parse_args()
    names = Names(given.namespace, given.size)
    study = Study(
        names=names,
        base=given.base or names.starter,
        dataset=names.dialogue,
        adapters={kind: names.adapter(kind) for kind in ("sft", "dpo")},
        sampling=Sampling(),
        **{name: getattr(given, name) for name in ("prompts", "distractors", "per_film", "seed")},
    )
    with one_line_errors():
        if given.dry_run:
            study.task().preview()
        else:
            run(study, given.work, given.private)


def positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)


if __name__ == "__main__":
    main()
