"""Cards: checked by huggingface_hub's own classes, complete, loud about what is missing, with snippets that run."""

import re

import jinja2
import pytest
from huggingface_hub import DatasetCard, ModelCard
from huggingface_hub.constants import ENDPOINT

from hub.cards import dataset_card, inline, model_card
from hub.lineage import Input, Lineage
from hub.model_index import model_index, publish_results, with_results
from hub.parquet import size_category
from hub.publish import publish
from hub.rights import APACHE, UNKNOWN, Citation, Rights, combine_rights, note, of_base, stated

LINEAGE = Lineage(
    "sft",
    {"a": 1},
    (
        Input("ns/base", "model", "b" * 40, "c"),
        Input("ns/data", "dataset", "e" * 40, "c"),
        Input("corpus", "file", "d" * 64, "d"),
    ),
)
CITATION = Citation("Corpus of Films", "It comes without a formal licence.", "@book{films}")
ADAPTER = {
    "repo": "ns/repartee-starter-sft",
    "kind": "sft",
    "base": "ns/repartee-starter",
    "system_prompt": "Answer.",
    "facts": {"steps": 1200},
    "settings": {"lora": {"r": 8}, "prompt": "It's <b>"},
    "rights_note": "You may.",
    "citations": [CITATION],
    "lineage": LINEAGE,
}
METADATA = {"license": "apache-2.0", "library_name": "peft"}
CONFIGS = [{"config_name": "pairs", "data_files": [{"split": "train", "path": "pairs/train.parquet"}], "default": True}]
DATASET = {"license": "mit", "pretty_name": "x", "configs": CONFIGS}
PREFERENCES = {
    "repo": "ns/p",
    "facts": {
        "counts": {"judged pairs": 20_000},
        "judge": "PMI under the base model",
        "mode": None,
        "first_wins": {"value": 0.5, "low": 0.48, "high": 0.52},
        "longer_wins": {"value": 0.561, "low": 0.54, "high": 0.58},
        "cost": None,
        "agreement": None,
    },
    "samples": [
        {
            "prompt": [{"role": "user", "content": "*Run*\n# away"}],
            "chosen": [{"role": "assistant", "content": "<b>Why?</b>"}],
            "rejected": [{"role": "assistant", "content": "[x](http://evil)"}],
        }
    ],
    "settings": {},
    "citations": [CITATION],
    "lineage": LINEAGE,
}


def adapter(base: str = "Qwen/Qwen2.5-3B", **metadata) -> ModelCard:
    rights = of_base(Input(base, "model", "b" * 40, "c"))
    fields = {
        **rights.license,
        "library_name": "peft",
        "base_model": base,
        "base_model_relation": "adapter",
        "datasets": ["ns/repartee-dialogue"],
        "tags": ["trl", "sft"],
    }
    values = ADAPTER | {"base": base, "rights_note": note(rights)}
    return ModelCard(model_card("adapter", fields | metadata, **values))


def words(card: ModelCard | DatasetCard) -> str:
    return " ".join(card.text.split())


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
    assert f"]({ENDPOINT}/Qwen/Qwen2.5-3B)" in card.text


def test_an_adapter_with_trained_tokens_says_what_servers_take_instead():
    assert "training.merge" not in adapter().text
    settings = {"model": {"lora": {"train_chat_tokens": True}}}
    card = ModelCard(model_card("adapter", METADATA, **(ADAPTER | {"settings": settings})))
    assert "`python -m training.merge sft` publishes it as `ns/repartee-starter-sft-merged`" in words(card)


def test_lineage_links_lead_to_the_exact_commits_on_this_hub():
    text = adapter().text
    assert f"[ns/base@{'b' * 12}]({ENDPOINT}/ns/base/tree/{'b' * 40})" in text
    assert f"[ns/data@{'e' * 12}]({ENDPOINT}/datasets/ns/data/tree/{'e' * 40})" in text


def test_results_go_to_the_text_and_to_the_model_index():
    index = model_index("ns/m", LINEAGE.inputs[1], {"Hits@1/20 by PMI": 0.25}, "ns/evaluation")
    once = with_results(str(adapter()), index, "| a | b |")
    assert with_results(once, index, "| a | b |") == once
    card = ModelCard(with_results(once, index, "| c | d |"))
    assert card.text.count("## Results") == 1
    assert "| c | d |" in card.text
    assert "| a | b |" not in card.text
    assert "Intended use" in card.text
    with pytest.raises(ValueError, match="no <!-- results"):
        with_results("---\nlicense: mit\n---\n# Other", index, "")
    [result] = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("hits_1_20_by_pmi", 0.25)
    assert (result.dataset_type, result.dataset_revision, result.dataset_split) == ("ns/data", "e" * 40, "test")
    assert result.source_url == f"{ENDPOINT}/datasets/ns/evaluation"


