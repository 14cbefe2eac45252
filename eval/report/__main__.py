"""The report: `python -m eval.report --namespace NAMESPACE [--votes study/votes-*.csv --key study/key.json]`.

Takes what is published (the evaluation set, one or two judges' G-Eval scores, the page's votes) and the raters' files,
and writes one self-contained HTML page, PNG figures and `results.json` under --out. Then it puts them beside the
evaluation set, in one commit, and all figures into both adapters' cards; the Space's Results tab reads them from there.
With `--dry-run` nothing is sent.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval import mauve, plots
from eval.compute import plain
from eval.evaluation import push_results
from eval.geval import summary
from eval.human import analysis
from eval.judge_overlap import warning
from eval.report import judges, tables
from eval.report.evidence import Evidence, weigh
from eval.report.gather import Material, gather
from eval.report.page import data_addresses, render
from hub.errors import UserError, one_line_errors
from hub.lineage import REPORT, VERSION
from hub.model_index import BEGIN, publish_report, replace_between_marks
from hub.names import Names
from hub.results_table import TITLES, table
from hub.trace import commit_url, lineage_tree

HTML = "report.html"


@dataclass(frozen=True)
class Made:
    """A report's files, as they lie in its folder."""

    results: dict[str, Any]
    files: dict[str, Path]
    """By name."""


def make(made: Material, out: Path) -> Made:
    """Works everything out, draws it, and writes the report's files into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    people = {who: analysis.analyse(heard.votes) for who, heard in made.people.items()}
    found = weigh(made)
    results = {
        **made.results,
        "revision": made.evaluation.revision,
        "judges": [{**judge.facts, "repo": judge.repo, "revision": judge.revision} for judge in made.judges],
        "people": {who: {**study, "counts": made.people[who].counts} for who, study in people.items()},
        "evidence": list(map(told, found)),
    }
    pictures = draw(made, people, out)
    page = render(**values(made, results, found, pictures))
    files = {HTML: out / HTML, "results.json": out / "results.json", **{path.name: path for path in pictures.values()}}
    files[HTML].write_text(page, "utf-8")
    files["results.json"].write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    return Made(results, files)


def add_mauve(made: Material) -> None:
    """Measures MAUVE of the published replies, under the base model that they were made with."""
    from chat.variants import ModelRef, load_variants

    base = made.lineage.inputs[0]
    replies = {variant: [row[variant]["text"] for row in made.rows] for variant in made.variants}
    variants = load_variants(ModelRef(base.repo, base.revision))
    for variant, one in mauve.of_variants(variants, replies, [row["film_reply"] for row in made.rows]).items():
        made.results["voices"][variant]["mauve"] = one._asdict()


def draw(made: Material, people: dict[str, Any], out: Path) -> dict[str, Path]:
    """The figures that there is something for, by name."""
    pictures = {"metrics": plots.figure(made.results, out / "metrics.png")}
    if made.judges or people:
        pictures["means"] = plots.means([judge.facts for judge in made.judges], people, out / "means.png")
    for number, judge in enumerate(made.judges, 1):
        name = f"distributions-{number}"
        pictures[name] = plots.distributions(judge.name, judge.rows, out / f"{name}.png")
    return pictures


def values(made: Material, results: dict[str, Any], found: list[Evidence], pictures: dict[str, Path]) -> dict[str, Any]:
    """What the template asks for."""
    data = data_addresses(pictures)
    by, best, worst = judges.examples(made)
    labelled = [name for name in (made.results["judge"], *(j.name for j in made.judges)) if name in made.labellers]
    films = len({row["movie_id"] for row in made.rows})
    both = len(made.judges) > 1
    return {
        "title": f"How {TITLES['base']}, {TITLES['sft']} and {TITLES['dpo']} answer",
        "results": made.results,
        "sources": [linked(source) for source in (made.evaluation, *made.lineage.inputs)],
        "code": VERSION,
        "evidence": tables.evidence(found),
        "films": films,
        "few": films < tables.FEW,
        "warnings": list(map(warning, labelled)),
        "missing": made.missing,
        "figures": {
            "means": data.get("means"),
            "metrics": data["metrics"],
            "distributions": [data[name] for name in data if name.startswith("distributions")],
        },
        "judges": [judged(made, judge) for judge in made.judges],
        "between": tables.agreed(judges.with_each_other(*made.judges)) if both else "",
        "people": [{"who": who, "table": analysis.table(study)} for who, study in results["people"].items()],
        "metrics": table(made.results),
        "examples": {"by": by, "best": best, "worst": worst, "titles": TITLES},
        "counts": tables.counts(made),
        "costs": tables.costs(made),
        "lineage": list(lineage_tree(made.evaluation.repo, "dataset", made.evaluation.revision)),
    }


def judged(made: Material, judge: Any) -> dict[str, Any]:
    return {
        "name": judge.name,
        "table": summary.table(judge.facts),
        "steps": judge.facts["steps"],
        "agreement": tables.agreed(judges.with_people(made, judge)),
    }


def told(one: Evidence) -> dict[str, Any]:
    return {
        "measure": one.measure.what,
        "pair": " - ".join(one.pair),
        "prompts": one.prompts,
        **plain(one.apart),
        "equal_length": plain(one.equal_length),
        "verdict": one.verdict,
    }


def linked(source: Any) -> tuple[str, str]:
    return f"{source.repo}@{source.revision[:7]}", commit_url(source.repo, source.type, source.revision)


def publish(made: Material, report: Made) -> str | None:
    """Puts the report beside its evaluation set and all figures into the models' cards."""
    from huggingface_hub import hf_hub_download

    repo, revision = made.evaluation.repo, made.head
    files = {f"{REPORT}{name}": path.read_bytes() for name, path in report.files.items()}
    old = Path(hf_hub_download(repo, "README.md", repo_type="dataset", revision=revision)).read_text("utf-8")
    if BEGIN in old:
        link = f"The whole report: [{REPORT}{HTML}]({REPORT}{HTML}), one page that needs nothing beside it."
        files["README.md"] = replace_between_marks(old, f"{table(report.results)}\n\n{link}").encode()
    commit = publish_report(repo, revision, files)
    print(f"report beside {repo}@{commit}" if commit else f"{repo} has this very report already", flush=True)
    push_results(repo)
    return commit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--size", default="starter", help="of the models (default: %(default)s)")
    parser.add_argument("--votes", type=Path, nargs="+", default=[], help="CSV files of raters")
    parser.add_argument("--key", type=Path, help="key.json of their sheets")
    parser.add_argument(
        "--mauve", action="store_true", help="MAUVE too; needs the package mauve-text, and some minutes"
    )
    parser.add_argument("--out", type=Path, default=Path(".repartee/report"), help="default: %(default)s")
    parser.add_argument("--dry-run", action="store_true", help="write the report, and send nothing")
    given = parser.parse_args()
    with one_line_errors():
        if bool(given.votes) != bool(given.key):
            raise UserError("--votes and --key go together: the key says whose reply was chosen")
        if given.mauve:
            mauve.needed()  # before anything that takes time
        made = gather(Names(given.namespace, given.size), given.votes, given.key)
        if given.mauve:
            add_mauve(made)
        report = make(made, given.out)
        print(f"{tables.evidence(weigh(made))}\n\n{given.out / HTML}", flush=True)
        if not given.dry_run:
            publish(made, report)


if __name__ == "__main__":
    main()
