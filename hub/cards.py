"""Cards: jinja templates in `hub/templates`, metadata checked by huggingface_hub's own card classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.lineage import Lineage

TEMPLATES = Path(__file__).with_name("templates")
TAGS = ["repartee", "dialogue", "film", "chatml"]
CORPUS_LICENCE = {"license": "other", "license_name": "cornell-movie-dialogs-no-formal-licence"}
QWEN_RESEARCH = {
    "license": "other",
    "license_name": "qwen-research",
    "license_link": "https://huggingface.co/Qwen/Qwen2.5-3B/blob/main/LICENSE",
}


def licence_of(base: str) -> dict[str, str]:
    """The licence fields that an adapter inherits from its base: Qwen 2.5 is Apache-2.0 but for the 3B (and 72B)."""
    if "Qwen2.5-3B" in base or "Qwen2.5-72B" in base:
        return QWEN_RESEARCH
    return {"license": "apache-2.0"} if "Qwen2.5" in base else CORPUS_LICENCE


def model_card(template: str, metadata: dict[str, Any], **values: Any) -> str:
    """Renders a model card.

    Raises:
        jinja2.UndefinedError: the template asks for a value that is not given.
    """
    from huggingface_hub import ModelCard, ModelCardData

    data = ModelCardData(**_common(metadata), pipeline_tag="text-generation")
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{_render(template, values)}"))


def dataset_card(template: str, metadata: dict[str, Any], **values: Any) -> str:
    """Renders a dataset card; errors as `model_card`."""
    from huggingface_hub import DatasetCard, DatasetCardData

    data = DatasetCardData(**CORPUS_LICENCE, **_common(metadata), task_categories=["text-generation"])
    return str(DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{_render(template, values)}"))


def _common(metadata: dict[str, Any]) -> dict[str, Any]:
    return {"language": ["en"], **metadata, "tags": [*TAGS, *metadata.get("tags", [])]}


def _render(template: str, values: dict[str, Any]) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["thousands"] = lambda value: f"{value:,}" if isinstance(value, int) else value
    return environment.get_template(f"{template}.md.jinja").render(**values, lineage_links=lineage_links)


def lineage_links(lineage: Lineage) -> str:
    """The inputs of an artifact as markdown links to their exact commits."""
    from huggingface_hub.constants import ENDPOINT

    lines = []
    for source in lineage.inputs:
        if source.type == "file":
            lines.append(f"- {source.repo}, sha256 `{source.revision}`")
        else:
            prefix = "" if source.type == "model" else f"{source.type}s/"
            address = f"{ENDPOINT}/{prefix}{source.repo}/tree/{source.revision}"
            lines.append(f"- {source.type} [{source.repo}@{source.revision[:12]}]({address}) (`{source.revision}`)")
    return "\n".join(lines) or "- none"
