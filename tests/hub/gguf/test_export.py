"""GGUF files: what llama.cpp makes of them is what transformers makes of the model, and what is published beside them.

llama-cpp-python is built from source (ten minutes), so it is nobody's requirement: REPARTEE_LLAMA_PYTHON names an
interpreter that has it, and the tests that ask llama.cpp are skipped without one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
from gguf import GGUFReader

from chat.template import SYSTEM_PROMPT, build_prompt, configure_tokenizer, encode_prompt, stop_ids
from hub.errors import UserError
from hub.gguf.export import (
    add_empty_rows,
    chat_settings,
    export,
    gguf_task,
    rows_of_tokens,
    trained_token_ids,
    write_files,
)
from hub.names import Names
from tests.support.chat_formats import FORMATS, own_tokenizer
from tests.support.models import random_adapter

PROMPTS, MOST = 50, 24
CLOSE = 1e-3  # two best tokens this near to each other, in logits, may come out either way
llama = pytest.mark.skipif("REPARTEE_LLAMA_PYTHON" not in os.environ, reason="REPARTEE_LLAMA_PYTHON is not set")


def on_the_hub(names, base, adapters, tmp_path_factory):
    """Publishes a base and adapters as a family; its names."""
    from huggingface_hub import HfApi
    from transformers import GenerationConfig

    api = HfApi()
    api.create_repo(names.base)
    api.upload_folder(repo_id=names.base, folder_path=base)
    for kind, trained in adapters.items():
        folder = shutil.copytree(trained, tmp_path_factory.mktemp(kind), dirs_exist_ok=True)
        config = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": names.base}))
        drawn = {"do_sample": True, "temperature": 0.9, "top_k": 25, "top_p": 0.95, "max_new_tokens": 64}
        GenerationConfig(**drawn, eos_token_id=[2, 0], pad_token_id=0).save_pretrained(folder)
        api.create_repo(names.adapter(kind))
        api.upload_folder(repo_id=names.adapter(kind), folder_path=folder)
    return names


@pytest.fixture(scope="module")
def family(hub_url, starter, adapters, tmp_path_factory):
    """Names of a base and two random adapters on the local Hub."""
    return on_the_hub(Names("gguf", "starter"), starter, adapters, tmp_path_factory)


@pytest.fixture(scope="module")
def files(family, tmp_path_factory):
    """What is written of every kind, by kind and path."""
    found = {}
    for kind in ("base", "sft", "dpo"):
        found[kind] = write_files(gguf_task(family, kind, ["f32"]), kind, ["f32"], tmp_path_factory.mktemp(kind))
    return found


@pytest.fixture(scope="module")
def tokenizer(family):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(family.adapter("dpo"))


@pytest.fixture(scope="module")
def alone(family):
    """Each variant as transformers and PEFT load it from the Hub, in float32."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    models = {}
    for kind in ("base", "sft", "dpo"):
        model = AutoModelForCausalLM.from_pretrained(family.base, dtype=torch.float32)
        models[kind] = (model if kind == "base" else PeftModel.from_pretrained(model, family.adapter(kind))).eval()
    return models


@pytest.fixture(scope="module")
def lines():
    """Lines of the sample corpus, and some with odd characters."""
    sample = Path("training/sample")
    texts = [line.split(" +++$+++ ")[-1].strip() for path in sorted(sample.rglob("*lines*.txt"))
             for line in path.read_text("iso-8859-1").splitlines()]  # fmt: skip
    found = list(dict.fromkeys(text for text in texts if text))[: PROMPTS - 3]
    return [*found, "Zoë! 🎬 Was it £5?", "  two  spaces\n\nand lines ", "don't  WE'LL 1234 ...!?"]


