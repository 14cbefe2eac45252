"""Embedded judges: each scoring function by hand, blind to order, nothing scored twice."""

import math

import pytest
import torch

from chat.likelihood import log_probs, pmi, without_prompt
from chat.variants import ModelRef, load_variants
from eval.judge.comparison import sigmoid
from eval.judge.embedded import EmbeddedJudge, implicit_score, open_embedded
from hub.errors import UserError
from tests.support.models import random_adapter


@pytest.fixture(scope="module")
def tuned(tiny_base, tmp_path_factory):
    """The tiny base with one random adapter, as `tuned` and as `sft`."""
    folder = random_adapter(tiny_base, tmp_path_factory.mktemp("tuned"), seed=1)
    refs = {name: ModelRef(folder) for name in ("sft", "tuned")}
    return folder, load_variants(ModelRef(str(tiny_base)), refs)


@pytest.fixture
def pairs(rows):
    return [(row["prompt"], row["completion"][0]["content"]) for row in rows]


def summed(variants, name, pairs):
    return [sum(own) for own in log_probs(variants, name, pairs)]


@pytest.mark.parametrize("name", ["base", "sft"])
def test_pmi_is_summed_and_the_mean_is_per_token(tuned, pairs, name):
    _, variants = tuned
    empty = [(without_prompt(prompt), reply) for prompt, reply in pairs]
    given, alone = summed(variants, name, pairs), summed(variants, name, empty)
    gain = [a - b for a, b in zip(given, alone, strict=True)]
    assert pmi(variants, name, pairs) == pytest.approx(gain, abs=1e-4)
    lengths = [len(own) for own in log_probs(variants, name, pairs)]
    per_token = [one / n for one, n in zip(gain, lengths, strict=True)]
    assert pmi(variants, name, pairs, mean=True) == pytest.approx(per_token, abs=1e-5)


def test_the_implicit_reward_is_beta_times_the_log_ratio(tuned, pairs):
    _, variants = tuned
    ratio = [a - b for a, b in zip(summed(variants, "tuned", pairs), summed(variants, "base", pairs), strict=True)]
    assert max(map(abs, ratio)) > 0.01
    assert implicit_score(variants, 0.3)(pairs) == pytest.approx([0.3 * one for one in ratio], abs=1e-4)
    assert implicit_score(variants, 0.3, mean=True)(pairs)[2] == pytest.approx(
        0.3 * ratio[2] / len(log_probs(variants, "tuned", pairs[2:3])[0]), abs=1e-4
    )


def test_names_open_the_judges_that_they_name(tuned, pairs):
    folder, variants = tuned
    base, sft = open_embedded("pmi", variants), open_embedded("mean-pmi:sft", variants)
    assert (base.name, base.own) == ("PMI under the base model", "base")
    assert (sft.name, sft.own) == ("mean PMI under the SFT model", "sft")
    assert sft.score(pairs) == pytest.approx(pmi(variants, "sft", pairs, mean=True), abs=1e-6)
    novel = open_embedded("novel-pmi:sft", variants)
    assert (novel.name, novel.own) == ("novel PMI under the SFT model", "sft")
    echoes = [(prompt, prompt[-1]["content"]) for prompt, _ in pairs]
    assert novel.score(echoes) == pytest.approx(pmi(variants, "sft", echoes, novel=True), abs=1e-6)
    assert novel.score(echoes) != pytest.approx(pmi(variants, "sft", echoes), abs=1e-2)
    implicit = open_embedded(f"implicit:{folder}")
    assert implicit.own is None
    assert implicit.score(pairs) == pytest.approx(implicit_score(variants, 0.1)(pairs), abs=1e-4)


def test_a_variant_that_is_not_loaded_is_one_line(tuned):
    with pytest.raises(UserError, match="needs the variant dpo; loaded: base, sft, tuned"):
        open_embedded("pmi:dpo", tuned[1])
    with pytest.raises(UserError, match="needs the variant base; loaded: none"):
        open_embedded("pmi")


def test_an_implicit_reward_of_no_adapter_is_one_line(tiny_base):
    with pytest.raises(UserError, match="is no adapter of PEFT's"):
        open_embedded(f"implicit:{tiny_base}")


def test_scores_are_compared_by_the_sigmoid_and_made_once():
    asked = []

    def score(pairs):
        asked.extend(pairs)
        return [float(len(reply)) for _, reply in pairs]

    judge = EmbeddedJudge("length", score)
    prompt = [{"role": "user", "content": "Well?"}]
    items = [(prompt, "abc", "a"), (prompt, "a", "abc")]
    assert judge.compare(items) == [sigmoid(2), sigmoid(-2)]
    assert math.isclose(sum(judge.compare(items)), 1.0)
    assert len(asked) == 2
    assert judge.compare([]) == []


def test_a_reward_model_scores_at_the_end_of_the_reply(tiny_base, tmp_path, pairs):
    from transformers import AutoModelForSequenceClassification

    from chat.template import encode_prompt, encode_reply
    from tests.support.models import starter_tokenizer

    torch.manual_seed(0)
    whole = AutoModelForSequenceClassification.from_pretrained(tiny_base, num_labels=1, dtype=torch.float32)
    whole.score.weight.data.normal_()
    whole.save_pretrained(tmp_path)
    starter_tokenizer().save_pretrained(tmp_path)
    judge = open_embedded(f"reward:{tmp_path}")
    assert judge.name == f"reward model {tmp_path}"
    expected = []
    for prompt, reply in pairs:
        ids = encode_prompt(starter_tokenizer(), prompt) + encode_reply(starter_tokenizer(), reply)
        with torch.inference_mode():
            hidden = whole.model(torch.tensor([ids])).last_hidden_state[0, -1]
            expected.append(float(whole.score(hidden)))
    assert judge.score(pairs) == pytest.approx(expected, abs=1e-4)


def test_a_model_without_a_score_head_is_one_line(tiny_base, tuned):
    for folder in (tiny_base, tuned[0]):
        with pytest.raises(UserError, match="has no score head"):
            open_embedded(f"reward:{folder}")
