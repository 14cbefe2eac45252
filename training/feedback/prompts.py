"""Lines to answer, written by a strong model: `python -m training.prompts --recipe FILE preferences.prompts=10000`.

A scene is drawn for each call from a grid of genre, relationship, emotion, situation and era (`grid.yaml`); the model
writes a few first lines for it. What is a refusal, a stage direction, or too like another line or one of the test
films is left out and counted, and more are asked for until there are enough. Every answer is kept in the judge's cache,
so the preferences stage (with `preferences.prompts_from: judge`) pays for none of them again.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path

import yaml

from chat.template import SYSTEM_PROMPT
from eval.judge.capabilities import Capabilities, probe
from eval.judge.client import Client
from eval.judge.messages import Request
from hub.errors import UserError
from hub.lineage import Input, pin
from training.feedback.near_duplicates import near_duplicates
from training.feedback.sampling import PromptRow
from training.recipe import Recipe
from training.stage import command, log_progress

GRID = Path(__file__).with_name("grid.yaml")
PER_CALL = 5
ROUNDS = 12
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"lines": {"type": "array", "items": {"type": "string"}}},
        "required": ["lines"],
        "additionalProperties": False,
    }
)
ASK = """\
Write {count} lines of film dialogue, each the first line of a scene of its own, spoken by one character to another.

Genre: {genre}. Who speaks: {relationship}. What is felt: {emotion}. Situation: {situation}. Time: {era}.

Each line is what is said aloud and nothing else: no names, no stage directions, no quotation marks; 3 to 30 words; the
five as different from each other as people are. It must call for a reply.

Answer with JSON: {{"lines": ["...", ...]}}"""
REFUSAL = re.compile(
    r"\b(as an ai|language model|i can(?:no|')t (?:assist|provide|help (?:you )?with))\b", re.IGNORECASE
)
DIRECTION = re.compile(r"[\[\]{}*_#<>]|^\(|\)$|^(INT|EXT)\.|^[A-Z][A-Z .']{2,}:")


def grid() -> dict[str, list[str]]:
    """Lists that scenes are drawn from, by name (`grid.yaml`)."""
    return yaml.safe_load(GRID.read_text("utf-8"))


def scene(number: int, seed: int, lists: dict[str, list[str]]) -> dict[str, str]:
    """The scene of a call, by its number and the seed alone."""
    rng = random.Random(f"{seed}:{number}")
    return {name: rng.choice(entries) for name, entries in lists.items()}


def prompt_request(number: int, about: dict[str, str], mode: Capabilities) -> Request:
    """Judge request for `PER_CALL` lines of a scene; its number keeps equal scenes apart in the cache."""
    return Request(
        (("user", ASK.format(count=PER_CALL, **about)),),
        max_tokens=60 * PER_CALL + mode.thinking,
        temperature=1.0 if mode.temperature else -1.0,
        schema=SCHEMA if mode.schema else None,
        salt=number,
    )


def lines_of(text: str) -> list[str]:
    """The lines in an answer, also where JSON stands among other words; none where there is none."""
    found = re.search(r"\{.*\}", text, re.DOTALL)
    try:
        lines = json.loads(found[0])["lines"] if found else []
    except (ValueError, KeyError, TypeError):
        return []
    return [" ".join(line.split()) for line in lines if isinstance(line, str)] if isinstance(lines, list) else []


def line_defect(line: str) -> str | None:
    """Why a line is none to answer, or None."""
    if REFUSAL.search(line):
        return "a refusal"
    if DIRECTION.search(line):
        return "a stage direction"
    return None if 2 <= len(line.split()) <= 60 else "too short or too long"


def written_prompts(
    client: Client, count: int, seed: int, against: list[str]
) -> tuple[list[PromptRow], dict[str, int]]:
    """Synthetic prompts: asks until `count` lines are good, in at most ROUNDS rounds.

    Args:
        client: the judge, which writes them.
        count: how many.
        seed: of the scenes.
        against: lines that none may be like: those of the test films.

    Returns:
        Rows with `prompt`, `scene` and `film_reply` (None), and how many lines were left out and why.

    Raises:
        UserError: no line is good.
    """
    mode, lists = probe(client), grid()
    taken: list[tuple[str, dict[str, str]]] = []
    counts: Counter[str] = Counter()
    calls = 0
    for _ in range(ROUNDS):
        lacking = count - len(taken)
        numbers = range(calls, calls + max(1, -(-lacking * 5 // (PER_CALL * 4))))  # a fifth will not do
        calls = numbers.stop
        scenes = [scene(number, seed, lists) for number in numbers]
        requests = [prompt_request(number, about, mode) for number, about in zip(numbers, scenes, strict=True)]
        fresh = []
        for answer, about in zip(client.ask(requests, "writing prompts"), scenes, strict=True):
            found = lines_of(answer.texts[0])
            counts["answers without lines"] += not found
            for line in found:
                if reason := line_defect(line):
                    counts[f"left out: {reason}"] += 1
                else:
                    fresh.append((line, about))
        double = near_duplicates([line for line, _ in [*taken, *fresh]], against)[len(taken) :]
        counts["left out: like another line"] += int(double.sum())
        taken += [entry for entry, is_double in zip(fresh, double, strict=True) if not is_double]
        if len(taken) >= count:
            break
    if not taken:
        raise UserError("the judge wrote no line that can be used; see judge.model, and what it answers")
    counts["calls"] = calls
    if len(taken) < count:
        log_progress(
            "prompts", f"{len(taken):,} of {count:,} lines after {ROUNDS} rounds: the others were too like them"
        )
    rows: list[PromptRow] = [
        {
            "prompt": [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": line}],
            "scene": about,
            "film_reply": None,
        }
        for line, about in taken[:count]
    ]
    return rows, dict(+counts)


def test_lines(dialogue: Input) -> list[str]:
    """Every line that is answered in the test films."""
    from datasets import load_dataset

    rows = load_dataset(dialogue.repo, "pairs", split="test", revision=dialogue.revision)
    return sorted({prompt[-1]["content"] for prompt in rows["prompt"]})


def write_prompts(recipe: Recipe, work: Path) -> str:
    """Synthetic prompts and what they cost, printed; they stay in the judge's cache."""
    settings = recipe.preferences
    against = test_lines(pin(recipe.names.dialogue, "dataset"))
    with Client(recipe.judge, work / "judge.sqlite") as client:
        rows, counts = written_prompts(client, settings.prompts, settings.seed, against)
        for name, value in counts.items():
            log_progress("prompts", f"{name}: {value:,}")
        for row in rows[:10]:
            log_progress("prompts", row["prompt"][-1]["content"])
        log_progress("prompts", f"{len(rows):,} prompts; {client.budget.summarize()}")
    return ""


if __name__ == "__main__":
    command(write_prompts, __doc__)