def ask(model: Path, lora: Path | None, prompts: list[list[int]], texts: list[str]) -> dict:
    job = {"model": str(model), "lora": str(lora) if lora else None, "prompts": prompts, "texts": texts}
    done = subprocess.run(
        [os.environ["REPARTEE_LLAMA_PYTHON"], str(Path(__file__).parents[2] / "support" / "llama_greedy.py")],
        input=json.dumps(job | {"stops": [0, 2], "most": MOST}), capture_output=True, text=True, check=False,
        timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def differences(model, prompts: list[list[int]], replies: list[list[int]]) -> list[tuple[int, int, float]]:
    """Where another token was taken than the likeliest of `model`, and by how much it was less likely (in logits).

    Each step is checked given what was really said before it, so that one tie does not hide what comes after it.
    """
    import torch

    found = []
    for number, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([prompt + reply])).logits[0, len(prompt) - 1 : -1]
        for place, token in enumerate(reply):
            if token != int(logits[place].argmax()):
                found.append((number, place, float(logits[place].max() - logits[place, token])))
    return found


@llama
@pytest.mark.parametrize("kind", ["base", "sft", "dpo"])
@pytest.mark.parametrize("apart", [False, True], ids=["merged", "adapter"])
def test_llama_cpp_says_what_transformers_says(files, alone, tokenizer, lines, kind, apart):
    if apart and kind == "base":
        pytest.skip("a base has no adapter")
    prompts = [encode_prompt(tokenizer, build_prompt([{"role": "user", "content": line}], 1)) for line in lines]
    assert len(prompts) == PROMPTS
    folder = files[kind]
    model = files["base"]["repartee-starter-base-F32.gguf"] if apart else folder[f"repartee-starter-{kind}-F32.gguf"]
    lora = folder[f"repartee-starter-{kind}-lora.gguf"] if apart else None
    said = ask(model, lora, prompts, [tokenizer.decode(prompt) for prompt in prompts])
    assert said["read"] == prompts, "the vocabulary, its merges and its control tokens are the same"
    assert sum(map(len, said["replies"])) > 100
    apart_by = differences(alone[kind], prompts, said["replies"])
    print(f"{kind}: {sum(map(len, said['replies']))} tokens, {len(apart_by)} others, by {apart_by}")
    assert all(gap < CLOSE for *_, gap in apart_by)
    assert said["template"] == tokenizer.chat_template


def test_trained_tokens_are_in_both_files(files, alone):
    embedding = alone["dpo"].get_input_embeddings()
    rows = embedding.token_adapter.trainable_tokens_delta["default"].detach().numpy()
    merged = tensors(GGUFReader(files["dpo"]["repartee-starter-dpo-F32.gguf"]))
    assert numpy.allclose(merged["token_embd.weight"][[1, 2]], rows, atol=1e-6)
    assert "output.weight" not in merged, "the head is tied"
    base = tensors(GGUFReader(files["base"]["repartee-starter-base-F32.gguf"]))
    assert numpy.array_equal(base["output.weight"], base["token_embd.weight"])
    lora = tensors(GGUFReader(files["dpo"]["repartee-starter-dpo-lora.gguf"]))
    scale = alone["dpo"].peft_config["default"].lora_alpha / 2
    added = scale * lora["output.weight.lora_b"] @ lora["output.weight.lora_a"]
    assert numpy.allclose((base["output.weight"] + added)[[1, 2]], rows, atol=1e-6)
    assert numpy.array_equal(added.nonzero()[0].reshape(2, -1)[:, 0], [1, 2])
    again = scale * lora["token_embd.weight.lora_a"] @ lora["token_embd.weight.lora_b"].T
    assert numpy.allclose(again, added)


def test_tokens_that_the_base_has_no_rows_for_are_zeros_in_it(tmp_path):
    from transformers import AutoModelForCausalLM

    from tests.support.models import tiny_model

    model = AutoModelForCausalLM.from_pretrained(tiny_model("llama", tmp_path))
    add_empty_rows(model, 8192)
    assert model.config.vocab_size == 8192
    add_empty_rows(model, 8194)
    found = rows_of_tokens(model, [8191, 8192, 8193])
    assert set(found) == {"token_embd", "output"}
    assert all([bool(row.any()) for row in rows] == [True, False, False] for rows in found.values())


