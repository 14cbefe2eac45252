"""Log-probabilities and PMI against a plain forward pass of each variant by itself."""

import pytest
import torch

from chat.likelihood import copied_tokens, gain, log_probs, pmi, without_prompt
from chat.template import encode_prompt, encode_reply
from tests.support.scenes import user_prompts

REPLIES = ("Out.", "", "I was at the pier, and then I walked home along the river in the rain.")
PAIRS = [
    (p, reply) for p in user_prompts("Where were you?", "I have told you a hundred times by now.") for reply in REPLIES
]


def reference(model, tokenizer, prompt, reply) -> list[float]:
    """All logits of one unpadded row, and the log-softmax of each reply token by hand."""
    before, after = encode_prompt(tokenizer, prompt), encode_reply(tokenizer, reply)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([before + after])).logits[0].double()
    places = range(len(before) - 1, len(before) + len(after) - 1)
    return [
        float(logits[place, token] - logits[place].exp().sum().log())
        for place, token in zip(places, after, strict=True)
    ]


@pytest.mark.parametrize("name", ["base", "sft", "dpo"])
def test_log_probs_are_those_of_the_variant_by_itself(variants, alone, name):
    found = log_probs(variants, name, PAIRS, batch_size=4)
    for scores, (prompt, reply) in zip(found, PAIRS, strict=True):
        assert scores == pytest.approx(reference(alone[name], variants.tokenizer, prompt, reply), abs=1e-4)


def test_a_batch_scores_as_one_at_a_time(variants):
    for name in variants.names:
        together = log_probs(variants, name, PAIRS)
        for scores, pair in zip(together, PAIRS, strict=True):
            assert scores == pytest.approx(log_probs(variants, name, [pair])[0], abs=1e-4)
    assert log_probs(variants, "base", []) == []


def test_scoring_changes_nothing_in_the_model(variants):
    before = log_probs(variants, "base", PAIRS)
    log_probs(variants, "dpo", PAIRS)
    assert log_probs(variants, "base", PAIRS) == before
    assert variants.model.active_adapter == "sft"
    assert not any(parameter.requires_grad for parameter in variants.model.parameters())


def test_pmi_is_the_gain_over_an_empty_prompt_summed_over_the_reply(variants, alone):
    for name in ("base", "dpo"):
        for value, (prompt, reply) in zip(pmi(variants, name, PAIRS), PAIRS, strict=True):
            given = reference(alone[name], variants.tokenizer, prompt, reply)
            empty = reference(alone[name], variants.tokenizer, user_prompts("")[0], reply)
            assert value == pytest.approx(sum(given) - sum(empty), abs=1e-3)


def test_an_empty_prompt_explains_nothing(variants):
    assert pmi(variants, "sft", [(user_prompts("")[0], "Out.")]) == pytest.approx([0], abs=1e-5)


def test_the_empty_prompt_keeps_the_system_message():
    system = {"role": "system", "content": "Be brief."}
    scene = [system, {"role": "user", "content": "Hi."}]
    assert without_prompt(scene) == [system, {"role": "user", "content": ""}]
    assert without_prompt([*scene, {"role": "assistant", "content": "Oh."}, scene[1]]) == without_prompt(scene)


def test_two_system_prompts_are_two_settings(variants):
    """The score without the prompt is shared among equal replies only where the setting is the same."""
    prompts = [[{"role": "system", "content": text}, *user_prompts("Hi.")[0]] for text in ("Be brief.", "Be endless.")]
    pairs = [(prompt, "Hello.") for prompt in prompts]
    assert pmi(variants, "base", pairs) == pytest.approx([pmi(variants, "base", [pair])[0] for pair in pairs], abs=1e-4)


def copied_text(variants, line, reply):
    """The text of the tokens that are copies."""
    tokens = variants.format_of("base").encode_reply(reply)
    found = copied_tokens(variants, "base", user_prompts(line)[0], tokens)
    assert len(found) == len(tokens)
    assert not found[-1]  # the end of a reply is its own
    return variants.tokenizer.decode([token for token, own in zip(tokens, found, strict=True) if own]).strip()


@pytest.mark.parametrize(
    ("line", "reply", "expected"),
    [
        ("Where were you last night?", "Where were you last night?", "Where were you last night?"),
        ("Where were you last night?", "Well, where were you last night?", "where were you last night?"),
        ("Where were you last night?", "At the pier.", ""),
        ("Where were you?", "I was where the river bends.", ""),  # a word is no copy
        ("You said that you saw him at the pier.", "I saw him at the pier. I ran.", "saw him at the pier."),
        ("Yes.", "Yes.", ""),  # too short for a run
        ("", "At the pier.", ""),
    ],
)
def test_a_run_that_the_prompt_has_is_copied(variants, line, reply, expected):
    assert copied_text(variants, line, reply) == expected


def test_the_system_message_is_no_line_to_copy(variants):
    prompt = [{"role": "system", "content": "At the pier, they say."}, *user_prompts("Where?")[0]]
    assert not any(
        copied_tokens(variants, "base", prompt, variants.format_of("base").encode_reply("At the pier, they say."))
    )
    earlier = [*user_prompts("At the pier, they say.")[0], {"role": "assistant", "content": "No."}, *prompt]
    assert any(
        copied_tokens(variants, "base", earlier, variants.format_of("base").encode_reply("At the pier, they say."))
    )


def test_novel_pmi_counts_what_is_not_copied(variants):
    """Of an echo nothing is left but its end; of a reply that copies nothing all."""
    line = "Where were you last night?"
    prompt = user_prompts(line)[0]
    given, alone = (log_probs(variants, "sft", [(asked, line)])[0] for asked in (prompt, without_prompt(prompt)))
    echo, answer = pmi(variants, "sft", [(prompt, line), (prompt, "Out.")], novel=True)
    assert echo == pytest.approx(given[-1] - alone[-1], abs=1e-4)
    assert answer == pytest.approx(pmi(variants, "sft", [(prompt, "Out.")])[0], abs=1e-4)
    assert gain([-1.0, -2.0, -3.0], [-2.0, -2.5, -5.0], [False, True, False]) == pytest.approx(3.0)
