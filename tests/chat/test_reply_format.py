"""Reply formats side by side: each variant is asked in its own, also in one call."""

from dataclasses import replace

from chat.generate import generate
from chat.likelihood import log_probs
from chat.plain_lines import PlainLines
from chat.reply_format import ChatTurns
from chat.sampling import Sampling
from chat.template import encode_prompt, encode_reply
from tests.support.line_models import taught_base
from tests.support.models import starter_tokenizer
from tests.support.scenes import user_prompts

GREEDY = Sampling(temperature=0, max_new_tokens=6)


def test_turns_are_those_of_the_chat_template():
    form, prompt = ChatTurns(starter_tokenizer()), user_prompts("Hi.")[0]
    assert form.encode_prompt(prompt) == encode_prompt(starter_tokenizer(), prompt)
    assert form.encode_reply("Oh.") == encode_reply(starter_tokenizer(), "Oh.")
    assert form.stop_names() == {2: "<|im_end|>", 0: "<|endoftext|>"}
    assert form == ChatTurns(starter_tokenizer())


def test_a_call_may_mix_formats(tmp_path):
    """Two names of one base, so that the formats alone differ."""
    base = taught_base(tmp_path, PlainLines, steps=20)

    class Named(type(base)):
        def adapter_names(self, names):
            return {}

    plain = {"lines": PlainLines(base.tokenizer)}
    mixed = Named(base.model, base.tokenizer, ("base", "lines"), formats=plain)
    prompts, names = user_prompts("Sit down.", "Who sent you?", "Sit down.", "No."), ["lines", "base", "base", "lines"]
    alone = [generate(mixed, [prompt], [name], GREEDY)[0] for prompt, name in zip(prompts, names, strict=True)]
    assert generate(mixed, prompts, names, GREEDY) == alone
    assert alone[0] != alone[2]
    pair = [(prompts[0], "No.")]
    assert log_probs(mixed, "base", pair) == log_probs(base, "base", pair) != log_probs(mixed, "lines", pair)
    assert replace(base, formats={"base": plain["lines"]}).format_of("base") is plain["lines"]
