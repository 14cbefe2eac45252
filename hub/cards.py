"""Model and dataset cards: jinja templates in `hub/templates`, metadata checked by huggingface_hub's classes.

Links to other repositories are relative (`/datasets/NAME`): right on whichever Hub a card is published.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hub.lineage import Lineage

TEMPLATES = Path(__file__).with_name("templates")
TAGS = ["repartee", "dialogue", "film", "chatml"]


def model_card(template: str, metadata: dict[str, Any], **values: Any) -> str:
    """Renders a model card.

    Args:
        template: name of a file of hub/templates, without its ending.
        metadata: fields of the front matter; `license` and `library_name` must be among them.
        values: what the template asks for, in the comment at its top.

    Raises:
        ValueError: the metadata are not complete.
        jinja2.UndefinedError: the template asks for a value that is not given.
    """
    from huggingface_hub import ModelCard, ModelCardData

    metadata = _complete(metadata, "license", "library_name")
    data = ModelCardData(**metadata, pipeline_tag="text-generation")
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{_render(template, values)}"))


def dataset_card(template: str, metadata: dict[str, Any], **values: Any) -> str:
    """Renders a dataset card, as `model_card`; `license`, `pretty_name` and `configs` must be among the metadata."""
    from huggingface_hub import DatasetCard, DatasetCardData

    metadata = _complete(metadata, "license", "pretty_name", "configs")
    data = DatasetCardData(**metadata, task_categories=["text-generation"])
    return str(DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{_render(template, values)}"))


def space_card(metadata: dict[str, Any], template: str = "space", **values: Any) -> str:
    """Renders the README of a Space; `sdk` and `app_file` must be among the metadata, of Gradio's `sdk_version` too."""
    from huggingface_hub import SpaceCard, SpaceCardData

    required = ["sdk", "app_file"] + (["sdk_version"] if metadata.get("sdk") != "static" else [])
    if missing := [name for name in required if not metadata.get(name)]:
        raise ValueError(f"a card without {' and '.join(missing)}")
    return str(SpaceCard(f"---\n{SpaceCardData(**metadata).to_yaml()}\n---\n\n{_render(template, values)}"))


def _complete(metadata: dict[str, Any], *required: str) -> dict[str, Any]:
    if missing := [name for name in required if not metadata.get(name)]:
        raise ValueError(f"a card without {' and '.join(missing)}")
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
    environment.globals["lineage_links"] = lineage_links
    environment.filters["thousands"] = lambda value: f"{value:,}" if isinstance(value, int) else value
    environment.filters["inline"] = inline
    environment.filters["json"] = lambda value: json.dumps(value, indent=2, sort_keys=True, default=str)
    return environment.get_template(f"{template}.md.jinja").render(**values)


def inline(text: str) -> str:
    """Text that somebody else wrote (a film, a model) as one line of markdown that shows it and does nothing else."""
    return re.sub(r"([\\`*_\[\]<>|#~$])", r"\\\1", " ".join(text.split()))


def lineage_links(lineage: Lineage) -> str:
    """The inputs of an artifact as markdown links to their exact commits."""
    lines = []
    for source in lineage.inputs:
        if source.type == "file":
            lines.append(f"- {source.repo}, sha256 `{source.revision}`")
        else:
            prefix = "" if source.type == "model" else f"{source.type}s/"
            address = f"/{prefix}{source.repo}/tree/{source.revision}"
            lines.append(f"- {source.type} [{source.repo}@{source.revision[:12]}]({address}) (`{source.revision}`)")
    return "\n".join(lines) or "- none"
