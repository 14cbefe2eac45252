"""Judge-free evaluation: `python -m eval.report --namespace NAMESPACE --size starter --prompts 200`.

Answers held-out prompts with base, SFT and DPO, measures them, and publishes responses, figures and a card in one
commit.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chat.sampling import Sampling
from hub.cards import dataset_card
from hub.errors import UserError, one_line_errors
from hub.lineage import Input, Lineage, resolve, up_to_date
from hub.names import Names
from hub.publish import publish

Results = dict[str, Any]
TITLES = {"base": "base", "sft": "fine-tuned", "dpo": "DPO"}
COLOURS = {"base": "#9a9a9a", "sft": "#3b78b5", "dpo": "#c2542d"}
ROWS = {
    "perplexity": ("Reply perplexity", "{:.1f}", "lower is better"),
    "hits_pmi": ("Hits@1/{n} by PMI", "{:.3f}", "chance is 1/{n}"),
    "hits_likelihood": ("Hits@1/{n} by likelihood", "{:.3f}", "chance is 1/{n}"),
    "stop_rate": ("Ended by `<|im_end|>`", "{:.3f}", ""),
    "endoftext_rate": ("Ended by `<|endoftext|>`", "{:.3f}", ""),
    "distinct_1": ("Distinct-1", "{:.3f}", ""),
    "distinct_2": ("Distinct-2", "{:.3f}", ""),
    "words_50": ("Words, median", "{:.0f}", ""),
    "words_90": ("Words, 90% quantile", "{:.0f}", ""),
}


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
    private: bool = False,
) -> str:
    """Publishes the evaluation set and returns its full commit sha."""
    inputs = {"base": resolve(base, "model"), **{name: resolve(repo, "model") for name, repo in adapters.items()}}
    data = resolve(dataset, "dataset")
    settings = {"prompts": prompts, "distractors": distractors, "per_film": per_film, "seed": seed, **asdict(sampling)}
    lineage = Lineage("evaluation", settings, (*inputs.values(), data))
    if revision := up_to_date(names.evaluation, "dataset", lineage):
        print(f"[evaluation] up to date: {names.evaluation}@{revision}", flush=True)
        return revision
    folder = work / f"evaluation-{lineage.fingerprint[:12]}"
    rows, replies, results = measure(inputs, data, settings, sampling, folder)
    print("\n" + table(results) + "\n", flush=True)
    lineage = Lineage("evaluation", settings, lineage.inputs, facts=results)
    card = dataset_card(
        "evaluation",
        {
            "pretty_name": f"Repartee evaluation ({names.size})",
            "configs": [{"config_name": "default", "data_files": [{"split": "test", "path": "responses.parquet"}]}],
        },
        repo=names.evaluation,
        table=table(results),
        prompts=len(rows),
        command=f"python -m eval.report --namespace {names.namespace} --size {names.size} --prompts {prompts}",
        lineage=lineage,
    )
    files: dict[str, bytes | Path] = {
        "README.md": card.encode(),
        "results.json": (json.dumps(results, indent=2) + "\n").encode(),
        "responses.parquet": write_responses(rows, replies, folder / "responses.parquet"),
        "metrics.png": figure(results, folder / "metrics.png"),
    }
    return publish(names.evaluation, "dataset", files, lineage, "Judge-free evaluation", private=private)


def measure(
    inputs: Mapping[str, Input], data: Input, settings: dict[str, Any], sampling: Sampling, folder: Path
) -> tuple[list[dict[str, Any]], dict[str, Any], Results]:
    """Loads the voices by revision, lets them answer, and measures; returns prompts, replies by voice, and figures."""
    from chat.voices import load
    from eval.judge import PMIJudge
    from eval.measure import measure_voice, preferred
    from eval.metrics import distractors
    from eval.respond import held_out, respond

    rows = held_out(data, settings["prompts"], settings["per_film"], settings["seed"])
    if not rows:
        raise UserError(f"{data.repo} has no test pairs; prepare it from more films")
    adapters = {name: source.repo for name, source in inputs.items() if name != "base"}
    revisions = {name: source.revision for name, source in inputs.items()}
    voices = load(inputs["base"].repo, adapters, revisions)
    replies = respond(voices, rows, sampling, settings["seed"], folder)
    true = [row["completion"][0]["content"] for row in rows]
    groups = [row["conversation_id"] for row in rows]
    candidates = distractors(true, groups, settings["distractors"], settings["seed"])
    results: Results = {"prompts": len(rows), "candidates": max(map(len, candidates)) + 1, "voices": {}, "judge": {}}
    for name in voices.names:
        print(f"[evaluation] measuring {name}", flush=True)
        results["voices"][name] = measure_voice(voices, name, rows, replies[name], candidates, settings["seed"])
    judge = PMIJudge(voices)
    results["judge"]["name"] = judge.name
    pairs = [(first, second) for first, second in (("dpo", "sft"), ("sft", "base")) if first in replies]
    for first, second in pairs:
        results["judge"][f"{first} over {second}"] = preferred(judge, rows, replies[first], replies[second])
    return rows, replies, results


def table(results: Results) -> str:
    """The figures as a markdown table, one column a voice, each with its 95% interval where it has one."""
    voices = results["voices"]
    n = results["candidates"]
    lines = [f"| {results['prompts']:,} test prompts | " + " | ".join(TITLES[name] for name in voices) + " |"]
    lines.append("|---" * (len(voices) + 1) + "|")
    for key, (title, form, note) in ROWS.items():
        title = " ".join(filter(None, [title.format(n=n), f"({note.format(n=n)})" if note else ""]))
        lines.append(f"| {title} | " + " | ".join(_cell(figures[key], form) for figures in voices.values()) + " |")
    for pair, estimate in results["judge"].items():
        if pair != "name":
            first, second = (TITLES[name] for name in pair.split(" over "))
            lines.append(f"\n{first} preferred to {second} by {results['judge']['name']}: {_cell(estimate, '{:.1%}')}")
    return "\n".join(lines)


def _cell(value: Any, form: str) -> str:
    if isinstance(value, tuple | list):
        return f"{form.format(value[0])} ({form.format(value[1])} to {form.format(value[2])})"
    return form.format(value)


def figure(results: Results, path: Path) -> Path:
    """Draws four panels: perplexity, Hits@1 by PMI, stop rate and distinct-2, with intervals."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = ("perplexity", "hits_pmi", "stop_rate", "distinct_2")
    canvas, axes = plt.subplots(1, len(panels), figsize=(11, 3.2), layout="constrained")
    for axis, key in zip(axes, panels, strict=True):
        title = ROWS[key][0].format(n=results["candidates"]).replace("`", "")
        for place, (name, figures) in enumerate(results["voices"].items()):
            value = figures[key]
            middle, low, high = value if isinstance(value, tuple | list) else (value, value, value)
            axis.bar(place, middle, color=COLOURS[name], width=0.65)
            axis.errorbar(place, middle, [[middle - low], [high - middle]], color="#222", capsize=4, linewidth=1)
        axis.set_xticks(range(len(results["voices"])), [TITLES[name] for name in results["voices"]])
        axis.set_title(title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        if key == "perplexity":
            axis.set_yscale("log")
    canvas.suptitle(f"Base, fine-tuned and DPO on {results['prompts']:,} prompts of unseen films", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=150)
    plt.close(canvas)
    return path


def write_responses(rows: list[dict[str, Any]], replies: dict[str, Any], path: Path) -> Path:
    """Writes one row a prompt: where it is from, the film's own reply, and what each voice answered."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = [
        {
            "prompt": row["prompt"],
            "film_reply": row["completion"][0]["content"],
            **{key: row[key] for key in ("movie_title", "conversation_id", "line_ids")},
            **{name: asdict(voice[index]) for name, voice in replies.items()},
        }
        for index, row in enumerate(rows)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(content), path, compression="zstd")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--size", default="starter")
    parser.add_argument("--base", help="Hub id of the base (default: the starter of the namespace)")
    parser.add_argument("--prompts", type=int, default=2_000)
    parser.add_argument("--distractors", type=int, default=19)
    parser.add_argument("--per-film", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path(".repartee/work"))
    parser.add_argument("--private", action="store_true")
    arguments = vars(parser.parse_args())
    names = Names(arguments.pop("namespace"), arguments.pop("size"))
    base = arguments.pop("base") or names.starter
    adapters = {kind: names.adapter(kind) for kind in ("sft", "dpo")}
    with one_line_errors():
        run(names, base=base, dataset=names.dialogue, adapters=adapters, sampling=Sampling(), **arguments)


if __name__ == "__main__":
    main()
