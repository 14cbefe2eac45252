"""Foreign adapters: what cannot answer beside the base is one line that names the variant, never a traceback."""

import json
import shutil
from pathlib import Path

import pytest
from peft import IA3Config, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from chat.adapter_check import AdapterError
from chat.variants import load_variants
from hub.errors import explain
from tests.support.models import random_adapter, refs, tiny_model


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_model("llama", tmp_path_factory.mktemp("base"))


def refused(base, sft, dpo=None):
    """The one line that a person reads."""
    from chat.variants import ModelRef

    with pytest.raises(AdapterError) as caught:
        load_variants(ModelRef(base), refs({"sft": sft, **({"dpo": dpo} if dpo else {})}))
    line = explain(caught.value)
    assert line == str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"use_dora": True}, "LoRA with DoRA"),
        ({"bias": "all"}, "LoRA with biases"),
        ({"modules_to_save": ["lm_head"]}, "whole modules (modules_to_save)"),
        ({"task_type": "SEQ_CLS"}, "kind LORA for SEQ_CLS"),
    ],
)
def test_more_than_plain_lora(base, tmp_path, settings, says):
    folder = random_adapter(base, tmp_path / "sft", 1, tokens=False)
    path = Path(folder, "adapter_config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    line = refused(base, folder)
    assert line.startswith(f"sft, {folder}, is ")
    assert says in line


def test_another_kind_of_adapter(base, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(base)
    get_peft_model(model, IA3Config(task_type="CAUSAL_LM")).save_pretrained(str(tmp_path))
    assert "of kind IA3" in refused(base, str(tmp_path))


@pytest.mark.parametrize("place", ["first", "second"])
@pytest.mark.parametrize(
    "kind", ["modules of another model", "another width", "weights under other names", "unknown", "tokens"]
)
def test_an_adapter_that_does_not_fit(base, tmp_path, kind, place):
    good = random_adapter(base, tmp_path / "good", 1, tokens=False)
    bad = tmp_path / "bad"
    if kind == "another width":
        random_adapter(tiny_model("llama", tmp_path / "wide", hidden_size=128), bad, 2, tokens=False)
    else:
        shutil.copytree(good, bad)
        config, weights = bad / "adapter_config.json", bad / "adapter_model.safetensors"
        content = json.loads(config.read_text())
        if kind == "modules of another model":
            config.write_text(json.dumps(content | {"target_modules": ["c_attn"]}))
        elif kind == "unknown":
            config.write_text(json.dumps(content | {"peft_type": "NEWEST"}))
        elif kind == "tokens":  # of a base that has more rows
            good = random_adapter(base, good, 1)
            config.write_text(json.dumps(content | {"trainable_token_indices": {"embed_tokens": [9000, 9001]}}))
        else:
            save_file({name.replace("layers", "h"): value for name, value in load_file(weights).items()}, weights)
    line = refused(base, bad) if place == "first" else refused(base, good, bad)
    assert line.startswith(f"{'sft' if place == 'first' else 'dpo'}, {bad}, ")
