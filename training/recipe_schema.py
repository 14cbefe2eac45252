"""What a recipe says, section by section: typed, each field with its meaning, impossible values refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from eval.judge.names import EMBEDDED_NAMES, is_embedded
from training.data.corpus.language import LANGUAGES
from training.recipe_source import Source


@dataclass(frozen=True)
class Hub:
    """Where the artifacts go."""

    namespace: str | None = None
    """User or organisation; null asks the Hub who the token belongs to."""
    private: bool = False
    """Create repositories as private."""


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters on every linear layer (Hu et al., 2021)."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.05
    train_chat_tokens: bool = True
    """Also train the two ChatML tokens, which are untrained in Qwen 2.5 base (QwenLM/Qwen3#1064)."""


@dataclass(frozen=True)
class Model:
    """The base model."""

    size: str = "starter"
    """Goes into the names of what is published: repartee-<size>-sft."""
    base: str = "training/starter"
    """A Hub id; or a model folder, a GGUF file or a wheel with one (`.whl`, `pypi:NAME==VERSION`), published first."""
    revision: str | None = None
    """Commit of the base; null takes today's and pins it in the lineage."""
    substitute: str | None = None
    """A folder, GGUF file or wheel that stands in for a Hub id where the Hub (an embedded one) does not have it."""
    sha256: str | None = None
    """What the GGUF file must have, of itself or in the wheel; null takes it as it is."""
    license: str | None = None
    """Of a base that is published first; null takes what the file or the folder's card says."""
    four_bit: bool = False
    """NF4 with double quantization and bf16 compute (QLoRA, Dettmers et al., 2023)."""
    memory_gb: float | None = None
    """What training may take, for the plan printed at start; null takes the memory of the device."""
    lora: Lora = field(default_factory=Lora)


@dataclass(frozen=True)
class Data:
    """Corpora to pairs."""

    sources: list[Source] = field(
        default_factory=lambda: [Source("training/sample", "repartee-sample", license="apache-2.0")]
    )
    """One or more; a path, or a mapping with `path`, `name`, `weight`."""
    split_by: Literal["film", "conversation", "pair"] = "film"
    """`film` keeps every film on one side; `pair` is the plain split of the original work, for comparison."""
    salt: str = "repartee-228"
    """Decides the splits; of 600 the one by which the films' genres and decades differ least, by at most 6 points."""
    context_turns: int = 1
    """Earlier turns in a prompt; 1 is the line before, as in the original work."""
    max_prompt_characters: int = 1500
    """Pairs with a longer prompt (the system prompt not counted) are dropped and published as dropped."""
    max_reply_characters: int = 1500
    """The same for replies. English takes about 4 characters a token, and prompt and reply share 512."""
    drop_duplicates: bool = True
    """Keep a prompt and reply that several films have in one of them only, a test film before a train film."""
    near_duplicates: float | None = None
    """Drop pairs whose words are so alike to an earlier pair's, or a stricter split's: Jaccard similarity of shingles
    of three words, above 0 to 1, by MinHash, which finds most from 0.8 up; null looks for none."""
    language: str | None = None
    """Keep conversations of this language (en, fr, ...), told by script and frequent short words; null keeps all."""

    def __post_init__(self) -> None:
        for name in ("context_turns", "max_prompt_characters", "max_reply_characters"):
            at_least(self, name, 1)
        if not self.sources:
            raise ValueError("sources is empty; it takes one corpus or more")
        if self.near_duplicates is not None and not 0 < self.near_duplicates <= 1:
            raise ValueError(f"near_duplicates is {self.near_duplicates}; it takes null or a number above 0, up to 1")
        if self.language not in (None, *LANGUAGES):
            raise ValueError(f"language is {self.language!r}; it takes null or one of {', '.join(LANGUAGES)}")


@dataclass(frozen=True)
class Trainer:
    """What SFT and DPO share: own fields, and every other key for TRL's config."""

    trl: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sft(Trainer):
    """Supervised fine-tuning on the dialogue pairs."""

    pairs: int | None = None
    """Train on this many pairs, drawn by seed; null takes all."""
    step_limit: int | None = None
    """Stop after this many optimizer steps where the epochs would take more; the schedule ends there too."""
    validation_pairs: int | None = None
    """Evaluate on this many pairs of the validation split; null takes all. Used where `eval_strategy` is not no."""
    patience: int | None = None
    """Stop after this many evaluations in a row without a better validation loss."""

    def __post_init__(self) -> None:
        for name in ("pairs", "step_limit", "validation_pairs", "patience"):
            at_least(self, name, 1)
        if self.patience and self.trl.get("eval_strategy", "no") == "no":
            raise ValueError("patience needs evaluations; set eval_strategy: steps and eval_steps")


@dataclass(frozen=True)
class Realism:
    """The realism judge: heads on what a frozen model computes of replies (`eval.judge.realism`)."""

    prompts: int = 2_000
    """Prompts of the train films, each with the film's reply and five others."""
    reader: str | None = None
    """Hub id of another base, or HUB_ID@COMMIT, that reads prompt and reply as plain lines; null: the fine-tuned model
    reads them. One of another family shares no fault with the models that it judges."""
    l2: float = 3e-4
    """Penalty of the probe's squared weights."""
    seed: int = 1

    def __post_init__(self) -> None:
        at_least(self, "prompts", 2)
        if self.l2 <= 0:
            raise ValueError(f"l2 is {self.l2}; it takes a number above 0")


@dataclass(frozen=True)
class Dpo(Trainer):
    """Direct preference optimization (Rafailov et al., 2023), continuing the SFT adapter."""

    max_similarity: float = 0.9
    """Drop pairs whose replies are more alike (difflib's ratio, case and spaces aside); 1 drops only identical ones."""
    validation_pairs: int | None = None
    """Hold this many pairs out of training, drawn by seed, and measure on them; null holds out none."""

    def __post_init__(self) -> None:
        at_least(self, "validation_pairs", 1)
        if not 0 < self.max_similarity <= 1:
            raise ValueError(f"max_similarity is {self.max_similarity}; it takes a number above 0, up to 1")


@dataclass(frozen=True)
class Reward(Trainer):
    """A reward model on the preference pairs: TRL's RewardTrainer, LoRA and a score head on the base."""


@dataclass(frozen=True)
class Rl(Trainer):
    """Online RL of the SFT adapter against the reward model: TRL's RLOOTrainer."""

    in_chain: bool = False
    """Run reward and rl as stages of the pipeline, between dpo and the evaluation."""
    prompts: int = 1_000
    """Train on this many prompts of the train split, drawn by seed."""
    held_out: int = 200
    """Measure the reward before and after on this many prompts of the validation split."""
    missing_end_penalty: float = 1.0
    """Taken from the reward of a reply that did not end by itself."""

    def __post_init__(self) -> None:
        at_least(self, "prompts", 1)
        at_least(self, "held_out", 1)


@dataclass(frozen=True)
class Sweep:
    """A search over fields of this recipe by Optuna."""

    stage: Literal["sft", "dpo"] = "dpo"
    """What a trial trains: `sft` is scored by validation loss, `dpo` by reward accuracy on held-out pairs."""
    trials: int = 12
    """How many of all workers together are to end."""
    checks: int = 5
    """Measurements of a trial, at equal distances; one that is then not among the best third is stopped."""
    space: dict[str, list] = field(default_factory=dict)
    """Field to choices, or to [low, high, log] or [low, high, linear] for a range."""

    def __post_init__(self) -> None:
        at_least(self, "trials", 1)
        at_least(self, "checks", 2)


@dataclass(frozen=True)
class Evaluation:
    """Judge-free metrics on held-out prompts."""

    prompts: int = 2_000
    distractors: int = 19
    per_film: int = 20
    format_pairs: int = 100
    judge: str = "pmi"
    """Embedded judge of the replies in pairs; another than the one that labelled the preferences says more."""
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("prompts", "distractors", "per_film", "format_pairs"):
            at_least(self, name, 1)
        if not is_embedded(self.judge):
            raise ValueError(f"judge is {self.judge!r}; it takes one of {EMBEDDED_NAMES}")


@dataclass(frozen=True)
class Jobs:
    """A stage on HF Jobs, or on a cluster by Slurm (`training.jobs`)."""

    flavor: str = "l4x1"
    """Hardware, as `hf jobs hardware` lists it; for Slurm the number of GPUs in its name."""
    timeout: str = "6h"
    """The job is ended after this long: 30m, 6h, 1d."""
    secrets: list[str] = field(default_factory=list)
    """Environment variables whose values the job gets as secrets, beside HF_TOKEN."""


def at_least(section: Any, name: str, least: int) -> None:
    """Raises ValueError where a number of a section is below `least`; None passes."""
    if (value := getattr(section, name)) is not None and value < least:
        raise ValueError(f"{name} is {value}; it takes a number from {least} up")
