"""A vote with odd characters, by its number."""

from hub.votes import Vote


def vote(number: int) -> Vote:
    return Vote(
        comparison=f"c{number}",
        time="2026-01-31T18:05Z",
        prompt=[{"role": "user", "content": f"Line {number}? \u202e\U0001f3ac\n\x00"}],
        replies={"base": "No.", "sft": "Yes.", "dpo": "No."},
        shown=[["sft"], ["base", "dpo"]],
        choice="2",
        chosen=["base", "dpo"],
        revisions={"base": "a" * 40, "sft": "b" * 40, "dpo": "c" * 40},
        sampling={"temperature": 0.9, "top_k": 25, "top_p": 0.95, "max_new_tokens": 64},
    )