@pytest.mark.parametrize(
    ("given", "ids"),
    [(None, []), ([1, 2], [1, 2]), ({"embed_tokens": [1, 2]}, [1, 2]), ({"embed_tokens": [3], "lm_head": [3]}, [3])],
)
def test_which_tokens_an_adapter_has_trained(given, ids):
    assert trained_token_ids(SimpleNamespace(trainable_token_indices=given)) == ids
    with pytest.raises(UserError, match="some tokens in the embedding and others in the head"):
        trained_token_ids(SimpleNamespace(trainable_token_indices={"embed_tokens": [1], "lm_head": [2]}))


def tensors(reader) -> dict[str, numpy.ndarray]:
    return {tensor.name: numpy.array(tensor.data) for tensor in reader.tensors}


@pytest.mark.parametrize("trained", [True, False])
def test_a_tied_head_is_stored_once_more_where_adapters_train_tokens_alone(
    hub_url, tiny_base, tmp_path_factory, tmp_path, trained
):
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in ("sft", "dpo")}
    adapters = {kind: random_adapter(tiny_base, folder, 1, trained) for kind, folder in folders.items()}
    names = on_the_hub(Names(f"tied-{trained}".lower(), "starter"), tiny_base, adapters, tmp_path_factory)
    files = write_files(gguf_task(names, "base", ["f32"]), "base", ["f32"], tmp_path)
    (model,) = (path for path in files.values() if isinstance(path, Path))
    assert ("output.weight" in tensors(GGUFReader(model))) is trained


def test_it_is_published_with_lineage_and_card_and_is_up_to_date_then(family, capsys):
    from huggingface_hub import HfApi, hf_hub_download

    repo = family.adapter("dpo-gguf")
    assert export(family, "dpo", ["f16", "q8_0"], dry_run=True) is None
    assert not HfApi().repo_exists(repo)
    sha = export(family, "dpo", ["f16", "q8_0"])
    name = "repartee-starter-dpo"
    assert set(HfApi().list_repo_files(repo, revision=sha)) == {
        ".gitattributes", "README.md", "lineage.json", "Modelfile", "system", "template", "params",
        f"{name}-F16.gguf", f"{name}-Q8_0.gguf", f"{name}-lora.gguf",
    }  # fmt: skip
    assert export(family, "dpo", ["q8_0", "f16"]) == sha
    lora = GGUFReader(hf_hub_download(repo, f"{name}-lora.gguf", revision=sha))
    assert {tensor.tensor_type.name for tensor in lora.tensors} == {"F16"}
    assert "up to date" in capsys.readouterr().out
    told = ("Modelfile", "system", "README.md")
    read = {file: Path(hf_hub_download(repo, file, revision=sha)).read_text() for file in told}
    assert read["system"] == SYSTEM_PROMPT
    assert f"FROM ./{name}-Q8_0.gguf" in read["Modelfile"]
    assert 'PARAMETER stop "<|im_end|>"' in read["Modelfile"]
    assert "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n<|im_start|>assistant\n" in read["Modelfile"]
    assert family.adapter("dpo") in read["README.md"]
    assert SYSTEM_PROMPT in read["README.md"]


@pytest.mark.parametrize("name", [*FORMATS, "chatml"])
def test_ollama_asks_in_the_format_of_the_base(starter, name):
    from transformers import AutoTokenizer, GenerationConfig

    chatml = name == "chatml"
    tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(starter)) if chatml else own_tokenizer(starter, name)
    settings = GenerationConfig(eos_token_id=list(stop_ids(tokenizer).values()), max_new_tokens=64)
    chat = chat_settings(tokenizer, settings)
    assert chat.system == SYSTEM_PROMPT
    assert chat.parameters["stop"][0] == tokenizer.eos_token
    asked = chat.template.replace("{{ .System }}", chat.system).replace("{{ .Prompt }}", "Who is it?")
    prompt = encode_prompt(tokenizer, build_prompt([{"role": "user", "content": "Who is it?"}], 1))
    assert tokenizer.encode(asked, add_special_tokens=False) == prompt
