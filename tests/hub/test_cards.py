"""Cards: checked by huggingface_hub's own classes, complete, and loud about what is missing."""

import jinja2
import pytest
from huggingface_hub import DatasetCard, ModelCard

from hub.cards import dataset_card, licence_of, model_card
from hub.lineage import Input, Lineage

LINEAGE = Lineage("sft", {"a": 1}, (Input("ns/base", "model", "b" * 40, "c"), Input("corpus", "file", "d" * 64, "d")))
ADAPTER = {
    "repo": "ns/repartee-starter-sft",
    "kind": "sft",
    "base": "ns/base",
    "system_prompt": "Answer.",
    "facts": {"steps": 1200},
    "settings": {"lora": {"r": 8}},
    "results": "",
    "lineage": LINEAGE,
}


def test_an_adapter_card_is_whole():
    metadata = {
        **licence_of("Qwen/Qwen2.5-3B"),
        "base_model": "Qwen/Qwen2.5-3B",
        "library_name": "peft",
        "tags": ["sft"],
    }
    card = ModelCard(model_card("adapter", metadata, **ADAPTER))
    assert (card.data.license, card.data.license_name) == ("other", "qwen-research")
    assert card.data.base_model == "Qwen/Qwen2.5-3B"
    assert {"repartee", "sft"} <= set(card.data.tags)
    for part in ("1,200", "b" * 40, "d" * 64, "AutoPeftModelForCausalLM", "bibtex", "no formal licence"):
        assert part in card.text.replace("no\nformal licence", "no formal licence"), part


def test_licences():
    assert licence_of("Qwen/Qwen2.5-0.5B") == licence_of("Qwen/Qwen2.5-1.5B") == {"license": "apache-2.0"}
    assert licence_of("Qwen/Qwen2.5-3B")["license_name"] == "qwen-research"
    assert licence_of("ns/repartee-starter")["license"] == "other"


def test_a_dataset_card_names_its_configs():
    configs = [{"config_name": "pairs", "data_files": [{"split": "train", "path": "pairs/train.parquet"}]}]
    card = DatasetCard(
        dataset_card(
            "dialogue",
            {"pretty_name": "x", "configs": configs},
            repo="ns/d",
            counts={"lines": 304713},
            split_by="film",
            salt="s",
            context_turns=1,
            system_prompt="Answer.",
            lineage=LINEAGE,
        )
    )
    assert card.data.to_dict()["configs"] == configs
    assert "304,713" in card.text


def test_a_missing_value_is_an_error():
    values = {key: value for key, value in ADAPTER.items() if key != "system_prompt"}
    with pytest.raises(jinja2.UndefinedError, match="system_prompt"):
        model_card("adapter", {}, **values)
