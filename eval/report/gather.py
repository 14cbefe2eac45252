"""Inputs of a report: responses, the scores of one judge or two, votes of raters and of the page's visitors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eval.geval.summary import on_one_scale
from eval.human.sheet_votes import SheetVote, read_votes
from eval.judge_overlap import labellers
from eval.rows import RESPONSE_VARIANTS, Response, ScoreRow, load_responses
from hub.errors import UserError
from hub.lineage import Input, Lineage, fetch_lineage, pin, unchanged
from hub.names import Names
from hub.results_table import fetch_results
from hub.votes.ballot import hash_of


@dataclass(frozen=True)
class JudgeScores:
    """G-Eval scores of the responses by one judge."""

    repo: str
    revision: str
    facts: dict[str, Any]
    """As `eval.geval` published them: judge, mode, steps, means, counts, cost."""
    rows: list[ScoreRow]
    """One for each response and criterion; `score` is None where it is unscored."""

    @property
    def name(self) -> str:
        """The judge, as its endpoint calls it."""
        return str(self.facts["judge"])

    @property
    def comparable(self) -> list[ScoreRow]:
        """Rows whose scores may be averaged over criteria."""
        return on_one_scale(self.rows, self.facts)


@dataclass(frozen=True)
class Choices:
    """Choices of people."""

    votes: list[SheetVote]
    counts: Counter[str]
    """How many rows were counted as what."""


@dataclass
class Material:
    """Inputs of a report, pinned: everything that is known of one evaluation set."""

    evaluation: Input
    """At the commit that made it, or an equal one that an earlier report names."""
    lineage: Lineage
    results: dict[str, Any]
    """The metrics without a judge."""
    responses: list[Response]
    """One a prompt."""
    judges: list[JudgeScores] = field(default_factory=list)
    people: dict[str, Choices] = field(default_factory=dict)
    """`raters` of blind sheets, and `visitors` of the page."""
    labellers: set[str] = field(default_factory=set)
    """Who labelled the preferences that the models were trained on."""
    missing: list[str] = field(default_factory=list)
    """What the report has nothing of, and why: a sentence each."""
    sources: list[str] = field(default_factory=list)
    """Hub ids of the datasets beside the evaluation set that something was taken from."""
    head: str = ""
    """The newest commit of the evaluation set, on which the report will stand."""

    @property
    def variants(self) -> list[str]:
        """The variants that were measured, in order."""
        return [name for name in RESPONSE_VARIANTS if name in self.results["voices"]]

    @property
    def sheet_ids(self) -> list[str]:
        """Of each prompt, its id on raters' sheets."""
        return [response.sheet_id for response in self.responses]


def gather(names: Names, votes: Sequence[Path] = (), key: Path | None = None) -> Material:
    """Inputs of a report: what is published of a family's evaluation, and the votes in these files.

    Raises:
        UserError: no evaluation set is published, or the votes are of another one.
    """
    found = fetch_lineage(names.evaluation, "dataset")
    if found is None:
        raise UserError(f"no evaluation set {names.evaluation} is published; run eval.evaluation, or the pipeline")
    head, lineage = found
    evaluation = named_revision(pin(names.evaluation, "dataset", head))
    responses = load_responses(evaluation.repo, evaluation.revision)
    results = {name: value for name, value in lineage.facts.items() if name != "rights"}
    made = Material(evaluation, lineage, results, responses, labellers=labellers(evaluation), head=head)
    for repo in (names.geval, names.second_geval):
        add_judge(made, repo, needed=repo == names.geval)
    if votes and key:
        made.people["raters"] = read_raters(evaluation, votes, key)
    else:
        made.missing.append("No votes of raters: give --votes and --key (`python -m eval.human sheet` writes sheets).")
    add_visitors(made, names.votes)
    return made


def named_revision(evaluation: Input) -> Input:
    """Evaluation set at the commit that its report names: a report is a commit too, and would name itself."""
    named = fetch_results(evaluation.repo, evaluation.revision).get("revision")
    return replace(evaluation, revision=named) if named and unchanged(evaluation, named) else evaluation


def add_judge(made: Material, repo: str, needed: bool) -> None:
    """Adds a judge's scores, unless they are of other responses than these."""
    from datasets import load_dataset

    found = fetch_lineage(repo, "dataset")
    if found is None:
        if needed:
            made.missing.append(f"No judge's scores: `python -m eval.geval` publishes them as {repo}.")
        return
    revision, lineage = found
    if [source.content for source in lineage.inputs] != [made.evaluation.content]:
        made.missing.append(
            f"{repo} scores another evaluation set than this one, and is left out: run eval.geval again."
        )
        return
    if "refused" not in lineage.facts:
        made.missing.append(f"{repo} was made when refusals could be scores, and is left out: run eval.geval again.")
        return
    rows = load_dataset(repo, "scores", split="test", revision=revision).to_list()
    made.judges.append(JudgeScores(repo, revision, lineage.facts, rows))
    made.sources.append(repo)


def read_raters(evaluation: Input, votes: Sequence[Path], key: Path) -> Choices:
    """Choices in the raters' files.

    Raises:
        UserError: the sheets were made from another evaluation set.
    """
    given, counts, facts = read_votes(votes, key)
    if facts.get("evaluation") != evaluation.repo or not unchanged(evaluation, facts["revision"]):
        other = f"{facts.get('evaluation')}@{facts.get('revision')}"
        raise UserError(f"{key}: its sheets are of {other}, not of {evaluation.repo} as it is now; leave --votes out")
    return Choices(given, counts)


def add_visitors(made: Material, repo: str) -> None:
    """Adds the blind votes of the page that are of these very models; others are counted."""
    from huggingface_hub.errors import RepositoryNotFoundError

    from hub.votes.vote import votes

    try:
        found = votes(repo)
    except RepositoryNotFoundError:
        made.missing.append(f"No votes of the page's visitors: there is no dataset {repo} yet.")
        return
    models = dict(zip(made.variants, made.lineage.inputs, strict=False))
    counts: Counter[str] = Counter(rows=len(found))
    given, voted = [], set[tuple[str, str]]()
    same: dict[tuple[str, str], bool] = {}
    for vote in found:
        for variant, revision in vote.revisions.items():
            if (variant, revision) not in same:
                same[variant, revision] = variant in models and unchanged(models[variant], revision)
        if not all(same[place] for place in vote.revisions.items()):
            counts["of other models"] += 1
            continue
        if vote.rater_and_line in voted:
            counts["again on the same line"] += 1
            continue
        voted.add(vote.rater_and_line)
        shown = tuple(sorted(variant for option in vote.shown for variant in option))
        item = hash_of(*(message["content"] for message in vote.prompt))
        given.append(SheetVote(vote.rater, item, 0, tuple(vote.chosen), shown, vote.styles()))
    counts["votes"] = len(given)
    if any(vote.chosen for vote in given):
        made.people["visitors"] = Choices(given, counts)
        made.sources.append(repo)
    else:
        made.missing.append(f"None of the {len(found):,} votes in {repo} is a choice among these models.")
