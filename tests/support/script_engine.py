"""An engine without a model."""

from __future__ import annotations

from chat.generate import Partial


class Script:
    """An engine that reads its replies from a script, two words at a time apart, and remembers what it was asked."""

    def __init__(self, **replies: str) -> None:
        self.replies, self.asked, self.closed = replies, [], False

    def stream(self, prompts, names, sampling, seed=None):
        self.asked.append((prompts, names, sampling))
        self.seed = seed
        words = [self.replies[name].split() for name in names]
        try:
            for n in range(1, max(map(len, words)) + 1):
                yield [
                    Partial(" ".join(row[:n]), n >= len(row), "<|im_end|>" if n >= len(row) else None, min(n, len(row)))
                    for row in words
                ]
        finally:
            self.closed = True
