"""Card check: what the real Hub refuses in the YAML at the head of a README, and what it warns of.

Its own rules are not published as a whole: these are the ones that are documented, or that its clients' tests show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from hub.local.json_shapes import card_data

_NAMES = (
    "apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m "
    "afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 "
    "cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 "
    "cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 "
    "cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl "
    "gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr "
    "mpl-2.0 odc-by odbl openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr "
    "deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 "
    "grok2-community gemma unknown other"
)
LICENSES = tuple(_NAMES.split())
"""As huggingface.co/docs/hub/repositories-licenses lists them; those of models since then from their cards."""
SDKS = ("gradio", "docker", "static", "streamlit")
COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
NO_METADATA = "empty or missing yaml metadata in repo card"
_LANGUAGE = re.compile(r"[a-z]{2,3}|code|multilingual")
_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


def check_card(content: str, type: str) -> tuple[list[str], list[str]]:
    """Errors and warnings of a README, in the real Hub's words where they are known.

    Args:
        content: of the README.
        type: of its repository.
    """
    try:
        card = card_data(content)
    except yaml.YAMLError as error:
        return [" ".join(str(error).split())], []
    errors = [*_general(card), *_results(card.get("model-index")), *(_space(card) if type == "space" else ())]
    return errors, [] if card else [NO_METADATA]


def _general(card: dict[str, Any]) -> Iterator[str]:
    if any(license not in LICENSES for license in _listed(card.get("license"))):
        yield f'"license" must be one of [{", ".join(LICENSES)}]'
    for place, language in enumerate(_listed(card.get("language"))):
        if not (isinstance(language, str) and _LANGUAGE.fullmatch(language)):
            yield (
                f'"language[{place}]" must be an ISO 639-1, 639-2 or 639-3 code (two or three lowercase letters), or '
                '"code" or "multilingual"; BCP-47 identifiers go into language_bcp47'
            )
    for name in ("tags", "datasets", "metrics", "task_categories", "size_categories", "pipeline_tag", "library_name"):
        for place, entry in enumerate(_listed(card.get(name))):
            if not isinstance(entry, str):
                yield f'"{name}[{place}]" must be a string'
    if not isinstance(card.get("tags", []), list | None):
        yield '"tags" must be an array'
    for base in _listed(card.get("base_model")):
        if not (isinstance(base, str) and _ID.fullmatch(base)):
            yield f'"base_model" with value "{base}" is not valid. Use a model id from https://hf.co/models.'


def _results(index: Any) -> Iterator[str]:
    """Errors of a `model-index`: models with results, each with its task, dataset and metrics."""
    if index is None:
        return
    if not isinstance(index, list):
        yield '"model-index" must be an array'
        return
    for m, model in enumerate(index):
        yield from _required(model, f"model-index[{m}]", {"name": str, "results": list})
        for r, result in enumerate(_inside(model, "results")):
            path = f"model-index[{m}].results[{r}]"
            yield from _required(result, path, {"task": dict, "dataset": dict, "metrics": list})
            for part, fields in (("task", {"type": str}), ("dataset", {"type": str, "name": str})):
                if isinstance(result, dict) and isinstance(result.get(part), dict):
                    yield from _required(result[part], f"{path}.{part}", fields)
            for n, metric in enumerate(_inside(result, "metrics")):
                yield from _required(metric, f"{path}.metrics[{n}]", {"type": str, "value": object})


def _required(entry: Any, path: str, fields: Mapping[str, type]) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield f'"{path}" must be of type object'
        return
    for name, kind in fields.items():
        if entry.get(name) is None:
            yield f'"{path}.{name}" is required'
        elif not isinstance(entry[name], kind):
            yield f'"{path}.{name}" must be {_KINDS[kind]}'


_KINDS: dict[type, str] = {str: "a string", list: "an array", dict: "of type object"}


def _space(card: dict[str, Any]) -> Iterator[str]:
    for name, known in (("sdk", SDKS), ("colorFrom", COLORS), ("colorTo", COLORS)):
        if name in card and card[name] not in known:
            yield f'"{name}" must be one of [{", ".join(known)}]'
    if len(str(card.get("short_description") or "")) > 60:
        yield '"short_description" length must be less than or equal to 60 characters long'
    if not isinstance(card.get("pinned", False), bool):
        yield '"pinned" must be a boolean'


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _inside(entry: Any, name: str) -> list[Any]:
    found = entry.get(name) if isinstance(entry, dict) else None
    return found if isinstance(found, list) else []
