"""A pruned vocabulary: the same tokens where all are kept, the same text always, and the same logits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from chat.embeddings import make_room
from chat.template import configure_tokenizer, encode_prompt
from hub.errors import UserError
from tests.support.models import STARTER, starter_tokenizer, tiny_model
from training.base.pruned_vocabulary import (
    MULTIPLE,
    check_spelling,
    kept_ids,
    named_ids,
    prune_rows,
    renumber,
    save_pruned_tokenizer,
)

LINES = [
    line.split(" +++$+++ ")[-1].strip()
    for line in Path("training/sample/movie_lines.txt").read_text("iso-8859-1").splitlines()
]
SEEN, HELD_OUT = LINES[:400], LINES[-60:]


def smollm_like() -> PreTrainedTokenizerFast:
    """A byte-level BPE that takes digits apart, as SmolLM2's does, with a BOS before every text."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(vocab_size=2000, initial_alphabet=alphabet, special_tokens=special)
    bpe.train_from_iterator(LINES, trainer)
    bpe.add_special_tokens(["<s>"])
    bos = bpe.token_to_id("<s>")
    bpe.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", bos)])
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="<|endoftext|>")


@pytest.fixture(scope="module", params=["starter", "smollm"])
def pruned(request, tmp_path_factory):
    """A tokenizer, the ids kept of it for the first lines of the sample, and the pruned tokenizer."""
    whole = starter_tokenizer() if request.param == "starter" else configure_tokenizer(smollm_like())
    kept = kept_ids(whole, {index for line in SEEN for index in whole.encode(line)})
    return SimpleNamespace(
        whole=whole, kept=kept, new=save_pruned_tokenizer(whole, kept, tmp_path_factory.mktemp("pruned"))
    )


def ids(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False)


def test_it_is_smaller_and_numbered_through(pruned):
    assert len(pruned.kept) < len(pruned.whole)
    assert len(pruned.kept) % MULTIPLE == 0
    assert sorted(pruned.new.get_vocab().values()) == list(range(len(pruned.kept)))
    tokens = pruned.whole.convert_ids_to_tokens(pruned.kept)
    assert pruned.new.convert_ids_to_tokens(list(range(len(pruned.kept)))) == tokens
    for name in ("eos_token", "pad_token", "chat_template"):
        assert getattr(pruned.new, name) == getattr(pruned.whole, name)
    assert pruned.new.get_added_vocab().keys() == pruned.whole.get_added_vocab().keys()


def test_seen_lines_have_the_same_tokens_with_what_is_put_around_them(pruned):
    number = {old: new for new, old in enumerate(pruned.kept)}
    for line in SEEN:
        assert pruned.new.encode(line) == [number[index] for index in pruned.whole.encode(line)]
    message = [{"role": "user", "content": SEEN[0]}]
    assert encode_prompt(pruned.new, message) == [number[index] for index in encode_prompt(pruned.whole, message)]
    assert check_spelling(pruned.whole, pruned.new, pruned.kept, SEEN) == len(SEEN)
    assert 0 < check_spelling(pruned.whole, pruned.new, pruned.kept, HELD_OUT) < len(HELD_OUT)


WORDS = st.sampled_from([word for line in LINES[:900] for word in line.split()])


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(), st.lists(WORDS).map(" ".join), st.text(alphabet="aeLl'. \n🎬é<|im_end>")))
def test_any_text_is_spelled_exactly(pruned, text):
    before, after = ids(pruned.whole, text), ids(pruned.new, text)
    if set(before) <= set(pruned.kept):
        assert [pruned.kept[index] for index in after] == before
    assert pruned.new.decode(after) == pruned.whole.decode(before)
    normalizer = pruned.whole.backend_tokenizer.normalizer
    assert pruned.new.decode(after) == (normalizer.normalize_str(text) if normalizer else text)


