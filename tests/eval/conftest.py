"""Prompts in the form of the dialogue dataset."""

from __future__ import annotations

import pytest

from chat.template import SYSTEM_PROMPT

LINES = [
    ("Where were you?", "At the pier."),
    ("Who sent you?", "Nobody. I came by myself."),
    ("Sit down.", "No."),
    ("Is it loaded?", "It was when I bought it."),
    ("You look tired.", "I have been up since the flood."),
    ("What do you want?", "The truth, and a cup of coffee."),
]


@pytest.fixture
def rows():
    """One pair a conversation, two conversations a film."""
    return [
        {
            "prompt": [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": line}],
            "completion": [{"role": "assistant", "content": reply}],
            "movie_id": f"m{index // 2}",
            "movie_title": f"film {index // 2}",
            "conversation_id": f"c{index}",
            "line_ids": [f"L{2 * index}", f"L{2 * index + 1}"],
        }
        for index, (line, reply) in enumerate(LINES)
    ]
