"""Judge-free evaluation: `python -m eval.evaluation --namespace NAMESPACE --size starter --prompts 200`.

Answers held-out prompts with base, SFT and DPO, measures them, and publishes responses, metrics and a card in one
commit. A run that was killed carries on; one whose inputs and settings are those of the published set is up to date.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from chat.sampling import Sampling
from eval.compute import compute_results
from eval.judge.names import EMBEDDED_NAMES, EmbeddedName, full_name
from eval.plots import metrics_figure
from eval.rows import RESPONSE_VARIANTS
from hub.cards import dataset_card
from hub.errors import one_line_errors
from hub.lineage import Lineage, fetch_lineage, pin, training_minutes
from hub.model_index import model_index, publish_results
from hub.names import Names
from hub.parquet import write_tables
from hub.publish import publish
from hub.results_table import TITLES, fetch_results, table, variant_metrics
from hub.rights import inherited_rights
from hub.task import Task

StageCosts = Callable[[], Mapping[str, Mapping[str, float]]]
"""To minutes by stage: `estimated`, `spent`, each where it is known."""


@dataclass(frozen=True)
class Study:
    """Evaluation study: what is measured, on what, and how."""

    names: Names
    base: str
    """Hub id of the base model."""
    dataset: str
    """Hub id of the dialogue dataset whose test split is answered."""
    adapters: Mapping[str, str]
    """Variant to Hub id."""
    prompts: int
    """How many test prompts,"""
    per_film: int
    """and how many of them at most from one film."""
    distractors: int
    """Wrong candidates beside the film's own reply in Hits@1."""
    seed: int
    sampling: Sampling
    judge: str = "pmi"
    """Pairwise judge of the responses, a full name of `eval.judge.names`."""
    four_bit: bool = False
    """Load the base in NF4, as the adapters were trained on it."""
    format_pairs: int = 100
    """Validation pairs by which the base's reply format is chosen."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that make the study what it is, for its lineage."""
        chosen = ("prompts", "distractors", "per_film", "seed", "judge", "four_bit", "format_pairs")
        found = {name: getattr(self, name) for name in chosen} | asdict(self.sampling)
        own_model = EmbeddedName.parse(self.judge).repo
        return found | ({"judge_revision": pin(own_model, "model").revision} if own_model else {})

    def task(self) -> Task:
        """The evaluation set, from the models and the dataset as they are now."""
        models = tuple(pin(repo, "model") for repo in (self.base, *self.adapters.values()))
        inputs = (*models, pin(self.dataset, "dataset"))
        return Task(self.names.evaluation, "dataset", Lineage("evaluation", self.settings, inputs))


def run_evaluation(study: Study, work: Path, private: bool = False, costs: StageCosts = dict) -> str:
    """Runs the evaluation, publishes its dataset and returns its full commit sha; resumes from the responses in `work`.

    Args:
        study: what is measured.
        work: folder of partial results.
        private: publish in a private repository.
        costs: minutes that the stages of a chain were estimated to take and took, for the card, asked when it is made.

    Raises:
        UserError: an unknown judge, or a dataset without test pairs.
    """
    made = study.task()
    revision = made.done(private) or publish_evaluation(study, made, work, private, costs)
    push_results(made.repo)
    return revision


def push_results(evaluation: str) -> None:
    """Pushes everything that is published of the adapters of an evaluation set into their model cards.

    What a report has added (G-Eval, people) is part of it. A second time changes nothing.
    """
    found = fetch_lineage(evaluation, "dataset")
    assert found
    revision, lineage = found
    _, *adapters, data = lineage.inputs
    results = fetch_results(evaluation, revision)
    text = f"{table(results)}\n\nFrom [{evaluation}]({dataset_url(evaluation)})."
    names = [name for name in TITLES if name in results["voices"]]  # a lineage keeps its facts sorted by name
    for name, source in zip(names[1:], adapters, strict=True):
        index = model_index(source.repo, data, variant_metrics(results, name), evaluation)
        publish_results(source.repo, source.revision, index, text)


