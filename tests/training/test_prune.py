"""A pruned family: published once with its lineage, and taken by engine, checks and GGUF as any other family."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import HfApi, hf_hub_download

from hub.errors import UserError
from hub.lineage import Lineage, fetch_lineage, pin
from hub.publish import publish
from space.pinned_models import find_models
from space.settings import Settings
from tests.support.models import random_adapter, starter_tokenizer
from training.base.pruned_base import prompt_replies
from training.base.publish import publish_base
from training.data.encode import published_pairs
from training.data.prepare import prepare_dataset
from training.prune import pruned_names, publish_pruned
from training.recipe import load
from training.stage import base_input


@pytest.fixture
def family(namespace, starter, tmp_path):
    """Publishes the starter, the pairs of the sample, and adapters of these kinds that change it a little."""

    def made(*kinds, **lora):
        recipe = load("training/recipes/starter.yaml", [f"hub.namespace={namespace}", "prune.pairs=8"])
        publish_base(recipe, tmp_path)
        prepare_dataset(recipe, tmp_path)
        inputs = (base_input(recipe), pin(recipe.names.dialogue, "dataset"))
        for seed, kind in enumerate(kinds):
            folder = Path(random_adapter(starter, tmp_path / kind, seed, **{"lora_alpha": 1, "r": 16, **lora}))
            config = json.loads((folder / "adapter_config.json").read_text())
            config |= {"base_model_name_or_path": inputs[0].repo, "revision": inputs[0].revision}
            (folder / "adapter_config.json").write_text(json.dumps(config))
            generation = {"do_sample": True, "temperature": 0.9, "eos_token_id": [2, 0], "pad_token_id": 0}
            (folder / "generation_config.json").write_text(json.dumps({**generation, "max_new_tokens": 64}))
            (folder / "losses.png").write_bytes(b"png")
            files = {path.name: path for path in folder.iterdir()}
            facts = {"context_turns": 2, "minutes": 2.5}
            lineage = Lineage(kind, {"model": {"lora": {"train_chat_tokens": True}}}, inputs, facts)
            publish(recipe.names.adapter(kind), "model", files, lineage, kind)
        return recipe

    return made


def content(repo, path):
    return Path(hf_hub_download(repo, path)).read_bytes()


def replies(names, prompts):
    """Greedy replies of all variants of a family, by the page's engine in float32."""
    import torch

    from chat.engine.local import LocalEngine
    from chat.sampling import Sampling
    from chat.variants import load_variants

    models = find_models(Settings(names.namespace, size=names.size))
    variants = load_variants(models.base, models.adapters, dtype=torch.float32)
    assert variants.context_turns == 2
    found = []
    with closing(LocalEngine(variants, "float32")) as engine:
        for prompt in prompts:
            rows = [prompt] * len(engine.names)
            *_, last = engine.stream(rows, list(engine.names), Sampling(temperature=0, max_new_tokens=12))
            found += [partial.text for partial in last]
    return found


