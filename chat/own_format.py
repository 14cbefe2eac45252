"""Chat format of a base with a template of its own, in which what people wrote is plain text all the same.

A prompt is what the template renders, encoded in one piece by a copy of the tokenizer whose control tokens have other
names, made of a number drawn when the copy is made: control tokens of the template are given these names, and a
visitor's are then in no vocabulary. Joins of pieces, trimming and BOS are thereby the template's and the tokenizer's.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from chat.chat_format import ChatFormatError, EncodedPairs, Message, PairTexts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MARK = "{#- Repartee: "
"""How a template begins to which `with_system` has been done."""
_FOLDED = MARK + "there is no system role, so the system message goes before the first user turn. -#}"
_SYSTEM = MARK + "where there is no system message, the one of the training is put in. -#}"
_SPLIT = (
    "{{%- if messages[0]['role'] == 'system' %}}{{% set repartee_system = messages[0]['content'] %}}"
    "{{% set repartee_turns = messages[1:] %}}{{% else %}}{{% set repartee_system = '{sentence}' %}}"
    "{{% set repartee_turns = messages %}}{{% endif %}}"
    "{{% set repartee_answers = repartee_turns and repartee_turns[0]['role'] != 'user' %}}"
)
# Before the first turn where that is not the user's: a template that takes a user's alone is given an empty one.
_OPENING = "([{'role': 'user', 'content': ''}] if repartee_answers else [])"
_BY_ROLE = "{%% set messages = [{'role': 'system', 'content': repartee_system}] + %srepartee_turns -%%}\n"
_BY_TURN = (
    "{% if repartee_answers or not repartee_turns %}"
    "{% set messages = [{'role': 'user', 'content': repartee_system}] + repartee_turns %}{% else %}"
    "{% set repartee_line = repartee_system + '\\n\\n' + repartee_turns[0]['content'] | trim %}"
    "{% set messages = [{'role': 'user', 'content': repartee_line}] + repartee_turns[1:] %}{% endif -%}\n"
)
# A model is asked as it was trained on every day, and without reasoning.
_CONSTANTS = {
    "strftime_now": "{%- macro strftime_now(format) %}26 Jul 2024{% endmacro %}",
    "enable_thinking": "{%- set enable_thinking = false %}",
}


def with_system(tokenizer: Any, sentence: str) -> str:
    """The tokenizer's chat template, behind a prelude that puts a system message in where there is none.

    Raises ChatFormatError where the template cannot render a user's and an assistant's turn.
    """
    template: str = tokenizer.get_chat_template()
    user, assistant, system = (_turn(role, f"a {role}'s") for role in ("user", "assistant", "system"))

    def render(messages: list[Message]) -> str:
        return str(tokenizer.apply_chat_template(messages, tokenize=False))

    def renders(messages: list[Message]) -> bool:
        try:
            text = render(messages)
        except Exception:  # what a template raises is its own affair
            return False
        return all(message["content"] in text for message in messages)

    if not renders([user, assistant]):
        raise ChatFormatError(
            f"the chat template of {tokenizer.name_or_path} cannot render a user's and an assistant's turn; "
            "take another version of this base"
        )
    constants = "".join(fixed for name, fixed in _CONSTANTS.items() if name in template)
    split = constants + _SPLIT.format(sentence=sentence)
    if not renders([system, user]):
        return _FOLDED + split + _BY_TURN + template
    strict = not renders([system, assistant, user])
    return _SYSTEM + split + _BY_ROLE % (f"{_OPENING} + " if strict else "") + template


class OwnFormat:
    """The chat format of a tokenizer whose template has been through `with_system`.

    A turn is ended by the first token behind its content; by EOS where the template leaves that to whoever trains.
    Raises ChatFormatError where there is neither.

    Args:
        tokenizer: as `chat.template.configure_tokenizer` leaves it.
        own: whether the template is the base's own, and not ChatML's for a tokenizer that encodes it in one piece.
    """

    def __init__(self, tokenizer: Any, own: bool = True) -> None:
        self.tokenizer, self.own = tokenizer, own
        self.system_in_first_turn = tokenizer.chat_template.startswith(_FOLDED)
        added: dict[str, int] = tokenizer.get_added_vocab()
        # White space that is one token, as in Gemma's tokenizer, controls nothing.
        control = sorted(
            (token for token in added if len(token) > 1 and token.strip(" \n\t\r▁")), key=len, reverse=True
        )
        self._nonce = f"\ue000{secrets.token_hex(8)}"
        self._names = {token: f"{self._nonce}:{added[token]}\ue001" for token in control}
        self._control = re.compile(f"({'|'.join(map(re.escape, control)) or '(?!)'})")  # a group, to split by
        self._plain = _renamed(tokenizer, self._names)
        self._ids = {self._plain.token_to_id(self._names.get(token, token)): id for token, id in added.items()}

        prompt = [_turn("user", "-")]
        opened = self._render(prompt, True)
        before, _, after = self._render([*prompt, _turn("assistant", self._nonce)], False).partition(self._nonce)
        end = self._control.search(after)
        if not (end or tokenizer.eos_token):
            raise ChatFormatError(
                f"the chat template of {tokenizer.name_or_path} ends an assistant's turn with no token, and its "
                "tokenizer has no eos_token; take another version of this base"
            )
        self.end_of_turn: str = end[0] if end else tokenizer.eos_token
        self._unsaid = "" if end else self.end_of_turn
        last = [found.start() for found in self._control.finditer(opened)]
        self._lead = opened[last[-1] :] if last else opened
        found = before.rfind(self._lead)  # what stands between a prompt and a reply's content belongs to the reply
        self._reply_at = len(before) if found < 0 else found + len(self._lead)
        (self._lead_ids,) = self._encode([self._lead])

    def encode_prompt(self, messages: list[Message]) -> list[int]:
        """Encodes messages up to where the reply begins; for ordinary text as `apply_chat_template` does."""
        return self._encode([self._escaped_prompt(messages)])[0]

    def encode_reply(self, reply: str) -> list[int]:
        """Encodes a reply as it stands behind a prompt, and the token that ends it."""
        return self._encode_replies([reply])[0]

    def encode_pairs(self, pairs: PairTexts) -> EncodedPairs:
        """Encodes pairs for training; every distinct prompt and reply is tokenized once."""
        import numpy as np

        roles, texts, message_roles, message_texts, offsets, reply_texts = pairs
        messages = list(zip(message_roles.tolist(), message_texts.tolist(), strict=True))
        keys = [tuple(messages[start:end]) for start, end in pairwise(offsets.tolist())]
        distinct = list(dict.fromkeys(keys))
        rendered = [self._escaped_prompt([_turn(roles[r], texts[t]) for r, t in key]) for key in distinct]
        prompts = dict(zip(distinct, self._encode(rendered), strict=True))
        said = list(dict.fromkeys(reply_texts.tolist()))
        replies = dict(zip(said, self._encode_replies([texts[reply] for reply in said]), strict=True))
        rows = [
            part
            for key, reply in zip(keys, reply_texts.tolist(), strict=True)
            for part in (prompts[key], replies[reply])
        ]
        sizes = np.array([len(row) for row in rows], dtype=np.int64)
        tokens = np.fromiter((token for row in rows for token in row), dtype=np.int32, count=int(sizes.sum()))
        of_reply = np.repeat(np.arange(len(rows)) % 2 == 1, sizes)
        return EncodedPairs(tokens, of_reply, sizes[::2] + sizes[1::2], sizes[1::2])

    def render_prompt(self, messages: list[Message]) -> str:
        """Renders a prompt as text, in which contents are as they are."""
        return self._render(messages, True)

    def render_reply(self, reply: str) -> str:
        """Renders a reply as the text behind that of a prompt, without the token that ends it."""
        return self._reply(reply).removesuffix(self.end_of_turn)

    def _render(self, messages: list[Message], opened: bool) -> str:
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=opened))

    def _reply(self, reply: str) -> str:
        """What the template makes of a reply, from the end of a prompt up to and with the token that ends the turn."""
        text = self._render([_turn("user", "-"), _turn("assistant", reply)], False) + self._unsaid
        end = text.index(self.end_of_turn, self._reply_at) + len(self.end_of_turn)
        return text[self._reply_at : end]

    def _escaped_prompt(self, messages: list[Message]) -> str:
        return self._render([_turn(message["role"], self._escape(message["content"])) for message in messages], True)

    def _escape(self, text: str) -> str:
        """Breaks every control token of a text by the drawn number, which is taken out when the text is encoded."""
        while self._control.search(text):
            text = self._control.sub(lambda found: f"{found[0][0]}{self._nonce}{found[0][1:]}", text)
        return text

    def _encode(self, rendered: Sequence[str]) -> list[list[int]]:
        """Encodes texts of the template with escaped contents."""
        whole = [
            "".join(self._names.get(piece, piece.replace(self._nonce, "")) for piece in self._control.split(text))
            for text in rendered
        ]
        encoded = self._plain.encode_batch_fast(whole, add_special_tokens=False)
        return [[self._ids.get(token, token) for token in encoding.ids] for encoding in encoded]

    def _encode_replies(self, replies: Sequence[str]) -> list[list[int]]:
        """Encodes replies behind the end of a prompt; by themselves where white space joins that in one token."""
        texts = [self._reply(self._escape(reply)) for reply in replies]
        size = len(self._lead_ids)
        behind = self._encode([self._lead + text for text in texts])
        return [
            ids[size:] if ids[:size] == self._lead_ids else self._encode([text])[0]
            for ids, text in zip(behind, texts, strict=True)
        ]


def _turn(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _renamed(tokenizer: Any, names: dict[str, str]) -> Tokenizer:
    """A copy of the tokenizer that knows its control tokens by other names, and by these alone."""
    from tokenizers import Tokenizer

    content = json.loads(tokenizer.backend_tokenizer.to_str())
    added = [{**token, "content": names.get(token["content"], token["content"])} for token in content["added_tokens"]]
    model = content["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {names.get(token, token): id for token, id in model["vocab"].items()}
    else:  # of a unigram model
        model["vocab"] = [[names.get(token, token), score] for token, score in model["vocab"]]
    if "merges" in model:
        model["merges"] = [[a, b] for a, b in model["merges"] if not {a, b, a + b} & names.keys()]
    if model.get("unk_token"):
        model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
    changed = {"added_tokens": added, "model": model, "truncation": None, "padding": None}
    return Tokenizer.from_str(json.dumps({**content, **changed}))
