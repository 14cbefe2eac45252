"""How text is taken apart is found from the tokenizer's own description, by llama.cpp's names."""

import json

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from hub.errors import UserError
from hub.gguf.vocabulary import SPLITS, add_vocabulary, split_name
from tests.support.models import starter_tokenizer


def description(split, normalizer=None, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    if split is not None:
        tokenizer.pre_tokenizer = split
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    return json.loads(tokenizer.to_str())


def regex(pattern):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


DIGITS = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
)
PLAIN = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def test_names():
    assert split_name(json.loads(starter_tokenizer().backend_tokenizer.to_str())) == "qwen2"
    assert split_name(description(DIGITS)) == "smollm"
    assert split_name(description(PLAIN, normalizers.NFC())) == "gpt-2"
    [pattern], whole = SPLITS["llama-bpe"]
    assert r"\p{N}{1,3}" in pattern
    assert split_name(description(regex(pattern), ignore_merges=whole)) == "llama-bpe"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (description(None, byte_fallback=True), "this is a SentencePiece tokenizer; GGUF files are written of"),
        (
            description(pre_tokenizers.Metaspace()),
            r"a tokenizer \(BPE\) of its own; .* gpt-2, smollm, qwen2, llama-bpe",
        ),
        (description(regex(r"\p{N}{1,2}")), "of its own"),
        (description(regex(SPLITS["qwen2"][0][0]), ignore_merges=True), "of its own"),
        (description(pre_tokenizers.ByteLevel(add_prefix_space=True)), "of its own"),
        (description(PLAIN, normalizers.Lowercase()), "of its own"),
    ],
)
def test_others_are_said_in_one_line(found, reason):
    with pytest.raises(UserError, match=reason):
        split_name(found)


def test_tokens_of_a_file_are_the_tokenizer_s(tmp_path):
    from gguf import GGUFReader, GGUFWriter

    writer, tokenizer = GGUFWriter(tmp_path / "a.gguf", "llama"), starter_tokenizer()
    add_vocabulary(writer, tokenizer, len(tokenizer) + 2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    fields = GGUFReader(tmp_path / "a.gguf").fields
    read = {name: fields[f"tokenizer.ggml.{name}"].contents() for name in ("pre", "tokens", "token_type")}
    assert read["pre"] == "qwen2"
    assert read["tokens"][:3] == ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    assert read["tokens"][:-2] == tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    assert read["token_type"][1:4] == [3, 3, 1]  # control, control, normal
    assert read["token_type"][-2:] == [5, 5]  # unused