def test_every_token_that_a_merge_makes_it_of_is_kept(tmp_path):
    letters = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {token: index for index, token in enumerate([*sorted(letters), "ab", "bc", "abc", "cab", "bca"])}
    bpe = Tokenizer(
        models.BPE(vocabulary, [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc"), ("c", "ab"), ("bc", "a")])
    )
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    whole = PreTrainedTokenizerFast(tokenizer_object=bpe)
    kept = kept_ids(whole, [vocabulary["abc"]])
    assert set(range(256)) <= set(kept)
    assert {vocabulary["ab"], vocabulary["bc"]} <= set(kept)
    new = save_pruned_tokenizer(whole, kept, tmp_path)
    assert new.tokenize("abc") == ["abc"]
    assert new.tokenize("abcab") == whole.tokenize("abcab") == ["abc", "ab"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": {"type": "WordPiece"}}, r"tokenizer \(WordPiece\) that is no byte-level BPE"),
        ({"model": {"byte_fallback": True}}, "no byte-level BPE"),
        ({"pre_tokenizer": None}, "no byte-level BPE"),
        ({"post_processor": {"type": "RobertaProcessing"}}, "puts tokens around a text by RobertaProcessing"),
    ],
)
def test_other_tokenizers_are_refused(change, reason):
    content = json.loads(starter_tokenizer().backend_tokenizer.to_str())
    model = content["model"] | change.get("model", {})
    backend = SimpleNamespace(to_str=lambda: json.dumps(content | change | {"model": model}))
    with pytest.raises(UserError, match=reason):
        kept_ids(SimpleNamespace(backend_tokenizer=backend, name_or_path="some/base"), [])


def test_a_tokenizer_that_spells_otherwise_is_refused(pruned):
    number = pruned.kept.index(ids(pruned.whole, SEEN[0])[0])
    with pytest.raises(UserError, match=r"does not spell .* as before"):
        check_spelling(pruned.whole, pruned.new, [*pruned.kept[:number], -1, *pruned.kept[number:]], SEEN[:1])


@pytest.fixture(scope="module", params=["qwen2", "llama, untied", "starter"])
def model_pair(request, tmp_path_factory):
    """A model, the ids that are kept of it, and the pruned model, as it is read from its folder."""
    import torch
    from transformers import AutoModelForCausalLM

    kind, _, untied = request.param.partition(", ")
    folder, target = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("pruned")
    if kind == "starter":
        shutil.copytree(STARTER, folder, dirs_exist_ok=True)
    else:
        tiny_model(kind, folder, tie_word_embeddings=not untied)
    whole, model = (AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval() for _ in range(2))
    tokenizer = starter_tokenizer()
    make_room(model, tokenizer)
    used = {index for line in LINES[: -len(HELD_OUT)] for index in tokenizer.encode(line)}
    kept = kept_ids(tokenizer, used | named_ids(model.config, model.generation_config))
    prune_rows(model, kept)
    for config in (model.config, model.generation_config):
        renumber(config, {old: new for new, old in enumerate(kept)})
    model.save_pretrained(target)
    new = save_pruned_tokenizer(tokenizer, kept, target)
    model = AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32).eval()
    return SimpleNamespace(whole=whole, model=model, kept=kept, tokenizer=tokenizer, new=new, trained=kind == "starter")


def prompts(pair):
    """Held-out prompts whose tokens are all kept: with their old and their new ids."""
    found = []
    for line in HELD_OUT:
        message = [{"role": "user", "content": line}]
        old = encode_prompt(pair.tokenizer, message)
        if set(old) <= set(pair.kept):
            found.append((old, encode_prompt(pair.new, message)))
    assert len(found) >= 15
    return found


def test_logits_of_kept_tokens_are_the_same(model_pair):
    """And so the softmax is that of the whole model, over the kept tokens alone."""
    import torch

    for old, new in prompts(model_pair):
        with torch.inference_mode():
            before = model_pair.whole(torch.tensor([old])).logits[0]
            after = model_pair.model(torch.tensor([new])).logits[0]
        torch.testing.assert_close(after, before[:, model_pair.kept], rtol=1e-4, atol=1e-4)
        of_kept = before.softmax(-1)[:, model_pair.kept]
        torch.testing.assert_close(after.softmax(-1), of_kept / of_kept.sum(-1, keepdim=True), rtol=1e-3, atol=1e-6)


def greedy(model, prompt, allowed=None):
    """Ids of a greedy reply of 16 tokens; `allowed` are the only ones that may be said."""
    import torch

    end = model.config.eos_token_id
    first = None if allowed is None else (lambda batch, said: allowed)
    with torch.inference_mode():
        said = model.generate(
            torch.tensor([prompt]), max_new_tokens=16, do_sample=False, prefix_allowed_tokens_fn=first, pad_token_id=end
        )
    return said[0, len(prompt) :].tolist()


def test_greedy_replies_are_the_same(model_pair):
    """Of the starter, whose replies are film lines, without a word about which tokens may be said."""
    same = 0
    for old, new in prompts(model_pair)[:15]:
        before = greedy(model_pair.whole, old, None if model_pair.trained else model_pair.kept)
        if set(before) <= set(model_pair.kept):
            assert [model_pair.kept[index] for index in greedy(model_pair.model, new)] == before
            same += 1
    assert same >= 8


def test_what_configs_name_is_renumbered(model_pair):
    token = model_pair.new.convert_ids_to_tokens
    for config in (model_pair.model.config, model_pair.model.generation_config):
        whole = model_pair.whole.config if config is model_pair.model.config else model_pair.whole.generation_config
        assert token(config.eos_token_id) == model_pair.tokenizer.convert_ids_to_tokens(whole.eos_token_id)
    assert model_pair.model.config.vocab_size == len(model_pair.kept) == len(model_pair.new)
    gone = SimpleNamespace(to_dict=lambda: {"pad_token_id": 7, "eos_token_id": [7, 3], "bos_token_id": None})
    renumber(gone, {3: 1})
    assert (gone.pad_token_id, gone.eos_token_id) == (None, [1])
