"""A base's own chat format: its template's ids, our system message, and visitors who write control tokens."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from chat.chat_format import ChatFormatError
from chat.template import (
    CHAT_TEMPLATE,
    PAD,
    START,
    STOP,
    SYSTEM_PROMPT,
    break_control_tokens,
    broken_messages,
    build_prompt,
    chat_format,
    configure_tokenizer,
    encode_prompt,
    encode_reply,
    is_chatml,
    missing_tokens,
    render_text,
    stop_ids,
)
from tests.chat.test_template import of_training, turn
from tests.support.chat_formats import FORMATS, own_tokenizer
from tests.support.proof import repetitions

SYSTEM, WHO, ME = turn("system", SYSTEM_PROMPT), turn("user", "Who is it?"), turn("assistant", "Me.")
RENDERED = {
    "gemma": "<bos><start_of_turn>user\n{system}\n\nWho is it?<end_of_turn>\n<start_of_turn>model\n",
    "drops the system": "<bos><start_of_turn>user\n{system}\n\nWho is it?<end_of_turn>\n<start_of_turn>model\n",
    "llama 3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nWho is it?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "mistral": "<s>[INST] {system}\n\nWho is it?[/INST]",
    "thinks": "<|im_start|>system\nIt is 26 Jul 2024.\n{system}<|im_end|>\n<|im_start|>user\nWho is it?<|im_end|>\n"
    "<|im_start|>assistant\n<think>\n\n</think>\n\n",
}


@pytest.fixture(scope="module", params=FORMATS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def tokenizer(starter, name):
    return own_tokenizer(starter, name)


def templated(tokenizer, messages, **options):
    return tokenizer.apply_chat_template(messages, **options)["input_ids"]


def up_to_reply(tokenizer, ids):
    """The ids of a conversation in the manner of Mistral, up to the token that its last reply stands behind."""
    return ids[: len(ids) - ids[::-1].index(tokenizer.convert_tokens_to_ids("[/INST]"))]


def test_it_is_asked_as_its_template_says_with_our_system_message(tokenizer, name):
    expected = RENDERED[name].format(system=SYSTEM_PROMPT)
    assert chat_format(tokenizer).render_prompt([SYSTEM, WHO]) == expected
    assert tokenizer.apply_chat_template([WHO], tokenize=False, add_generation_prompt=True) == expected
    assert render_text(tokenizer, [SYSTEM, WHO]) == expected.removeprefix(tokenizer.bos_token)  # a server puts it there
    assert tokenizer.encode("")[0] == tokenizer.bos_token_id
    ids = encode_prompt(tokenizer, [SYSTEM, WHO])
    assert ids.count(tokenizer.bos_token_id) == (name != "thinks")
    told = encode_prompt(tokenizer, [turn("system", "Be brief."), WHO])
    assert tokenizer.decode(told).count("Be brief.") == 1
    assert SYSTEM_PROMPT not in tokenizer.decode(told)


def test_its_own_tokens_end_a_turn_and_pad(tokenizer, name):
    found, chat = FORMATS[name], chat_format(tokenizer)
    assert chat.own
    assert (chat.end_of_turn, tokenizer.eos_token) == (found.end, found.end)
    assert chat.system_in_first_turn == found.system_in_first_turn
    ids = {STOP: found.end} if name == "mistral" else {STOP: found.end, PAD: "<|endoftext|>"}  # which the starter has
    assert stop_ids(tokenizer) == {key: tokenizer.convert_tokens_to_ids(token) for key, token in ids.items()}
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    assert encode_reply(tokenizer, "Me.")[-1] == tokenizer.eos_token_id


@settings(max_examples=repetitions(60, 20), deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_ordinary_text_encodes_as_the_template_does(tokenizer, name, text):
    text = break_control_tokens(tokenizer, text)
    for scene in ([SYSTEM, turn("user", text)], [turn("user", text), turn("assistant", text), turn("user", text)]):
        assert encode_prompt(tokenizer, scene) == templated(tokenizer, scene, add_generation_prompt=True)
    prompt, reply = encode_prompt(tokenizer, [WHO]), text.strip() or "-"
    whole = templated(tokenizer, [WHO, turn("assistant", reply)])
    said = encode_reply(tokenizer, reply)
    if name == "mistral":  # which moves a system message to the last turn, if that is the user's
        prompt = up_to_reply(tokenizer, whole)
    assert whole[: len(prompt + said)] == prompt + said


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
CONTROL = st.sampled_from(
    [
        *sorted({token for found in FORMATS.values() for token in found.tokens}),
        "<tool_call>",
        "<",
        "|>",
        "\n",
        " ",
        "\ue000",
    ]
)
WRITTEN = st.lists(st.one_of(TEXT, CONTROL), max_size=5).map("".join)


def alternating(texts):
    """Turns of which the last is the user's."""
    roles = ["user", "assistant"] * len(texts)
    return [turn(role, text) for role, text in zip(roles[(len(texts) + 1) % 2 :], texts, strict=False)]


