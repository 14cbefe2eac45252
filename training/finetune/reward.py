"""A reward model: `python -m training.reward --recipe training/recipes/starter.yaml`.

TRL's RewardTrainer on the preference pairs: LoRA on the base, and a score head that is saved with it. The score is read
at the token that ends a reply, over the very tokens that the chat sees.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chat.template import encode_prompt, encode_reply
from eval.judge.reward_model import head_scores
from hub.lineage import Input, Lineage, pin
from training.finetune.callbacks import finite_guard, first_and_last, last_loss, plot_losses
from training.finetune.common import (
    adapter_card,
    chat_facts,
    first_process_only,
    model_settings,
    train_to_end,
    trainer_arguments,
)
from training.finetune.preference_pairs import kept_pairs, pair_sizes, same_base
from training.finetune.run_plan import announce_plan
from training.recipe import Recipe
from training.recipe_schema import Model
from training.stage import Stage, Task, base_input, command, log_progress


def reward_task(recipe: Recipe) -> Task:
    """The reward model, from the base and the preference set as they are now."""
    settings = {"model": model_settings(recipe), "reward": {**vars(recipe.reward)}}
    inputs = (base_input(recipe), pin(recipe.names.preferences, "dataset"))
    return Task(recipe.names.adapter("reward"), "model", Lineage("reward", settings, inputs))


def train_reward(
    recipe: Recipe, base: Input, preferences: Input, folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Trains and saves the reward model; returns the files to publish and what the card tells of the run."""
    from datasets import Dataset
    from peft import get_peft_model
    from transformers import set_seed
    from trl import RewardConfig, RewardTrainer

    from chat.template import load_tokenizer
    from training.finetune.loading import lora_config, save_adapter

    same_base(base, preferences)
    arguments = RewardConfig(**trainer_arguments(recipe.reward.trl, folder))
    tokenizer = load_tokenizer(base.repo, base.revision)
    rows, counts = kept_pairs(tokenizer, preferences, recipe, arguments.max_length)
    for name, value in counts.items():
        log_progress("reward", f"{name}: {value}")
    announce_plan("reward", base, recipe.model, arguments, **pair_sizes(tokenizer, rows, arguments))
    set_seed(arguments.seed)
    scorer = load_scorer(base.repo, base.revision, recipe.model, bool(arguments.bf16))
    adapter = lora_config(scorer, tokenizer, recipe.model.lora, task_type="SEQ_CLS", modules_to_save=["score"])
    model: Any = get_peft_model(scorer, adapter)
    for parameter in model.parameters():
        if parameter.requires_grad:  # the score head too, which PEFT leaves in the dtype of the base
            parameter.data = parameter.data.float()
    trainer = RewardTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([encode_preference(tokenizer, row) for row in rows]),
        processing_class=tokenizer,
        callbacks=[finite_guard()],
    )
    run = train_to_end(trainer, folder)
    accuracy = first_and_last(trainer, "accuracy")
    facts = {
        **counts,
        "steps": run.steps,
        "final train loss": last_loss(trainer),
        **({"accuracy, first to last step": f"{accuracy[0]} to {accuracy[1]}"} if accuracy else {}),
        "minutes": run.minutes,
        **chat_facts(tokenizer),
    }
    first_process_only(trainer)
    files = dict(save_adapter(model, tokenizer, folder / "adapter"))
    return {**files, "losses.png": plot_losses(trainer, folder / "losses.png")}, facts


def load_scorer(repo: str, revision: str, model: Model, bf16: bool = False) -> Any:
    """The base with one score in place of its head; the score starts at random and is trained."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from chat.embeddings import make_room
    from chat.template import load_tokenizer
    from training.finetune.loading import loading, ready_base

    torch.manual_seed(0)
    options = {"revision": revision, "num_labels": 1, **loading(model, bf16)}
    scorer = AutoModelForSequenceClassification.from_pretrained(repo, **options)
    tokenizer: Any = load_tokenizer(repo, revision)
    make_room(scorer, tokenizer)
    scorer.config.pad_token_id = tokenizer.pad_token_id
    return ready_base(scorer, model)


def encode_preference(tokenizer: Any, row: dict[str, Any]) -> dict[str, list[int]]:
    """A preference as RewardTrainer takes it ready made: the tokens of both sides, prompt included."""
    prompt = encode_prompt(tokenizer, row["prompt"])
    return {f"{side}_ids": prompt + encode_reply(tokenizer, row[side][0]["content"]) for side in ("chosen", "rejected")}


class Scorer:
    """A published reward model, asked for scores."""

    def __init__(self, recipe: Recipe, base: Input, reward: Input) -> None:
        import torch
        from peft import PeftModel

        from chat.template import load_tokenizer

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer: Any = load_tokenizer(base.repo, base.revision)
        scorer = load_scorer(base.repo, base.revision, recipe.model)
        self.model = PeftModel.from_pretrained(scorer, reward.repo, revision=reward.revision).to(device).eval()

    def __call__(self, prompts: list[list[dict[str, str]]], replies: list[str]) -> list[float]:
        """The score of each reply to its prompt, read at the token that ends it."""
        return head_scores(self.model, self.tokenizer, list(zip(prompts, replies, strict=True)))


STAGE = Stage("Reward model", reward_task, train_reward, adapter_card)

if __name__ == "__main__":
    command(STAGE.run, __doc__, STAGE.preview)
