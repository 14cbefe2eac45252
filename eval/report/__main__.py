"""Report: `python -m eval.report --namespace NAMESPACE [--votes study/votes-*.csv --key study/key.json]`.

Takes what is published (the evaluation set, one or two judges' G-Eval scores, the page's votes) and the raters' files,
and writes one self-contained HTML page, PNG plots and `results.json` under --out. Then it puts them beside the
evaluation set, in one commit, and all results into both adapters' cards; the Space's Results tab reads them from there.
With `--dry-run` nothing is sent.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval import mauve, plots
from eval.evaluation import push_results
from eval.geval import summary
from eval.human import analysis
from eval.judge_overlap import warning
from eval.report import judges, tables
from eval.report.evidence import Evidence, evidence_facts, score_differences, weigh_evidence, with_scores
from eval.report.gather import JudgeScores, Material, gather
from eval.report.page import data_urls, render_report
from hub.errors import UserError, one_line_errors
from hub.lineage import REPORT, VERSION, Input
from hub.model_index import BEGIN, publish_report, replace_between_marks
from hub.names import Names
from hub.results_table import TITLES, table
from hub.trace import commit_url, lineage_tree
from hub.write_access import require_no_private_source
from stats.clustered import MIN_CLUSTERS, too_few

HTML = "report.html"


@dataclass(frozen=True)
class Report:
    """Report as it lies in its folder."""

    results: dict[str, Any]
    evidence: list[Evidence]
    files: dict[str, Path]
    """By name."""


def make_report(made: Material, out: Path) -> Report:
    """Computes and draws everything, and writes the report's files into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    films = {response.sheet_id: response.movie_id for response in made.responses}
    of_raters = {"raters": films}  # visitors type prompts of their own
    people = {who: analysis.analyse(choices.votes, of_raters.get(who)) for who, choices in made.people.items()}
    results = {
        **made.results,
        "paired": with_scores(made.results, score_differences(made)),
        "revision": made.evaluation.revision,
        "judges": [{**judge.facts, "repo": judge.repo, "revision": judge.revision} for judge in made.judges],
        "people": {who: {**study, "counts": made.people[who].counts} for who, study in people.items()},
    }
    found = weigh_evidence(made, results)
    results["evidence"] = list(map(evidence_facts, found))
    pictures = draw_plots(made, people, out)
    page = render_report(**template_values(made, results, found, pictures))
    files = {HTML: out / HTML, "results.json": out / "results.json", **{path.name: path for path in pictures.values()}}
    files[HTML].write_text(page, "utf-8")
    files["results.json"].write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    return Report(results, found, files)


def add_mauve(made: Material) -> None:
    """Adds MAUVE of the published replies, under the base model that they were made with."""
    from chat.variants import ModelRef, load_variants

    base = made.lineage.inputs[0]
    replies = {variant: [response.variants[variant].text for response in made.responses] for variant in made.variants}
    variants = load_variants(ModelRef(base.repo, base.revision))
    films = [response.film_reply for response in made.responses]
    for variant, one in mauve.mauve_of_variants(variants, replies, films).items():
        made.results["voices"][variant]["mauve"] = one._asdict()


def draw_plots(made: Material, people: dict[str, Any], out: Path) -> dict[str, Path]:
    """Plots that there is something for, as PNG paths by name."""
    pictures = {"metrics": plots.metrics_figure(made.results, out / "metrics.png")}
    if made.judges or people:
        pictures["means"] = plots.means_figure([judge.facts for judge in made.judges], people, out / "means.png")
    for number, judge in enumerate(made.judges, 1):
        for name, draw in (("boxes", plots.boxes_figure), ("distributions", plots.distributions_figure)):
            pictures[f"{name}-{number}"] = draw(judge.facts, judge.rows, out / f"{name}-{number}.png")
    return pictures