def test_the_family_answers_as_the_whole_one(family, tmp_path, capsys):
    recipe = family("sft", "dpo")
    base = publish_pruned(recipe, tmp_path)
    small = pruned_names(recipe)
    assert small.size == "starter-pruned"
    vocabulary = json.loads(content(small.base, "tokenizer.json"))["model"]["vocab"]
    assert len(vocabulary) == json.loads(content(small.base, "config.json"))["vocab_size"] < 8192
    pairs = prompt_replies(published_pairs(pin(recipe.names.dialogue, "dataset"), 8, 1))  # all of kept tokens
    before, after = (replies(names, [prompt for prompt, _ in pairs]) for names in (recipe.names, small))
    said = [set(starter_tokenizer().tokenize(text)) for text in before]
    spelled = [place for place, tokens in enumerate(said) if tokens <= vocabulary.keys()]
    assert len(spelled) >= 8
    assert [after[place] for place in spelled] == [before[place] for place in spelled]

    made = fetch_lineage(small.base, "model")[1]
    assert made.inputs == (base_input(recipe), pin(recipe.names.dialogue, "dataset"))
    assert made.facts["rights"] == fetch_lineage(recipe.names.base, "model")[1].facts["rights"]
    whole, less = (made.facts[f"nats per byte, {name}"] for name in ("whole", "pruned vocabulary"))
    assert 0.9 * whole < less < 1.3 * whole  # of films in which every tenth word is spelled by pieces
    for kind in ("sft", "dpo"):
        ours, theirs = small.adapter(kind), recipe.names.adapter(kind)
        for path in ("adapter_model.safetensors", "losses.png"):
            assert content(ours, path) == content(theirs, path)
        config = json.loads(content(ours, "adapter_config.json"))
        assert (config["base_model_name_or_path"], config["revision"]) == (small.base, base)
        assert config["trainable_token_indices"] == {
            "embed_tokens": [vocabulary["<|im_start|>"], vocabulary["<|im_end|>"]]
        }
        stops = json.loads(content(ours, "generation_config.json"))["eos_token_id"]
        assert stops == [vocabulary["<|im_end|>"], vocabulary["<|endoftext|>"]]
        assert [source.repo for source in fetch_lineage(ours, "model")[1].inputs[:2]] == [small.base, theirs]
        card = content(ours, "README.md").decode()
        assert f"[{small.base}](/{small.base})" in card
        assert f"- {recipe.names.dialogue}\n" in card
    assert "Nothing was trained" in content(small.base, "README.md").decode()
    capsys.readouterr()
    assert publish_pruned(recipe, tmp_path) == base
    said = capsys.readouterr().out
    assert said.count("up to date") == 3
    assert "published" not in said


def test_training_and_gguf_take_the_pruned_base(family, tmp_path):
    from gguf import GGUFReader

    from hub.gguf.export import gguf_task, write_files
    from training.base.check import check_base

    recipe = family("sft")
    base = publish_pruned(recipe, tmp_path)
    small = pruned_names(recipe)
    other = load("training/recipes/starter.yaml", [f"model.base={small.base}", f"model.size={small.size}"])
    check_base(small.base, base, other)
    files = write_files(gguf_task(small, "sft", ["q8_0"]), "sft", ["q8_0"], tmp_path)
    reader = GGUFReader(files["repartee-starter-pruned-sft-Q8_0.gguf"])
    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    vocabulary = json.loads(content(small.base, "tokenizer.json"))["model"]["vocab"]
    assert {token: index for index, token in enumerate(tokens)} == vocabulary
    rows = next(tensor for tensor in reader.tensors if tensor.name == "token_embd.weight")
    assert rows.shape.tolist() == [384, len(vocabulary)]


def test_what_was_trained_on_the_pruned_base_is_left_alone(family, tmp_path, capsys):
    recipe = family("sft")
    small = pruned_names(recipe)
    publish(small.adapter("sft"), "model", {"a.txt": b"a"}, Lineage("sft", {}, ()), "trained")
    publish_pruned(recipe, tmp_path)
    assert content(small.adapter("sft"), "a.txt") == b"a"
    assert "trained on the pruned base itself: left as it is" in capsys.readouterr().out


def test_layers_are_removed_and_no_adapter_moved(family, tmp_path):
    from transformers import AutoModelForCausalLM

    recipe = family("sft")
    recipe = replace(recipe, prune=replace(recipe.prune, layers=2, pairs=3))
    publish_pruned(recipe, tmp_path)
    small = pruned_names(recipe)
    assert small.size == "starter-pruned-minus2"
    model = AutoModelForCausalLM.from_pretrained(small.base)
    before = json.loads(content(recipe.names.base, "config.json"))["num_hidden_layers"]
    assert len(model.model.layers) == model.config.num_hidden_layers == before - 2
    assert model.generate(max_new_tokens=4).shape[1] > 1
    assert len([name for name in fetch_lineage(small.base, "model")[1].facts if "without layer" in name]) == 2
    assert not HfApi().repo_exists(small.adapter("sft"))
    too_many = replace(recipe, prune=replace(recipe.prune, layers=before))
    with pytest.raises(UserError, match=f"prune.layers is {before}, and .* has {before} layers to go by; take fewer"):
        publish_pruned(too_many, tmp_path)