@settings(max_examples=repetitions(60, 20), deadline=None)
@given(st.lists(st.tuples(st.lists(WRITTEN, min_size=1, max_size=4), WRITTEN.filter(str.strip)), max_size=3))
def test_the_forms_are_one_whatever_is_written(tokenizer, written):
    """Ids, training and text agree; control tokens are as many as with ordinary text, and the text is all there."""
    pairs = [([SYSTEM, *alternating(texts)], reply) for texts, reply in written]
    expected = [(encode_prompt(tokenizer, prompt), encode_reply(tokenizer, reply)) for prompt, reply in pairs]
    assert of_training(tokenizer, pairs) == expected
    control = [id for token, id in tokenizer.get_added_vocab().items() if token.strip() and token != "<unk>"]
    for (prompt, _), (ids, reply_ids) in zip(pairs, expected, strict=True):
        harmless = encode_prompt(tokenizer, [{**message, "content": "-"} for message in prompt])
        assert [ids.count(token) for token in control] == [harmless.count(token) for token in control]
        assert [id for id in reply_ids if id in control] == [tokenizer.eos_token_id]
        broken = broken_messages(tokenizer, prompt)
        own = templated(tokenizer, broken, add_generation_prompt=True)
        assert encode_prompt(tokenizer, broken) == own
        text = render_text(tokenizer, prompt)
        assert tokenizer.encode(text, add_special_tokens=text != chat_format(tokenizer).render_prompt(broken)) == own


def test_a_visitor_cannot_write_control_tokens(tokenizer, name):
    forged = f"Hi.{''.join(FORMATS[name].tokens)}{FORMATS[name].end} <tool_call>"
    ids, plain = (encode_prompt(tokenizer, [turn("user", text)]) for text in (forged, "Hi."))
    control = set(tokenizer.convert_tokens_to_ids([*FORMATS[name].tokens, FORMATS[name].end]))
    assert [id for id in ids if id in control] == [id for id in plain if id in control]
    assert forged in tokenizer.decode(ids)
    assert tokenizer.encode(FORMATS[name].end, add_special_tokens=False)[-1:] == [tokenizer.eos_token_id]  # as it was


def test_a_reply_right_behind_a_control_token_begins_no_word(starter):
    tokenizer = own_tokenizer(starter, "mistral", configured=False)
    tokenizer.chat_template = tokenizer.chat_template.replace("{{ ' ' + message", "{{ message")
    whole = templated(configure_tokenizer(tokenizer), [WHO, ME])
    assert up_to_reply(tokenizer, whole) + encode_reply(tokenizer, "Me.") == whole
    assert encode_reply(tokenizer, "</s>").count(tokenizer.eos_token_id) == 1  # though the word is in the vocabulary


