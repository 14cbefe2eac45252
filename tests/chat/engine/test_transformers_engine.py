"""The engine of other models: transformers' own words per variant, streamed, stopped, failing; one after the other."""

from __future__ import annotations

from contextlib import closing

import pytest
import torch

from chat.engine.local import LocalEngine
from chat.engine.transformers_engine import TransformersEngine, open_local_engine
from chat.generate import read_reply
from chat.sampling import Sampling
from chat.template import encode_prompt
from chat.variants import ModelRef, load_variants
from tests.support.engine_visitors import Visitor, wait_until
from tests.support.models import random_adapter, refs, tiny_model
from tests.support.scenes import hooks, user_prompts

GREEDY = Sampling(temperature=0, max_new_tokens=8)
LONG = Sampling(temperature=0, max_new_tokens=64)
LINES = user_prompts("Where were you last night?", "No.", "I have been thinking about it for a long, long while now.")
NAMES = ["base", "sft", "dpo"]
KINDS = {
    "gemma3_text": {"head_dim": 16, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]},
    "olmo2": {},
    "granite": {"embedding_multiplier": 2.0, "logits_scaling": 4.0},
}


def tiny_variants(kind, folder, **settings):
    base = tiny_model(kind, folder / "base", **settings)
    adapters = {name: random_adapter(base, folder / name, seed) for seed, name in enumerate(("sft", "dpo"))}
    return load_variants(ModelRef(base), refs(adapters))


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    return tiny_variants("olmo2", tmp_path_factory.mktemp("olmo2"))


@pytest.fixture
def engine(others):
    with closing(TransformersEngine(others, every=0)) as engine:
        yield engine


def last(engine, *request):
    return list(engine.stream(*request))[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_replies_are_transformers_s(kind, tmp_path):
    variants = tiny_variants(kind, tmp_path, **KINDS[kind])
    expected = []
    for prompt, name in zip(LINES, NAMES, strict=True):
        ids = torch.tensor([encode_prompt(variants.tokenizer, prompt)])
        adapters = variants.adapter_names([name])
        out = variants.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=8, eos_token_id=[2, 0],
            pad_token_id=0, **adapters,
        )  # fmt: skip
        expected.append(read_reply(variants.tokenizer, out[0, ids.shape[1] :].tolist()))
    with closing(open_local_engine(variants, "float32")) as engine:
        rows = last(engine, LINES, NAMES, GREEDY)
        assert engine.describe().endswith(
            f"float32 on cpu; base, sft, dpo; through transformers' generate, slower: {kind} is none of llama, "
            "mistral, qwen2, qwen3, smollm3"
        )
    assert [(row.text, row.finish_reason, row.tokens) for row in rows] == [
        (reply.text, reply.finish_reason, reply.tokens) for reply in expected
    ]
    assert len({row.text for row in rows}) == 3


def test_the_decoder_answers_what_it_computes(variants):
    with closing(open_local_engine(variants, "float32")) as engine:
        assert type(engine) is LocalEngine


def test_an_adapter_beside_the_layers_is_served_too(tmp_path):
    from peft import LoraConfig, get_peft_model

    base = tiny_model("llama", tmp_path / "base")
    model = load_variants(ModelRef(base)).model
    get_peft_model(model, LoraConfig(target_modules=["lm_head"])).save_pretrained(tmp_path / "sft")
    with closing(open_local_engine(load_variants(ModelRef(base), refs({"sft": tmp_path / "sft"})))) as engine:
        assert "slower: an adapter changes base_model.model.lm_head" in engine.describe()
        assert all(row.done for row in last(engine, LINES[:2], NAMES[:2], GREEDY))


def test_it_streams_token_by_token(engine):
    stream = list(engine.stream(LINES, NAMES, GREEDY))
    assert [row.tokens for row in stream[0]] == [1, 1, 1]
    assert len(stream) == max(row.tokens for row in stream[-1])
    assert all(row.done for row in stream[-1])


