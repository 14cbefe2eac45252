"""Work of each stage of a recipe's chain: tokens trained on, read and sampled, calls to an LLM, bytes moved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from eval.judge.prices import price_of
from eval.judge.settings import JudgeSettings
from eval.qualify.controls import CONTROLS
from eval.qualify.pairs import SAMPLES
from training.estimate.assumptions import Call, assumptions
from training.feedback.prompts import PER_CALL
from training.finetune.memory_plan import Shape
from training.recipe import Recipe
from training.recipe_preferences import OTHER_SOURCES

BF16 = 2
"""Bytes of a published weight."""
EVALUATED = 3
"""Variants: base, sft and dpo."""
GEVAL_CRITERIA = 4
"""Of G-Eval (`eval/geval/criteria.yaml`)."""
MARGIN = 0.2
"""Of the judged pairs whose kept share `assumptions.yaml` has."""
PASSES = 2
"""A reply is read twice for its PMI: with the prompt and without."""


@dataclass(frozen=True)
class Work:
    """What a stage takes, whatever it runs on."""

    trained: float = 0
    """Tokens through the model forward and back."""
    read: float = 0
    """Tokens forward alone: of a reference, of a judge, of validation."""
    sampled: float = 0
    """Tokens that are generated."""
    calls: int = 0
    """To an LLM."""
    dollars: float | None = 0.0
    """What they cost; None where the price is not known."""
    down: float = 0
    """Bytes from the Hub."""
    up: float = 0
    """Bytes to the Hub."""


def chain_work(recipe: Recipe, shape: Shape, pairs: Mapping[str, int]) -> dict[str, Work]:
    """Work of each stage by name, in the order of the chain.

    Args:
        recipe: of the chain; `geval` is counted too where it names an LLM.
        shape: of its base.
        pairs: of the dialogue dataset, by split.
    """
    adapter = 4 * shape.lora(recipe.model.lora.r)  # published in float32 at most
    weights = BF16 * (shape.linear + shape.embedding)
    everything = assumptions().bytes["pair"] * sum(pairs.values())
    prompts = min(recipe.preferences.prompts, pairs["train"])
    work = {
        "prepare": Work(down=assumptions().bytes["corpus"], up=everything),
        "base": Work(down=weights, up=0 if is_on_hub(recipe) else weights),
        "sft": replace(sft_work(recipe, pairs), down=everything, up=adapter),
    }
    if recipe.own_realism:
        work["realism"] = realism_work(min(recipe.realism.prompts, pairs["train"]))
    work["preferences"] = preferences_work(recipe, prompts)
    kept = kept_share(recipe)
    work["dpo"] = dpo_work(prompts * kept, recipe.dpo.trl, adapter)
    if recipe.rl.in_chain:
        work |= online_work(recipe, prompts * kept, adapter)
    work["evaluation"] = evaluation_work(recipe, pairs)
    if recipe.judge.model:
        work["geval"] = asked({"geval": recipe.eval.prompts * EVALUATED * GEVAL_CRITERIA}, recipe.judge)
    return work


def kept_share(recipe: Recipe) -> float:
    """Share of judged pairs that DPO is given: all at a margin of 0, at MARGIN what `assumptions.yaml` has."""
    own, shares = recipe.preferences, assumptions().shares
    if own.source == "judge":
        return shares["kept_llm"]
    return max(0.0, 1 - (1 - shares["kept_embedded"]) * own.min_margin / MARGIN)


def is_on_hub(recipe: Recipe) -> bool:
    """Whether the base is a Hub id, which is taken as it is, and not published first."""
    from training.stage import is_hub_id

    return is_hub_id(recipe.model.base)


def sft_work(recipe: Recipe, pairs: Mapping[str, int]) -> Work:
    """Tokens that SFT trains on and that its evaluations read."""
    trl, own = recipe.sft.trl, recipe.sft
    a_pair = assumptions().tokens["pair"]
    epoch = a_pair * min(own.pairs or pairs["train"], pairs["train"])
    per_step = rows_per_step(trl) * (trl.get("max_length") or 1024)
    steps = math.ceil(epoch * epochs(trl) / per_step)
    taken = min(steps, own.step_limit or steps)
    checks = 0 if trl.get("eval_strategy", "no") == "no" else 1 + taken // int(trl.get("eval_steps") or taken)
    held_out = min(own.validation_pairs or pairs["validation"], pairs["validation"])
    return Work(trained=min(taken * per_step, epoch * epochs(trl)), read=checks * held_out * a_pair)


def rows_per_step(trl: Mapping[str, Any]) -> int:
    """Rows of an optimizer step, on one device."""
    return int(trl.get("per_device_train_batch_size", 8) * trl.get("gradient_accumulation_steps", 1))


def epochs(trl: Mapping[str, Any]) -> float:
    """Epochs of a trainer's section; TRL's default is 3."""
    return float(trl.get("num_train_epochs", 3))


def realism_work(prompts: int) -> Work:
    """Samples of base and SFT model to each prompt; the film's reply and those of the controls are read."""
    tokens = assumptions().tokens
    replies = prompts * (2 + len(SAMPLES) + 1) + prompts  # two films' lines, the samples, a spoiled one; the film's own
    return Work(sampled=prompts * (tokens["sampled"] + tokens["sampled_base"]), read=PASSES * replies * tokens["pair"])


