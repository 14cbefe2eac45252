"""Model index: a model's evaluation results in its card's metadata (`model-index`), and as a table for readers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hub.lineage import REPORT, Input, file_hashes
from hub.names import HUB

BEGIN, END = "<!-- results -->", "<!-- /results -->"


def publish_report(evaluation: str, revision: str, files: Mapping[str, bytes]) -> str | None:
    """Puts a report beside an evaluation set, in one commit on `revision`; returns it, or None for no change.

    Args:
        evaluation: Hub id of the evaluation set.
        revision: the full commit that the report is about.
        files: the whole of the report's folder, and the card. Older files of the folder are deleted.

    Raises:
        HfHubHTTPError: the Hub refused, or somebody else committed meanwhile.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    from hub.publish import plan_commit

    info = HfApi().repo_info(evaluation, repo_type="dataset", revision=revision, files_metadata=True)
    present = {path: name for path, name in file_hashes(info).items() if path in files or path.startswith(REPORT)}
    plan = plan_commit([CommitOperationAdd(path, content) for path, content in files.items()], present)
    if not plan.operations:
        return None
    commit = HfApi().create_commit(
        evaluation, plan.operations, commit_message="Report", repo_type="dataset", parent_commit=revision
    )
    return commit.oid


def model_index(repo: str, dataset: Input, metrics: Mapping[str, float], evaluation: str) -> dict[str, Any]:
    """The metadata that makes the Hub show a model's results.

    Args:
        repo: Hub id of the model.
        dataset: the dialogue dataset, as pinned, on whose test split they were measured.
        metrics: value by name, as in the results table.
        evaluation: the published evaluation set that holds every response.
    """
    from huggingface_hub import EvalResult

    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type=dataset.repo,
            dataset_name=dataset.repo.split("/")[-1],
            dataset_config="pairs",
            dataset_split="test",
            dataset_revision=dataset.revision,
            metric_type=re.sub(r"\W+", "_", name.lower()).strip("_"),
            metric_name=name,
            metric_value=value,
            source_name=evaluation,
            source_url=f"{HUB}/datasets/{evaluation}",
        )
        for name, value in metrics.items()
    ]
    return {"model_name": repo.split("/")[-1], "eval_results": results}


def with_results(card: str, index: dict[str, Any], table: str) -> str:
    """A model card with these results in its metadata and between its two marks, in place of any older ones.

    Raises ValueError where the card has no place for them.
    """
    from huggingface_hub import ModelCard, ModelCardData

    made: Any = ModelCard(replace_between_marks(card, f"## Results\n\n{table}"))
    made.data = ModelCardData(**{**made.data.to_dict(), "model-index": None}, **index)
    return str(made)


def replace_between_marks(card: str, text: str) -> str:
    """A card with a text between its two marks, in place of what stood there.

    Raises ValueError where the card has no such marks.
    """
    if BEGIN not in card or END not in card:
        raise ValueError(f"the card has no {BEGIN} ... {END}")
    before, _, rest = card.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}"


def publish_results(repo: str, revision: str, index: dict[str, Any], table: str) -> str | None:
    """Puts results into the card of the model that was measured, in one commit; returns it, or None for no change.

    A card alone makes nothing stale. A model that has changed since `revision` keeps its card: the results are not its
    own. So does a public model where the evaluation is private.

    Raises:
        HfHubHTTPError: the Hub refused, or somebody else committed meanwhile.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download

    from hub.lineage import pin
    from hub.write_access import is_private

    now = pin(repo, "model")
    if now.content != pin(repo, "model", revision).content:
        print(f"{repo} has changed since it was measured: its card is left as it is", flush=True)
        return None
    evaluation = index["eval_results"][0].source_name
    if is_private(evaluation, "dataset") and not is_private(repo, "model"):
        print(f"{evaluation} is private and {repo} is public: its card is left as it is", flush=True)
        return None
    with open(hf_hub_download(repo, "README.md", revision=now.revision), encoding="utf-8") as file:
        old = file.read()
    if BEGIN not in old or (new := with_results(old, index, table)) == old:
        return None
    commit = HfApi().create_commit(
        repo,
        [CommitOperationAdd("README.md", new.encode())],
        commit_message="Results",
        parent_commit=now.revision,
    )
    print(f"results in the card of {repo}@{commit.oid}", flush=True)
    return commit.oid
