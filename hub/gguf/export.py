"""GGUF for llama.cpp and Ollama: `python -m hub.gguf --namespace NAMESPACE --size starter [KIND ...] [--dry-run]`.

`sft` or `dpo` is published as `repartee-<size>-<kind>-gguf`: the adapter merged into its base, in every `--types`, and
the adapter by itself. `base` is what such an adapter stands on. Weights are added up in float32.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hub.cards import model_card
from hub.errors import UserError
from hub.gguf.writer import lora_scales, write_adapter, write_model
from hub.lineage import Input, Lineage, pin
from hub.names import Names
from hub.publish import preview_publish, publish
from hub.rights import combine_rights, inherited_rights, license_note, rights_of_base
from hub.task import Task, log_progress

SYSTEM_PLACE = "{{ .System }}"
EXPORTED_KINDS = ("base", "sft", "dpo", "rl")


class ChatSettings(NamedTuple):
    """What llama.cpp needs to chat: system prompt, chat template and sampling."""

    system: str
    template: str
    """As a Go template, which Ollama reads."""
    parameters: dict[str, Any]
    """By Ollama's names."""


def gguf_task(names: Names, kind: str, types: list[str]) -> Task:
    """The GGUF repository of a kind, from the adapter (of `base` the DPO adapter, for its tokenizer) and its base."""
    from huggingface_hub import hf_hub_download

    adapter = pin(names.adapter("dpo" if kind == "base" else kind), "model")
    path = hf_hub_download(adapter.repo, "adapter_config.json", revision=adapter.revision)
    config = json.loads(Path(path).read_text("utf-8"))
    base = pin(config["base_model_name_or_path"], "model", config.get("revision") or "main")
    settings = {"kind": kind, "types": sorted(types)}
    return Task(names.adapter(f"{kind}-gguf"), "model", Lineage("gguf", settings, (base, adapter)))


def export(names: Names, kind: str, types: list[str], private: bool = False, dry_run: bool = False) -> str | None:
    """Publishes the GGUF files of a kind; returns the full commit, or None of a dry run.

    Raises UserError for a model that is not written, RepositoryNotFoundError where there is no such adapter.
    """
    made = gguf_task(names, kind, types)
    if revision := made.done(private):
        return revision
    if dry_run:
        made.preview(private)
    with tempfile.TemporaryDirectory(prefix="repartee-gguf-") as folder:
        files = write_files(made, kind, types, Path(folder))
        if dry_run:
            preview_publish(made.repo, made.type, files, made.lineage, private)
            return None
        return publish(made.repo, made.type, files, made.lineage, "GGUF files", private=private)


def write_files(made: Task, kind: str, types: list[str], folder: Path) -> dict[str, bytes | Path]:
    """Writes everything that is published of a kind, by path in its repository."""
    import torch
    from peft import PeftConfig, PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    base, adapter = made.lineage.inputs
    pinned: dict[str, Any] = {"revision": adapter.revision}
    tokenizer = AutoTokenizer.from_pretrained(adapter.repo, **pinned)
    name = made.repo.split("/")[1].removesuffix("-gguf")
    files: dict[str, bytes | Path] = {}
    model: Any = AutoModelForCausalLM.from_pretrained(base.repo, revision=base.revision, dtype=torch.float32)
    config: Any = PeftConfig.from_pretrained(adapter.repo, **pinned)
    trained = trained_token_ids(config)
    add_empty_rows(model, 1 + max(trained, default=0))
    if kind != "base":
        untrained = rows_of_tokens(model, trained)
        tuned = PeftModel.from_pretrained(model, adapter.repo, **pinned)
        scales = lora_scales(tuned)
        model = tuned.merge_and_unload()
        added = {part: rows - untrained[part] for part, rows in rows_of_tokens(model, trained).items()}
        tensors = adapter_tensors(adapter)
        path = folder / f"{name}-lora.gguf"
        alpha, precision = float(config.lora_alpha), "f32" if types == ["f32"] else "f16"
        files[path.name] = write_adapter(path, tensors, alpha, scales, trained, added, model.config, precision)
    for type in types:
        path = folder / f"{name}-{type.upper()}.gguf"
        files[path.name] = write_model(path, model, tokenizer, name, type, own_head=kind == "base" and bool(trained))
        log_progress("gguf", f"{path.name}: {path.stat().st_size:,} bytes")
    chat = chat_settings(tokenizer, GenerationConfig.from_pretrained(adapter.repo, **pinned))
    if kind != "base":
        files |= ollama_files(chat, f"{name}-{types[-1].upper()}.gguf")
    files["README.md"] = gguf_card(made, kind, list(files), chat, bool(trained)).encode()
    return files


