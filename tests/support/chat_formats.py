"""Chat formats other than ChatML, in the manner of models that people use, on small tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple


class Format(NamedTuple):
    """What a tokenizer of the format has, and what is expected of it."""

    template: str
    tokens: list[str]
    """Control tokens; the first is BOS, which the tokenizer puts before every text, the second EOS."""
    end: str
    """Ends a turn."""
    system_in_first_turn: bool = False
    trims: bool = True


ALTERNATE = (
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('no turn of his') }}{% endif %}"
)
GEMMA_TURNS = (
    "{% for message in messages %}" + ALTERNATE + "{% set role = message['role'] | replace('assistant', 'model') %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)  # fmt: skip
FORMATS = {
    "gemma": Format(
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        + GEMMA_TURNS,
        ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], "<end_of_turn>", system_in_first_turn=True,
    ),
    "drops the system": Format(
        "{{ bos_token }}{% set messages = messages | rejectattr('role', 'equalto', 'system') | list %}" + GEMMA_TURNS,
        ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], "<end_of_turn>", system_in_first_turn=True,
    ),
    "llama 3": Format(
        "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
        "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
        "{{ message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
        ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "<|eot_id|>",
    ),
    "mistral": Format(
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set told = messages[0]['content'] + '\n\n' %}"
        "{% set messages = messages[1:] %}{% else %}{% set told = '' %}{% endif %}{% for message in messages %}"
        + ALTERNATE + "{% if message['role'] == 'user' %}"
        "{{ '[INST] ' + (told if loop.last else '') + message['content'] + '[/INST]' }}"
        "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}",
        ["<s>", "</s>", "[INST]", "[/INST]"], "</s>", trims=False,
    ),
    "thinks": Format(
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
        "{% if message['role'] == 'system' %}{{ 'It is ' + strftime_now('%H:%M:%S.%f') + '.\n' }}{% endif %}"
        "{% if loop.last and message['role'] == 'assistant' %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
        "{{ message['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
        "{% if enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}",
        ["<s>", "</s>", "<think>", "</think>"], "<|im_end|>", trims=False,
    ),
}  # fmt: skip


def own_tokenizer(starter: Path, name: str, configured: bool = True) -> Any:
    """A tokenizer of a format: the starter's with its tokens; of `mistral` one in the manner of SentencePiece."""
    from tokenizers import processors
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    from chat.template import configure_tokenizer

    found = FORMATS[name]
    bos, eos, *_ = found.tokens
    if name == "mistral":
        tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=_metaspace(found.tokens), unk_token="<unk>")
    else:
        tokenizer = AutoTokenizer.from_pretrained(starter)
        tokenizer.add_tokens(found.tokens, special_tokens=True)
        tokenizer.add_tokens(["\n\n", "<tool_call>"])  # not marked special; white space is no control token
    tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token = bos, eos, None
    tokenizer.chat_template = found.template
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, tokenizer.bos_token_id)]
    )
    return configure_tokenizer(tokenizer) if configured else tokenizer


def _metaspace(tokens: list[str]) -> Any:
    """A tokenizer that writes spaces as `▁`, and one before a text, with control tokens in its model's vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<unk>", *tokens], initial_alphabet=[*map(chr, range(10, 0x180))]
    )
    tokenizer.train_from_iterator(["Where were you last night? I was out. Who told you that?"] * 3, trainer)
    return tokenizer


def chatml_tokenizer(kind: str) -> Any:
    """A tokenizer with ChatML's tokens and no template, that is not byte-level: of Llama 2, of Mistral, of T5."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    letters = [*map(chr, range(10, 127)), "▁"]
    if kind == "unigram":
        made = Tokenizer(models.Unigram([("<unk>", 0.0), *((letter, -3.0) for letter in letters), ("▁ab", -2.0)], 0))
        made.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        made = Tokenizer(models.BPE(unk_token="<unk>"))
        trainer = trainers.BpeTrainer(vocab_size=160, special_tokens=["<unk>"], initial_alphabet=letters)
        made.train_from_iterator(["▁abc▁user▁system\n\nab abc"] * 3, trainer)
        if kind == "metaspace":
            made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        else:
            made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", eos_token="</s>")
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    return tokenizer