def preferences_work(recipe: Recipe, prompts: int) -> Work:
    """Two replies to each prompt, and their judge; where an LLM writes the prompts, its calls too."""
    own, tokens = recipe.preferences, assumptions().tokens
    replies = 2 * prompts * (1 + assumptions().shares["redrawn"])
    sampled = replies * tokens["sampled"] if own.source != "votes" else 0.0
    control = len(CONTROLS) * own.qualification_pairs
    calls = {"write": math.ceil(own.prompts / PER_CALL)} if own.prompts_from == "judge" else {}
    if own.source == "judge":
        paid = asked({**calls, "pairwise": 2 * (own.prompts + control)}, recipe.judge)
        second = asked({"pairwise": 2 * own.prompts}, recipe.second_judge) if recipe.second_judge.model else Work()
        dollars = None if paid.dollars is None or second.dollars is None else paid.dollars + second.dollars
        return Work(sampled=sampled, calls=paid.calls + second.calls, dollars=dollars)
    paid = asked(calls, recipe.judge)
    judged = replies + 2 * control if own.source not in OTHER_SOURCES else 0
    return Work(sampled=sampled, read=PASSES * judged * tokens["pair"], calls=paid.calls, dollars=paid.dollars)


def asked(calls: Mapping[str, int], settings: JudgeSettings) -> Work:
    """Calls to an LLM, and what they cost by the table of prices or the settings' own."""
    price, count = price_of(settings), sum(calls.values())
    if not count:
        return Work()
    each: dict[str, Call] = assumptions().calls
    prompt = sum(times * each[name].prompt for name, times in calls.items())
    answer = sum(times * each[name].answer for name, times in calls.items())
    return Work(calls=count, dollars=price.of(prompt, answer) if price else None)


def dpo_work(kept: float, trl: Mapping[str, Any], adapter: float) -> Work:
    """Chosen and rejected of each pair forward and back, padded, and once through the reference, longest first."""
    tokens = 2 * kept * assumptions().tokens["pair"]
    return Work(trained=tokens * epochs(trl) / assumptions().shares["real"], read=tokens, up=adapter)


def online_work(recipe: Recipe, kept: float, adapter: float) -> dict[str, Work]:
    """The reward model, and RL with several replies to each prompt, read by policy, reference and reward model."""
    tokens = assumptions().tokens
    replies = recipe.rl.prompts * int(recipe.rl.trl.get("num_generations", 2)) * epochs(recipe.rl.trl)
    held_out = 2 * recipe.rl.held_out
    return {
        "reward": replace(dpo_work(kept, recipe.reward.trl, adapter), read=0),
        "rl": Work(
            trained=replies * tokens["pair"],
            read=(2 * replies + held_out) * tokens["pair"],
            sampled=(replies + held_out) * tokens["sampled"],
            up=adapter,
        ),
    }


def evaluation_work(recipe: Recipe, pairs: Mapping[str, int]) -> Work:
    """Replies of every variant, and the likelihoods by which the film's reply is ranked among others.

    The base's format is chosen by validation pairs, read in both formats.
    """
    own, tokens = recipe.eval, assumptions().tokens
    prompts = min(own.prompts, pairs["test"])
    sampled = prompts * ((EVALUATED - 1) * tokens["sampled"] + tokens["sampled_base"])
    # a prompt is read once for all replies that are ranked behind it, and each of them once without it
    ranked = prompts * EVALUATED * (tokens["pair"] + PASSES * (1 + own.distractors) * tokens["reply"])
    judged = prompts * (EVALUATED + 2) * PASSES * tokens["pair"]
    formats = 2 * min(own.format_pairs, pairs["validation"]) * tokens["pair"]
    return Work(sampled=sampled, read=ranked + judged + formats)