def test_results_are_those_of_the_weights_that_were_measured(namespace, capsys):
    from hub.lineage import pin

    repo = f"{namespace}/adapter"
    card = {"README.md": str(adapter()).encode()}
    measured = publish(repo, "model", {"w.safetensors": b"1", **card}, LINEAGE, "one")
    index = model_index(repo, LINEAGE.inputs[1], {"Perplexity": 48.7}, "ns/evaluation")
    assert publish_results(repo, measured, index, "| 48.7 |")
    assert publish_results(repo, measured, index, "| 48.7 |") is None
    assert pin(repo, "model").content == pin(repo, "model", measured).content
    assert ModelCard.load(repo).data.eval_results[0].metric_value == 48.7
    publish(repo, "model", {"w.safetensors": b"2", **card}, LINEAGE, "two")
    assert publish_results(repo, measured, index, "| 48.7 |") is None
    assert "has changed since it was measured" in capsys.readouterr().out
    assert "48.7" not in ModelCard.load(repo).text


@pytest.mark.parametrize(
    ("base", "licence"),
    [
        ("Qwen/Qwen2.5-0.5B", "apache-2.0"),
        ("Qwen/Qwen2.5-1.5B", "apache-2.0"),
        ("Qwen/Qwen2.5-3B", "qwen-research"),
        ("unsloth/qwen2.5-3b-bnb-4bit", "qwen-research"),
        ("Qwen/Qwen2.5-72B", "as-the-base-model"),
        ("somebody/else", "as-the-base-model"),
    ],
)
def test_an_adapter_inherits_the_licence_of_its_base(hub_url, base, licence):
    fields = of_base(Input(base, "model", "b" * 40, "c")).license
    assert fields.get("license_name", fields["license"]) == licence
    assert ("license_link" in fields) == (fields["license"] == "other")


def test_rights_are_handed_on_from_a_base_of_ours(namespace):
    rights = Rights({"license": "other", "license_name": "films", "license_link": "http://films"}, (CITATION,))
    lineage = Lineage("base", {}, (), facts={"rights": rights.as_fact()})
    revision = publish(f"{namespace}/base", "model", {}, lineage, "base")
    assert of_base(Input(f"{namespace}/base", "model", revision, "c")) == rights
    assert note(rights) == (
        "The base was trained on the Corpus of Films, and inherits what is said of it below; so does this adapter."
    )


def test_rights_of_several_sources_name_a_licence_only_where_they_agree():
    other = Citation("Other", "Free.", "@book{other}")
    one, two, three = Rights(APACHE, (CITATION,)), Rights(APACHE, (other, CITATION)), Rights({"license": "mit"})
    assert combine_rights([one, two]) == Rights(APACHE, (CITATION, other))
    assert combine_rights([one, three]) == Rights(UNKNOWN.license, (CITATION,))
    assert stated(one.as_fact()) == one
    assert stated(None) == UNKNOWN


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
    facts = PREFERENCES["facts"] | {"judge": judge}
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
    film = PREFERENCES["facts"] | {"judge": "the film (its own reply)", "first_wins": None}
    text = words(DatasetCard(dataset_card("preferences", DATASET, **PREFERENCES | {"facts": film})))
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
        "citations": [],
        "lineage": LINEAGE,
    }
    assert "2,000 prompts" in dataset_card("evaluation", DATASET, repo="ns/e", **values)


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


def test_size_categories():
    assert [size_category(rows) for rows in (999, 1000, 220_000, 10**7)] == ["n<1K", "1K<n<10K", "100K<n<1M", "n>10M"]


def test_the_snippet_of_an_adapter_card_runs_and_its_reply_ends(namespace, starter, tmp_path):
    """Pasted, as a reader would. The model says nothing but <|im_end|>, so a reply that goes on has missed the stop."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    from chat.template import configure_tokenizer
    from training.finetune.loading import save_adapter

    base, repo = f"{namespace}/base", f"{namespace}/adapter"
    tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(starter))
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = Qwen2Config(**sizes, num_key_value_heads=1, vocab_size=len(tokenizer), tie_word_embeddings=False)
    config.eos_token_id = config.bos_token_id = config.pad_token_id = tokenizer.pad_token_id  # as a base model has it
    model = Qwen2ForCausalLM(config)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    for parameter in (model.model.embed_tokens.weight, model.model.norm.weight):
        torch.nn.init.ones_(parameter)
    with torch.no_grad():
        model.lm_head.weight[tokenizer.eos_token_id] = 1
    model.save_pretrained(tmp_path / "base")
    files = {file.name: file for file in (tmp_path / "base").iterdir()}
    publish(base, "model", files, LINEAGE, "base")
    tuned = get_peft_model(Qwen2ForCausalLM.from_pretrained(base), LoraConfig(r=1, target_modules=["q_proj"]))
    card = model_card("adapter", METADATA, **ADAPTER | {"repo": repo, "base": base})
    publish(repo, "model", save_adapter(tuned, tokenizer, tmp_path / "a") | {"README.md": card.encode()}, LINEAGE, "a")

    code = re.search(r"```python\n(.*?)```", ModelCard.load(repo).text, re.DOTALL)
    assert code
    left: dict = {}
    exec(code[1], left)
    reply = left["reply"][0, left["prompt"]["input_ids"].shape[1] :]
    assert reply.tolist() == [tokenizer.eos_token_id]