def test_a_prompt_that_begins_with_an_answer_is_rendered_too(tokenizer):
    prompt = [SYSTEM, ME, WHO]
    assert encode_prompt(tokenizer, prompt) == templated(tokenizer, prompt, add_generation_prompt=True)
    text = tokenizer.decode(encode_prompt(tokenizer, prompt))
    assert [text.count(said) for said in (SYSTEM_PROMPT, "Me.", "Who is it?")] == [1, 1, 1]


def test_texts_are_trimmed_where_the_template_trims(tokenizer, name):
    ids, trimmed = encode_reply(tokenizer, " Me.\n"), encode_reply(tokenizer, "Me.")
    assert (ids == trimmed) == FORMATS[name].trims


def test_a_saved_tokenizer_is_known_again(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "once")
    again = configure_tokenizer(AutoTokenizer.from_pretrained(tmp_path / "once"))
    assert again.chat_template == tokenizer.chat_template
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
    prompt = [SYSTEM, WHO]
    assert encode_prompt(again, prompt) == encode_prompt(tokenizer, prompt)
    assert (stop_ids(again), again.pad_token) == (stop_ids(tokenizer), tokenizer.pad_token)


def test_a_template_that_renders_chatml_is_the_contract(starter):
    tokenizer = AutoTokenizer.from_pretrained(starter)
    tokenizer.chat_template = CHAT_TEMPLATE.replace(SYSTEM_PROMPT, "You are a helpful assistant.")
    assert is_chatml(tokenizer)
    assert configure_tokenizer(tokenizer).chat_template == CHAT_TEMPLATE
    assert not chat_format(tokenizer).own
    tokenizer.chat_template = "{{ '<|endoftext|>' }}" + CHAT_TEMPLATE  # with a BOS it is another
    assert not is_chatml(tokenizer)


def test_a_base_that_knows_no_turns_gets_chatml_s(starter):
    tokenizer = own_tokenizer(starter, "mistral", configured=False)
    tokenizer.chat_template = None
    known = len(tokenizer)
    assert missing_tokens(tokenizer) == [START, STOP]
    assert tokenizer.convert_tokens_to_ids([START, STOP]) == [tokenizer.unk_token_id] * 2
    assert configure_tokenizer(tokenizer).convert_tokens_to_ids([START, STOP]) == [known, known + 1]
    assert len(configure_tokenizer(tokenizer)) == known + 2, "again, it changes nothing"
    assert missing_tokens(tokenizer) == []
    prompt = encode_prompt(tokenizer, build_prompt([{"role": "user", "content": "Who is it?"}], 1))
    assert (prompt.count(known), prompt.count(known + 1)) == (3, 2)
    assert (tokenizer.eos_token, encode_reply(tokenizer, "Me.")[-1]) == (STOP, known + 1)


def test_tokens_that_would_take_the_number_of_another_are_not_added(starter):
    from tokenizers import Tokenizer

    tokenizer = AutoTokenizer.from_pretrained(starter)
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    content["added_tokens"] = []
    content["model"]["vocab"] = {t: n for t, n in content["model"]["vocab"].items() if not t.startswith("<|im_")}
    holed = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(content)))
    with pytest.raises(
        ChatFormatError, match=r"no <\|im_start\|> and <\|im_end\|>, and they cannot be added"
    ) as caught:
        configure_tokenizer(holed)
    assert "\n" not in str(caught.value)


def test_a_template_that_renders_nothing_is_one_line(starter):
    tokenizer = own_tokenizer(starter, "mistral", configured=False)
    tokenizer.chat_template = "{{ raise_exception('not for chat') }}"
    with pytest.raises(ChatFormatError, match="cannot render a user's and an assistant's turn"):
        configure_tokenizer(tokenizer)


def test_a_template_that_ends_no_turn_leaves_it_to_eos(starter):
    tokenizer = own_tokenizer(starter, "mistral", configured=False)
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
    )
    assert encode_reply(configure_tokenizer(tokenizer), "Me.")[-1] == tokenizer.convert_tokens_to_ids("</s>")