def template_values(
    made: Material, results: dict[str, Any], found: list[Evidence], pictures: dict[str, Path]
) -> dict[str, Any]:
    """Values of the template, see the comment at its top."""
    data = data_urls(pictures)
    by, best, worst = judges.best_and_worst(made)
    labelled = [name for name in (made.results["judge"], *(j.name for j in made.judges)) if name in made.labellers]
    films = len({response.movie_id for response in made.responses})
    both = len(made.judges) > 1
    return {
        "title": f"How {TITLES['base']}, {TITLES['sft']} and {TITLES['dpo']} answer",
        "results": made.results,
        "sources": [source_link(source) for source in (made.evaluation, *made.lineage.inputs)],
        "code": VERSION,
        "evidence": tables.evidence_table(found),
        "films": films,
        "few": too_few(films) if films < MIN_CLUSTERS else "",
        "tested": sum(one.comparison.p_value is not None for one in found),
        "warnings": list(map(warning, labelled)),
        "missing": made.missing,
        "plots": {
            "means": data.get("means"),
            "metrics": data["metrics"],
            "boxes": [data[name] for name in data if name.startswith("boxes")],
            "distributions": [data[name] for name in data if name.startswith("distributions")],
        },
        "judges": [judge_section(made, judge) for judge in made.judges],
        "judge_agreement": tables.agreement_table(judges.pair_judges(*made.judges)) if both else "",
        "people": [{"who": who, "table": analysis.study_table(study)} for who, study in results["people"].items()],
        "metrics": table(results),
        "examples": {"by": by, "best": best, "worst": worst, "titles": TITLES},
        "counts": tables.count_table(made),
        "costs": tables.cost_table(made),
        "lineage": list(lineage_tree(made.evaluation.repo, "dataset", made.evaluation.revision)),
    }


def judge_section(made: Material, judge: JudgeScores) -> dict[str, Any]:
    """Template values of one judge."""
    return {
        "name": judge.name,
        "table": summary.geval_table(judge.facts),
        "steps": judge.facts["steps"],
        "written_by": judge.facts["rubric"]["written_by"],
        "agreement": tables.agreement_table(judges.pair_with_people(made, judge)),
    }


def source_link(source: Input) -> tuple[str, str]:
    """Name and URL of an input at its revision."""
    return f"{source.repo}@{source.revision[:7]}", commit_url(source.repo, source.type, source.revision)


def push_report(made: Material, report: Report) -> str | None:
    """Publishes the report beside its evaluation set, and pushes all results into the models' cards.

    Raises UserError where it draws on a private dataset and the evaluation set is public.
    """
    from huggingface_hub import hf_hub_download

    repo, revision = made.evaluation.repo, made.head
    require_no_private_source(made.sources, repo, "dataset")
    files = {f"{REPORT}{name}": path.read_bytes() for name, path in report.files.items()}
    old = Path(hf_hub_download(repo, "README.md", repo_type="dataset", revision=revision)).read_text("utf-8")
    if BEGIN in old:
        link = f"The whole report: [{REPORT}{HTML}]({REPORT}{HTML}), one page that needs nothing beside it."
        files["README.md"] = replace_between_marks(old, f"{table(report.results)}\n\n{link}").encode()
    commit = publish_report(repo, revision, files)
    print(f"report beside {repo}@{commit}" if commit else f"{repo} has this very report already", flush=True)
    push_results(repo)
    return commit


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the report."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--namespace", required=True, help="whose evaluation set, on the Hub")
    parser.add_argument("--size", default="starter", help="of the models (default: %(default)s)")
    parser.add_argument("--votes", type=Path, nargs="+", default=[], help="CSV files of raters")
    parser.add_argument("--key", type=Path, help="key.json of their sheets")
    parser.add_argument(
        "--mauve", action="store_true", help="MAUVE too; needs the package mauve-text, and some minutes"
    )
    parser.add_argument("--out", type=Path, default=Path(".repartee/report"), help="default: %(default)s")
    parser.add_argument("--dry-run", action="store_true", help="write the report, and send nothing")
    arguments = parser.parse_args(argv)
    with one_line_errors():
        if bool(arguments.votes) != bool(arguments.key):
            raise UserError("--votes and --key go together: the key says whose reply was chosen")
        if arguments.mauve:
            mauve.require_package()  # before anything that takes time
        made = gather(Names(arguments.namespace, arguments.size), arguments.votes, arguments.key)
        if not arguments.dry_run:
            require_no_private_source(made.sources, made.evaluation.repo, "dataset")
        if arguments.mauve:
            add_mauve(made)
        report = make_report(made, arguments.out)
        print(f"{tables.evidence_table(report.evidence)}\n\n{arguments.out / HTML}", flush=True)
        if not arguments.dry_run:
            push_report(made, report)


if __name__ == "__main__":
    main()