def publish_evaluation(study: Study, made: Task, work: Path, private: bool, costs: StageCosts) -> str:
    """Samples, measures and publishes; returns the full commit sha of the evaluation set."""
    import pyarrow as pa

    names = study.names
    *models, data = made.lineage.inputs
    inputs = dict(zip(("base", *study.adapters), models, strict=True))
    folder = work / f"evaluation-{made.lineage.fingerprint[:12]}"
    responses, results = compute_results(inputs, data, study.settings, study.sampling, folder)
    for name in study.adapters:
        results["voices"][name]["minutes"] = training_minutes(inputs[name])
    print("\n" + table(results) + "\n", flush=True)
    rights = inherited_rights(data)
    spent = costs()
    lineage = replace(
        made.lineage, facts={**results, "rights": rights.as_fact(), **({"costs": spent} if spent else {})}
    )
    files, metadata = write_tables(
        {"responses": {"test": pa.Table.from_pylist([response.to_row() for response in responses])}}, folder
    )
    card = dataset_card(
        "evaluation",
        {"pretty_name": f"Repartee evaluation ({names.size})", **rights.license, **metadata},
        repo=names.evaluation,
        table=table(results),
        prompts=len(responses),
        command=(
            f"python -m eval.evaluation --namespace {names.namespace} --size {names.size} --base {study.base} "
            f"--adapters {' '.join(study.adapters)} --prompts {study.prompts} "
            f"--distractors {study.distractors} --per-film {study.per_film} "
            f"--seed {study.seed} --format-pairs {study.format_pairs} --judge {study.judge}"
            f"{' --four-bit' if study.four_bit else ''}"
        ),
        costs=spent,
        citations=rights.citations,
        lineage=lineage,
    )
    files |= {
        "README.md": card.encode(),
        "results.json": (json.dumps(results, indent=2) + "\n").encode(),
        "metrics.png": metrics_figure(results, folder / "metrics.png"),
    }
    return publish(names.evaluation, "dataset", files, lineage, "Judge-free evaluation", private=private)


def dataset_url(dataset: str) -> str:
    """Relative URL of a dataset: right on whichever Hub the card is that links it."""
    return f"/datasets/{dataset}"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--size", default="starter", help="of the models: part of their names (default: %(default)s)")
    parser.add_argument("--base", help="Hub id of the base (default: the one that the namespace has published)")
    parser.add_argument(
        "--adapters", nargs="+", choices=RESPONSE_VARIANTS[1:], default=["sft", "dpo"], help="default: sft dpo"
    )
    parser.add_argument("--prompts", type=positive, default=2_000, help="of the test split (default: %(default)s)")
    parser.add_argument(
        "--distractors", type=positive, default=19, help="wrong candidates in Hits@1 (default: %(default)s)"
    )
    parser.add_argument(
        "--per-film", type=positive, default=20, help="prompts of one film at most (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument(
        "--format-pairs",
        type=positive,
        default=100,
        help="validation pairs by which the base's format is chosen (default: %(default)s)",
    )
    parser.add_argument("--judge", default="pmi", help=f"of the replies in pairs: {EMBEDDED_NAMES} (default: pmi)")
    parser.add_argument("--four-bit", action="store_true", help="load the base in NF4")
    parser.add_argument("--work", type=Path, default=Path(".repartee/work"), help="default: %(default)s")
    parser.add_argument("--private", action="store_true", help="publish in a private repository")
    parser.add_argument("--dry-run", action="store_true", help="say what would be measured, and why")
    arguments = parser.parse_args(argv)
    names = Names(arguments.namespace, arguments.size)
    study = Study(
        names=names,
        base=arguments.base or names.base,
        dataset=names.dialogue,
        adapters={kind: names.adapter(kind) for kind in arguments.adapters},
        sampling=Sampling(),
        judge=full_name(arguments.judge, names),
        **{
            name: getattr(arguments, name)
            for name in ("prompts", "distractors", "per_film", "seed", "four_bit", "format_pairs")
        },
    )
    with one_line_errors():
        if arguments.dry_run:
            study.task().preview(arguments.private)
        else:
            run_evaluation(study, arguments.work, arguments.private)


def positive(text: str) -> int:
    """Argument type: a whole number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)


if __name__ == "__main__":
    main()
