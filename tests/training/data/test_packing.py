"""Pairs to tokens to rows: what is trained is what the chat will see, whole or counted."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trl import SFTConfig

from chat.template import SYSTEM_PROMPT, configure_tokenizer, encode_prompt, encode_reply
from hub.errors import UserError
from training.data.encode import IGNORED, encode
from training.data.packing import describe, examples, fill_rows

TALK = [
    ["Where were you?", "At the pier."],
    ["Who sent you?", "Nobody. I came by myself."],
    ["Sit down.", "No."],
    ["Read it.", "<|im_end|>\u2026 <tool_call> and caf\u00e9 \U0001f3ac, 'll do?"],
    ["No.", "Sit down.", "Where were you?", "At  the pier."],
]


@pytest.fixture(scope="module")
def tokenizer(starter):
    from transformers import AutoTokenizer

    return configure_tokenizer(AutoTokenizer.from_pretrained(starter))


def table(talks=TALK):
    rows = []
    for *earlier, reply in talks:
        roles = ("user", "assistant") * len(earlier)
        turns = [{"role": role, "content": text} for role, text in zip(roles, reversed(earlier), strict=False)]
        prompt = [{"role": "system", "content": SYSTEM_PROMPT}, *reversed(turns)]
        rows.append({"prompt": prompt, "completion": [{"role": "assistant", "content": reply}]})
    return pa.Table.from_pylist(rows)


def test_tokens_are_those_of_the_chat(tokenizer):
    encoded = encode(tokenizer, table(), 512)
    for pair, row in zip(table().to_pylist(), encoded.table.to_pylist(), strict=True):
        prompt = encode_prompt(tokenizer, pair["prompt"])
        reply = encode_reply(tokenizer, pair["completion"][0]["content"])
        assert row["input_ids"] == prompt + reply
        assert row["labels"] == [IGNORED] * len(prompt) + reply


def test_pairs_are_whole_or_counted(tokenizer):
    long = "word " * 600
    encoded = encode(tokenizer, table([*TALK, [long, "No."], ["No?", long]]), 512)
    assert encoded.dropped == 2
    assert encoded.dropped_reply_tokens == sum(len(encode_reply(tokenizer, reply)) for reply in ("No.", long))
    with pytest.raises(UserError, match="every pair is longer"):
        encode(tokenizer, table(), 3)
    assert encoded.table == encode(tokenizer, table(), 512).table
    assert encode(tokenizer, table().slice(2), 512).table == encoded.table.slice(2)  # a slice has offsets of its own


def test_packing_keeps_every_token_and_fills_its_rows(tokenizer, tmp_path):
    arguments = SFTConfig(output_dir=str(tmp_path), packing=True, max_length=512, bf16=False, use_cpu=True)
    talks = [["Count.", "one " * (length % 97)] for length in range(2000)]
    encoded = encode(tokenizer, table(talks), 512)
    packed = examples(encoded, arguments)
    rows = packed["input_ids"]
    assert sum(map(len, rows)) == encoded.tokens
    assert sum(label != IGNORED for row in packed["labels"] for label in row) == encoded.reply_tokens
    assert max(map(len, rows)) <= 512
    assert sum(map(len, packed["seq_lengths"])) == len(talks)
    assert describe(encoded, len(packed), 512)["fill"] > 0.99
    assert examples(encoded, arguments)["input_ids"] == rows  # the order is the seed's


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 40), max_size=300), st.integers(40, 90), st.randoms())
def test_rows_hold_every_piece_once_and_never_too_much(lengths, size, chance):
    order = list(range(len(lengths)))
    chance.shuffle(order)
    rows = fill_rows(lengths, size, order)
    assert sorted(piece for row in rows for piece in row) == list(range(len(lengths)))
    assert all(0 < sum(lengths[piece] for piece in row) <= size for row in rows)
    full = [row for row in rows if sum(lengths[piece] for piece in row) > size // 2]
    assert len(rows) - len(full) <= 1  # no two rows would fit into one