def trained_token_ids(config: Any) -> list[int]:
    """The ids whose rows an adapter holds, the same in the embedding and in an untied head; none where it has none.

    Raises UserError where they are not the same.
    """
    given = getattr(config, "trainable_token_indices", None) or []
    first, *others = given.values() if isinstance(given, dict) else [given]
    if any(other != first for other in others):
        raise UserError("the adapter trains some tokens in the embedding and others in the head, which is not written")
    return list(first)


def add_empty_rows(model: Any, wanted: int) -> None:
    """Gives a model rows of zeros for tokens that its adapters have added behind its last; none where it has them."""
    rows = model.get_input_embeddings().num_embeddings
    if wanted > rows:
        model.resize_token_embeddings(wanted, mean_resizing=False)
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            layer.weight.data[rows:] = 0


def rows_of_tokens(model: Any, ids: list[int]) -> dict[str, Any]:
    """Rows of tokens by llama.cpp's name of the tensor: (tokens, width) of the embedding and of the head."""
    layers = {"token_embd": model.get_input_embeddings(), "output": model.get_output_embeddings()}
    return {name: layer.weight.detach()[ids].clone() for name, layer in layers.items()}


def adapter_tensors(adapter: Input) -> dict[str, Any]:
    """The tensors of an adapter's safetensors file in float32, by PEFT's names."""
    from huggingface_hub import hf_hub_download
    from safetensors.torch import load_file

    file = hf_hub_download(adapter.repo, "adapter_model.safetensors", revision=adapter.revision)
    return {name: value.float() for name, value in load_file(file).items()}


def chat_settings(tokenizer: Any, settings: Any) -> ChatSettings:
    """Read from the tokenizer's chat template and the generation config; a BOS is the template's, not llama.cpp's."""
    turn = {"role": "user", "content": "{{ .Prompt }}"}
    whole = tokenizer.apply_chat_template([turn], tokenize=False, add_generation_prompt=True)
    template = tokenizer.apply_chat_template(
        [{"role": "system", "content": SYSTEM_PLACE}, turn], tokenize=False, add_generation_prompt=True
    )
    before, _, after = template.partition(SYSTEM_PLACE)  # where the template puts its own in
    system = whole.removeprefix(before).removesuffix(after)
    stops = tokenizer.convert_ids_to_tokens(settings.eos_token_id)
    drawn = {"temperature": settings.temperature, "top_k": settings.top_k, "top_p": settings.top_p, "min_p": 0.0}
    rest = {"repeat_penalty": 1.0, "num_predict": settings.max_new_tokens, "stop": stops}
    return ChatSettings(system, template, drawn | rest)


def ollama_files(chat: ChatSettings, file: str) -> dict[str, bytes | Path]:
    """`system`, `template` and `params`, which `ollama run hf.co/...` reads, and a Modelfile for a downloaded file."""
    lines = [f"FROM ./{file}", f'TEMPLATE """{chat.template}"""', f'SYSTEM "{chat.system}"']
    for name, value in chat.parameters.items():
        lines += [f"PARAMETER {name} {json.dumps(one)}" for one in (value if isinstance(value, list) else [value])]
    return {
        "Modelfile": "\n".join([*lines, ""]).encode(),
        "system": chat.system.encode(),
        "template": chat.template.encode(),
        "params": json.dumps(chat.parameters, indent=2).encode(),
    }


def gguf_card(made: Task, kind: str, files: list[str], chat: ChatSettings, trained: bool) -> str:
    """The model card of a GGUF repository; `trained` says whether its adapters have trained tokens."""
    base, adapter = made.lineage.inputs
    inherited = rights_of_base(base)
    return model_card(
        "gguf",
        {
            **inherited.license,
            "library_name": "gguf",
            "base_model": base.repo if kind == "base" else adapter.repo,
            "base_model_relation": "quantized",
            "tags": ["gguf", "llama.cpp", kind],
        },
        repo=made.repo,
        kind=kind,
        base=base.repo,
        adapter=adapter.repo,
        base_gguf=made.repo.replace(f"-{kind}-gguf", "-base-gguf"),
        files=[file for file in files if file.endswith(".gguf") and not file.endswith("-lora.gguf")],
        trained=trained,
        lora=next((file for file in files if file.endswith("-lora.gguf")), None),
        chat=chat,
        rights_note=license_note(inherited),
        citations=combine_rights([inherited, inherited_rights(adapter)]).citations,
        lineage=made.lineage,
    )
