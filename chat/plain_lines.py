r"""Plain lines: a dialogue as a base reads it in a script, line under line; the reply is the next line.

    prompt  <|endoftext|>Where were you?\n
    reply   At the pier.\n

It is the format of a base that knows no chat. The system message, roles and control tokens are left out; a text starts
with what the tokenizer puts before every text, or else with the end of the text before.
"""

from __future__ import annotations

import math
from collections import defaultdict
from functools import cached_property
from typing import Any

from chat.reply_format import token_log_probs
from chat.template import PAD, STOP, Message, break_control_tokens, stop_ids

BREAKS = ("\n", "\r")


class PlainLines:
    """Plain lines on a tokenizer.

    Tokenizers cut like Qwen's have `.` with its line break as one token, so a reply's text and end are one token or
    two. `reply_log_probs` sums over both ways: text and end are what they are whichever way the model takes.
    """

    name = "plain"
    stop_is_text = True

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._newline = self._encode("\n")[-1]
        self._start = tokenizer.encode("")[:1] or [stop_ids(tokenizer).get(PAD, self._newline)]

    def encode_prompt(self, messages: list[Message]) -> list[int]:
        """Encodes the lines of a prompt, each with its line break; of an empty prompt the start of a text is left."""
        lines = (_one_line(message["content"]) for message in messages if message["role"] != "system")
        return [*self._start, *self._encode("".join(f"{line}\n" for line in lines if line))]

    def encode_reply(self, reply: str) -> list[int]:
        """Encodes a reply on one line, and a line break."""
        return [*self._encode(_one_line(reply)), self._newline]

    def stop_names(self) -> dict[int, str]:
        """Every token with a line break in it ends the reply; the end of a text too, and is named apart."""
        end = stop_ids(self.tokenizer)
        return dict.fromkeys(self._broken, STOP) | ({end[PAD]: PAD} if PAD in end else {})

    def never_first(self) -> list[int]:
        """Line breaks: a base leaves lines empty between two speakers, and its reply is the next line that is not."""
        return self._line_breaks

    def reply_log_probs(self, predicted: Any, reply: list[int]) -> list[float]:
        """Log-probabilities of the reply's tokens, and last of any line break behind them.

        With p of the last token t of the text, m of all tokens that are t with line breaks, and b of a line break
        behind t: the text goes on with t by p + m, and ends there by (m + p b) / (p + m).
        """
        *scores, _ = token_log_probs(predicted, reply)
        end = float(predicted[-1, self._line_breaks].logsumexp(0))
        joined = self._joined[self._texts[reply[-2]]] if scores else []
        if joined:
            alone, with_break = scores[-1], float(predicted[-2, joined].logsumexp(0))
            scores[-1] = _log_sum(alone, with_break)
            end = _log_sum(with_break, alone + end) - scores[-1]
        return [*scores, end]

    @cached_property
    def _texts(self) -> list[str]:
        """Text of every token by itself; control tokens have none."""
        ids = [[token] for token in range(len(self.tokenizer))]
        texts: list[str] = self.tokenizer.backend_tokenizer.decode_batch(ids, skip_special_tokens=True)
        return texts

    @cached_property
    def _broken(self) -> list[int]:
        """Tokens that have a line break anywhere."""
        return [token for token, text in enumerate(self._texts) if any(end in text for end in BREAKS)]

    @cached_property
    def _line_breaks(self) -> list[int]:
        """Tokens that begin with a line break, spaces aside."""
        return [token for token in self._broken if self._texts[token].lstrip(" \t").startswith(BREAKS)]

    @cached_property
    def _joined(self) -> defaultdict[str, list[int]]:
        """Of each text, the tokens that are this text and line breaks."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for token in self._broken:
            found[self._texts[token].rstrip("".join(BREAKS))].append(token)
        return found

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(break_control_tokens(self.tokenizer, text), add_special_tokens=False)
        return ids


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _log_sum(first: float, second: float) -> float:
    """log(exp(first) + exp(second))."""
    high, low = max(first, second), min(first, second)
    return high + math.log1p(math.exp(low - high))
