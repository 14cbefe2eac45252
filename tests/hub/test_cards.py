"""Cards: checked by huggingface_hub's own classes, complete, and loud about what is missing."""

import jinja2
import pytest
from huggingface_hub import DatasetCard, ModelCard

from hub.cards import dataset_card, inline, model_card
from tests.support.cards import ADAPTER, CITATION, CONFIGS, DATASET, LINEAGE, METADATA, PREFERENCES, adapter, words


def test_an_adapter_card_is_whole():
    card = adapter()
    assert card.data.to_dict() == {
        "base_model": "Qwen/Qwen2.5-3B",
        "base_model_relation": "adapter",
        "datasets": ["ns/repartee-dialogue"],
        "language": ["en"],
        "library_name": "peft",
        "license": "other",
        "license_name": "qwen-research",
        "license_link": "https://huggingface.co/Qwen/Qwen2.5-3B/blob/main/LICENSE",
        "pipeline_tag": "text-generation",
        "tags": ["repartee", "dialogue", "film", "chatml", "trl", "sft"],
    }
    for part in (
        "| steps | 1,200 |",
        "d" * 64,
        "without a formal licence",
        "@book{films}",
        "Built with Qwen",
        "It's <b>",
    ):
        assert part in words(card), part
    assert "**non-commercial**" in card.text
    assert "## Results" not in card.text
    assert "](/Qwen/Qwen2.5-3B)" in card.text


def test_an_adapter_with_trained_tokens_says_what_servers_take_instead():
    assert "training.merge" not in adapter().text
    settings = {"model": {"lora": {"train_chat_tokens": True}}}
    card = ModelCard(model_card("adapter", METADATA, **(ADAPTER | {"settings": settings})))
    assert "`python -m training.merge sft` publishes it as `ns/repartee-starter-sft-merged`" in words(card)


def test_an_adapter_of_a_base_with_its_own_chat_format_says_how_it_is_asked():
    facts = ADAPTER["facts"] | {"end of turn": "<eot>", "system message": "before the first user turn"}
    told = words(ModelCard(model_card("adapter", METADATA, **ADAPTER | {"facts": facts})))
    assert "stops at <eot>" in told
    assert "A reply ends with `<eot>`" in told
    assert "has no system role: the system message goes before the first user turn" in told
    assert "<|im_end|>" not in told
    assert "system role" not in words(ModelCard(model_card("adapter", METADATA, **ADAPTER)))


def test_lineage_links_lead_to_the_exact_commits_on_whichever_hub():
    text = adapter().text
    assert f"[ns/base@{'b' * 12}](/ns/base/tree/{'b' * 40})" in text
    assert f"[ns/data@{'e' * 12}](/datasets/ns/data/tree/{'e' * 40})" in text


def test_the_starter_card_names_its_corpus():
    metadata = {"license": "mit", "library_name": "transformers"}
    values = {"corpus": "the Corpus of Films", "training": {"minutes": 62}, "citations": [CITATION]}
    card = ModelCard(model_card("starter", metadata, repo="ns/s", lineage=LINEAGE, **values))
    assert "films of the Corpus of Films, as plain lines" in words(card)
    assert "without a formal licence" in words(card)


def test_a_dataset_card_states_licence_and_sources():
    card = DatasetCard(dataset_card("preferences", DATASET, **PREFERENCES))
    assert card.data.to_dict()["configs"] == CONFIGS
    assert (card.data.license, card.data.task_categories) == ("mit", ["text-generation"])
    assert "## Licence and citation of the source" in card.text
    assert "citation" not in dataset_card("preferences", DATASET, **PREFERENCES | {"citations": []})


@pytest.mark.parametrize(("judge", "terms"), [("PMI under the base model", False), ("some-model-4", True)])
def test_the_judge_is_named_and_its_providers_terms_stated(judge, terms):
    facts = PREFERENCES["facts"] | {"judge": judge, "embedded": not terms}
    card = DatasetCard(dataset_card("preferences", DATASET, **PREFERENCES | {"facts": facts}))
    assert f"The judge is **{judge}**" in card.text
    assert (f"terms of the provider of {judge}" in words(card)) == terms


def test_a_preference_card_tells_of_biases_costs_and_a_second_judge():
    second = {"judge": "other", "pairs": 1234, "raw": 0.8, "kappa": 0.6}
    facts = {"mode": "no temperature", "cost": "m: 5 calls, $0.01", "agreement": second, "judge": "m"}
    text = words(
        DatasetCard(dataset_card("preferences", DATASET, **PREFERENCES | {"facts": PREFERENCES["facts"] | facts}))
    )
    assert "The judge is **m** (no temperature)." in text
    assert "The reply shown first won in 50.0% (48.0 to 52.0) of all judgements" in text
    assert "The longer reply won in 56.1% (54.0 to 58.0)" in text
    assert "A second judge, other, preferred the same reply in 80.0% of 1,234 pairs (Cohen's kappa 0.60)" in text
    assert "Asked: m: 5 calls, $0.01." in text
    assert "Words that repeat the prompt: 12.2% of the chosen replies', 5.3% of the rejected ones'." in text
    assert "## The judge's qualification" in text
    assert "| shuffled | 72.0% | **QUALIFIED**" in text
    film = PREFERENCES["facts"] | {"judge": "the film (its own reply)", "first_wins": None, "echo": None}
    values = PREFERENCES | {"facts": film, "qualification": None}
    text = words(DatasetCard(dataset_card("preferences", DATASET, **values)))
    assert "qualification" not in text
    assert "repeat the prompt" not in text
    assert "one the film's own and one sampled" in text
    assert "provider of" not in text


def test_what_a_model_wrote_stays_text():
    text = DatasetCard(dataset_card("preferences", DATASET, **PREFERENCES)).text
    assert r"- **\*Run\* \# away**" in text
    assert r"chosen: \<b\>Why?\</b\>" in text
    assert "[x](" not in text
    assert inline("a\n\n| b") == r"a \| b"


def test_an_evaluation_card():
    values = {
        "table": "| x |",
        "prompts": 2000,
        "command": "python -m eval.evaluation",
        "costs": {},
        "citations": [],
        "lineage": LINEAGE,
    }
    text = dataset_card("evaluation", DATASET, repo="ns/e", **values)
    assert "2,000 prompts" in text
    assert "Estimated, spent" not in text
    values["costs"] = {"sft": {"estimated": 2.04, "spent": 3}, "dpo": {"spent": 1.25}}
    rows = dataset_card("evaluation", DATASET, repo="ns/e", **values).splitlines()
    assert rows[rows.index("| sft | 2.0 | 3.0 |") + 1] == "| dpo |  | 1.2 |"


@pytest.mark.parametrize("name", ADAPTER)
def test_a_missing_value_is_an_error(name):
    values = {key: value for key, value in ADAPTER.items() if key != name}
    with pytest.raises(jinja2.UndefinedError, match=name):
        model_card("adapter", METADATA, **values)


@pytest.mark.parametrize("name", METADATA)
def test_missing_metadata_are_an_error(name):
    with pytest.raises(ValueError, match=name):
        model_card("adapter", METADATA | {name: ""}, **ADAPTER)
    with pytest.raises(ValueError, match="configs"):
        dataset_card("preferences", {"pretty_name": "x", "license": "mit"}, **PREFERENCES)
