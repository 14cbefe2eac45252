"""Online RL: `python -m training.rl --recipe training/recipes/starter.yaml rl.prompts=400`.

TRL's RLOOTrainer continues the SFT adapter: several replies to a prompt are sampled and scored by the reward model, and
each is measured against the others. It stands where the paper meant PPO to stand, which TRL has since removed. The
reward of SFT, DPO and RL on held-out prompts, with the time each took, goes into the card.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from chat.template import STOP, stop_ids
from hub.lineage import Input, Lineage, pin, training_minutes
from training.finetune.callbacks import finite_guard, plot_losses
from training.finetune.common import (
    adapter_card,
    chat_facts,
    dialogue_context_turns,
    model_settings,
    train_to_end,
    trainer_arguments,
)
from training.finetune.dpo import load_sft
from training.finetune.reward import Scorer
from training.finetune.trl_compat import complete_reference
from training.recipe import Recipe
from training.stage import Stage, Task, base_input, command, log_progress

Prompt = list[dict[str, str]]


def rl_task(recipe: Recipe) -> Task:
    """The RL adapter, from the base, the SFT adapter, the reward model and the prompts as they are now."""
    names = recipe.names
    settings = {"model": model_settings(recipe), "rl": {**vars(recipe.rl), "in_chain": None}}
    adapters = (pin(names.adapter(kind), "model") for kind in ("sft", "reward"))
    inputs = (base_input(recipe), *adapters, pin(names.dialogue, "dataset"))
    return Task(names.adapter("rl"), "model", Lineage("rl", settings, inputs))


def train_rl(
    recipe: Recipe, base: Input, sft: Input, reward: Input, dialogue: Input, folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Trains, saves and measures the adapter; returns the files to publish and what the card tells of the run."""
    from datasets import Dataset
    from trl import RLOOConfig, RLOOTrainer

    from chat.template import load_tokenizer
    from training.finetune.loading import save_adapter

    arguments = RLOOConfig(**trainer_arguments(recipe.rl.trl, folder))
    tokenizer: Any = load_tokenizer(base.repo, base.revision)
    scorer = Scorer(recipe, base, reward)
    stop = stop_ids(tokenizer)[STOP]

    def score(prompts: list[Prompt], completions: Any, completion_ids: list[list[int]], **_: Any) -> list[float | None]:
        texts = [tokenizer.decode(ids, skip_special_tokens=True) for ids in completion_ids]
        ended = [bool(ids) and ids[-1] == stop for ids in completion_ids]
        scores = scorer(prompts, texts)
        return [s - (0 if end else recipe.rl.missing_end_penalty) for s, end in zip(scores, ended, strict=True)]

    prompts = distinct_prompts(dialogue, "train", recipe.rl.prompts, arguments.seed)
    log_progress("rl", f"{len(prompts):,} prompts, {arguments.num_generations} replies to each, beta {arguments.beta}")
    model = load_sft(recipe, base, sft, bool(arguments.bf16))
    model.generation_config.eos_token_id = stop
    trainer = RLOOTrainer(
        model=model,
        args=arguments,
        reward_funcs=score,
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
        processing_class=tokenizer,
        callbacks=[finite_guard()],
    )
    complete_reference(model)
    run = train_to_end(trainer, folder)
    if "ref" in model.peft_config:
        model.delete_adapter("ref")
    files = dict(save_adapter(model, tokenizer, folder / "adapter"))
    files["losses.png"] = plot_losses(trainer, folder / "losses.png")
    del trainer, model
    before = training_minutes(reward)
    taken = {"rl": f"{run.minutes} min" + (f" after {before} of the reward model" if before else "")}
    compared = compare_rewards(recipe, base, scorer, dialogue, {"sft": sft, "rl": folder / "adapter"}, taken)
    facts = {"prompts": len(prompts), "steps": run.steps, **compared, "minutes": run.minutes}
    facts |= {"context_turns": dialogue_context_turns(dialogue), **chat_facts(tokenizer)}
    return files, facts


def distinct_prompts(dialogue: Input, split: str, limit: int, seed: int) -> list[Prompt]:
    """Distinct prompts of a split, drawn by seed."""
    from training.data.encode import published_pairs

    rows = published_pairs(dialogue, None, seed, split)["prompt"].to_pylist()
    distinct = {row[-1]["content"]: row for row in rows}
    return random.Random(seed).sample(list(distinct.values()), min(limit, len(distinct)))


def compare_rewards(
    recipe: Recipe, base: Input, scorer: Scorer, dialogue: Input, made: dict[str, Any], taken: dict[str, str]
) -> dict[str, str]:
    """Mean reward on held-out prompts of SFT, RL and, where it is published, DPO, and the rise over SFT of both.

    Args:
        recipe: how much is held out, and the penalty of a reply that does not end.
        base: the base of all variants.
        scorer: the reward model.
        dialogue: where the prompts are from.
        made: a pinned adapter or a folder, by variant.
        taken: how long the training took, by variant; DPO's is looked up.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        dpo = pin(recipe.names.adapter("dpo"), "model")
        made, taken = {**made, "dpo": dpo}, {**taken, "dpo": f"{training_minutes(dpo)} min"}
    except RepositoryNotFoundError:
        log_progress("rl", "no DPO adapter is published: RL is compared with SFT alone")
    prompts = distinct_prompts(dialogue, "validation", recipe.rl.held_out, recipe.rl.trl.get("seed", 1))
    rewards = held_out_rewards(base, scorer, made, prompts, recipe.rl.missing_end_penalty)
    facts = {f"held-out reward of {name}": f"{sum(values) / len(values):.3f}" for name, values in rewards.items()}
    for name, time_taken in sorted(taken.items()):
        mean, low, high = interval(
            [after - before for after, before in zip(rewards[name], rewards["sft"], strict=True)]
        )
        facts[f"rise over sft by {name}"] = f"{mean:.3f} ({low:.3f} to {high:.3f}) in {time_taken}"
        log_progress(
            "rl", f"rise over sft by {name}, {len(prompts)} held-out prompts: {facts[f'rise over sft by {name}']}"
        )
    return facts


def held_out_rewards(
    base: Input, scorer: Scorer, made: dict[str, Any], prompts: list[Prompt], penalty: float
) -> dict[str, list[float]]:
    """The reward of one sampled reply to each prompt, by variant."""
    from chat.generate import generate
    from chat.sampling import Sampling
    from chat.variants import ModelRef, load_variants

    adapters = {
        name: ModelRef(source.repo, source.revision) if isinstance(source, Input) else ModelRef(str(source))
        for name, source in made.items()
    }
    variants = load_variants(ModelRef(base.repo, base.revision), adapters)
    rewards = {}
    for name in made:
        replies = generate(variants, prompts, [name] * len(prompts), Sampling(), seed=1)
        scores = scorer(prompts, [reply.text for reply in replies])
        rewards[name] = [s - (0 if r.finish_reason == STOP else penalty) for s, r in zip(scores, replies, strict=True)]
    return rewards


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean and its normal 95% interval."""
    mean = sum(values) / len(values)
    deviation = (sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)) ** 0.5
    half = 1.96 * deviation / len(values) ** 0.5
    return mean, mean - half, mean + half


STAGE = Stage("RL adapter", rl_task, train_rl, adapter_card)

if __name__ == "__main__":
    command(STAGE.run, __doc__, STAGE.preview)