def test_a_seed_is_answered_in_the_same_words_and_as_by_the_decoder_s_engine(tmp_path, engine):
    wild = Sampling(temperature=1.5, max_new_tokens=8)
    expected = last(engine, LINES, NAMES, wild, 7)
    assert last(engine, LINES, NAMES, wild, 7) == expected != last(engine, LINES, NAMES, wild, 8)
    llama = tiny_variants("llama", tmp_path)
    with closing(LocalEngine(llama, "float32")) as local, closing(TransformersEngine(llama)) as other:
        assert last(other, LINES, NAMES, wild, 7) == last(local, LINES, NAMES, wild, 7)


def test_closing_the_iterator_stops_the_model(engine, monkeypatch):
    drawn = []
    sample = torch.nn.Module.__call__

    def count(module, *arguments, **options):
        drawn.extend([None] * (module is engine._batch.variants.model.get_base_model().model))
        return sample(module, *arguments, **options)

    monkeypatch.setattr(torch.nn.Module, "__call__", count)
    stream = engine.stream(LINES, NAMES, Sampling(temperature=5, top_k=0, top_p=1, max_new_tokens=64))
    next(stream)
    stream.close()
    assert last(engine, LINES[:1], ["sft"], Sampling(temperature=0, max_new_tokens=2))[0].done
    assert 0 < len(drawn) < 40


def test_one_request_after_the_other_and_all_are_answered(engine):
    requests = [([line], [name], GREEDY) for line, name in zip(LINES, NAMES, strict=True)]
    alone = [last(engine, *request) for request in requests]
    visitors = [Visitor(engine, *request) for request in requests]
    assert [visitor.last() for visitor in visitors] == alone


def test_an_exception_reaches_its_caller_and_the_worker_lives_on(engine, others, monkeypatch):
    expected = last(engine, LINES, NAMES, GREEDY)
    before = hooks(others)
    with monkeypatch.context() as patched:
        layer = others.model.get_base_model().model.layers[1].mlp
        patched.setattr(layer, "forward", lambda *_: (_ for _ in ()).throw(MemoryError("the second layer")))
        with pytest.raises(MemoryError, match="the second layer"):
            list(engine.stream(LINES, NAMES, GREEDY))
    assert hooks(others) == before
    assert last(engine, LINES, NAMES, GREEDY) == expected


def test_close_ends_everybody_s_stream(others):
    engine = TransformersEngine(others, every=0)
    stream = engine.stream(LINES, NAMES, Sampling(temperature=5, top_k=0, top_p=1, max_new_tokens=64))
    next(stream)
    waiting = Visitor(engine, LINES, NAMES, LONG)
    wait_until(lambda: engine._waiting)
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        list(stream)
    waiting.join(60)
    assert isinstance(waiting.error, RuntimeError)
    assert engine.describe().startswith("local engine stopped")


def test_too_long_a_prompt_and_what_cannot_be_mixed_are_refused(engine, others, monkeypatch):
    with pytest.raises(ValueError, match="the model reads 504; shorten it"):
        next(engine.stream(user_prompts("No. " * 600), ["base"], GREEDY))
    monkeypatch.setattr(others.model.peft_config["sft"], "use_dora", True)
    with pytest.raises(ValueError, match="the adapter sft has DoRA"):
        open_local_engine(others)


@pytest.mark.parametrize(
    ("precision", "bf16", "held"),
    [
        ("auto", False, "float32"),
        ("auto", True, "bf16"),
        ("int4", True, "bf16 instead of int4"),
        ("bf16", False, "bf16"),
        ("float32", True, "float32"),
    ],
)
def test_a_model_of_bf16_is_cast_where_that_is_faster(precision, bf16, held, tmp_path, monkeypatch):
    monkeypatch.setattr("chat.engine.transformers_engine.has_bf16", lambda: bf16)
    variants = load_variants(ModelRef(tiny_model("olmo2", tmp_path)), dtype="bfloat16")
    with closing(open_local_engine(variants, precision)) as engine:
        assert f"parameters, {held} on cpu; base;" in engine.describe()
