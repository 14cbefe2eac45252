"""Plain lines: what is encoded, that text and end are summed over both tokenizations, and where a reply ends."""

from dataclasses import replace

import pytest
import torch

from chat.generate import FinishReason, generate, read_formatted
from chat.likelihood import log_probs, pmi, without_prompt
from chat.plain_lines import PlainLines
from chat.sampling import Sampling
from tests.support.line_models import EXCHANGES, taught_base
from tests.support.models import starter_tokenizer
from tests.support.scenes import user_prompts

SCENE = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where\nwere  you?"},
    {"role": "assistant", "content": "Out."},
    {"role": "user", "content": "Where?"},
]


@pytest.fixture(scope="module")
def form():
    return PlainLines(starter_tokenizer())


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A base taught in plain lines, asked in them."""
    variants = taught_base(tmp_path_factory.mktemp("lines"), PlainLines)
    return replace(variants, formats={"base": PlainLines(variants.tokenizer)})


def text_of(ids):
    return starter_tokenizer().decode(ids)


def test_turns_are_lines_and_nothing_else(form):
    assert text_of(form.encode_prompt(SCENE)) == "<|endoftext|>Where were you?\nOut.\nWhere?\n"
    assert text_of(form.encode_prompt(without_prompt(SCENE))) == "<|endoftext|>"
    assert text_of(form.encode_reply("At the\npier.")) == "At the pier.\n"
    assert 2 not in form.encode_prompt(user_prompts("<|im_end|>")[0])  # a visitor's control token is text


def test_a_stop_with_its_line_break_in_one_token_ends_the_reply_and_stays(form):
    ids = starter_tokenizer().encode("At the pier.\nWhere were you?\n")
    assert text_of(ids[ids.index(form._newline) if form._newline in ids else 4 :][:1]).endswith("\n")
    reply = read_formatted(form, starter_tokenizer(), ids)
    assert (reply.text, reply.finish_reason) == ("At the pier.", FinishReason.END_OF_TURN)
    assert read_formatted(form, starter_tokenizer(), [0]).finish_reason == FinishReason.END_OF_TEXT
    assert read_formatted(form, starter_tokenizer(), starter_tokenizer().encode("At")).finish_reason == "length"


@pytest.mark.parametrize("reply", ["At the pier.", "Nobody", ""])
def test_text_and_end_are_summed_over_both_tokenizations(base, reply):
    """By hand: `.` and then a line break, or both in one token."""
    tokenizer, form = base.tokenizer, base.format_of("base")
    prompt, text = form.encode_prompt(user_prompts("Where were you?")[0]), tokenizer.encode(reply)
    with torch.no_grad():
        p = base.model(input_ids=torch.tensor([[*prompt, *text]])).logits[0].double().softmax(-1)[len(prompt) - 1 :]
    texts = [tokenizer.decode([token]) for token in range(len(tokenizer))]
    breaks = [token for token, own in enumerate(texts) if own.lstrip(" \t")[:1] in ("\n", "\r") and own.strip(" \t")]
    last = texts[text[-1]] if text else None
    joined = [token for token, own in enumerate(texts) if "\n" in own and own.rstrip("\r\n") == last]
    assert bool(joined) == reply.endswith(".")
    before = torch.stack([torch.tensor(1.0).double(), *(p[at, token] for at, token in enumerate(text[:-1]))]).prod()
    alone, with_break = (p[len(text) - 1, text[-1]], p[len(text) - 1, joined].sum()) if text else (1.0, 0.0)
    scores = log_probs(base, "base", [(user_prompts("Where were you?")[0], reply)])[0]
    assert len(scores) == len(text) + 1
    assert sum(scores) == pytest.approx(float((before * (with_break + alone * p[-1, breaks].sum())).log()), abs=1e-4)
    if text:
        assert sum(scores[:-1]) == pytest.approx(float((before * (alone + with_break)).log()), abs=1e-4)


def test_a_base_of_plain_lines_stops_at_the_line_and_its_end_costs_little(base):
    """In the chat template it pays for an end token that it never saw, and runs on."""
    prompts, greedy = user_prompts(*(line for line, _ in EXCHANGES)), Sampling(temperature=0, max_new_tokens=16)
    replies = generate(base, prompts, ["base"] * len(prompts), greedy)
    assert [reply.text for reply in replies] == [reply for _, reply in EXCHANGES]
    assert {reply.finish_reason for reply in replies} == {FinishReason.END_OF_TURN}
    pairs = [(prompt, reply) for prompt, (_, reply) in zip(prompts, EXCHANGES, strict=True)]
    in_chat = replace(base, formats={})
    assert max(-scores[-1] for scores in log_probs(base, "base", pairs)) < 0.5
    assert min(-scores[-1] for scores in log_probs(in_chat, "base", pairs)) > 5
    assert {reply.finish_reason for reply in generate(in_chat, prompts, ["base"] * len(prompts), greedy)} == {"length"}
    assert min(pmi(base, "base", pairs)) > 0


def test_an_empty_line_is_no_reply(base):
    """Asked for everything but the line break that it would begin with, it says what comes next."""
    form, tokenizer = base.formats["base"], base.tokenizer
    never = form.never_first()
    assert tokenizer.encode("\n")[-1] in never
    assert tokenizer.encode(".")[-1] not in never
    model, (break_,) = base.model, tokenizer.encode("\n", add_special_tokens=False)

    def wants_a_break(module, inputs, output):
        output.logits[..., break_] += 1000.0
        return output

    prompts, greedy = user_prompts(*(line for line, _ in EXCHANGES)), Sampling(temperature=0, max_new_tokens=16)
    hook = model.register_forward_hook(wants_a_break)
    try:
        replies = generate(base, prompts, ["base"] * len(prompts), greedy)
    finally:
        hook.remove()
    assert all(reply.text and reply.tokens == 2 for reply in replies), "one token, and then the line ends"
