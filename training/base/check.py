"""Check of a base before anything is trained: by its config and its tokenizer, without its weights."""

from __future__ import annotations

from typing import Any

from chat.chat_format import ChatFormatError
from chat.embeddings import row_modules
from chat.template import (
    START,
    STOP,
    SYSTEM_PROMPT,
    chat_format,
    encode_prompt,
    encode_reply,
    load_tokenizer,
    missing_tokens,
)
from hub.errors import UserError
from hub.task import log_progress
from training.recipe import Recipe

DEFAULT_LENGTH = {"sft": 1024, "dpo": None}  # TRL's, to which rows are packed; of DPO none is longer than it is


def check_base(repo: str, revision: str | None, recipe: Recipe) -> None:
    """Checks that a base can be trained as a recipe asks: kind, chat format, vocabulary, context length, embeddings.

    Args:
        repo: Hub id or folder.
        revision: commit; None for a folder.
        recipe: whose `model.lora`, `sft.max_length` and `dpo.max_length` count.

    Raises:
        UserError: it cannot; the line says what is missing.
        chat.chat_format.ChatFormatError: it cannot be asked in turns.
    """
    from transformers import AutoConfig, AutoTokenizer
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    try:
        config = AutoConfig.from_pretrained(repo, revision=revision)
    except ValueError as error:  # a kind that this transformers does not know, or code of its own
        raise UserError(f"{repo} cannot be read by transformers ({' '.join(str(error).split())[:200]})") from error
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise UserError(f"{repo} is a {config.model_type}, which is no causal language model; take one that is")
    try:
        tokenizer = load_tokenizer(repo, revision)
    except ChatFormatError:
        raise
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"the tokenizer of {repo} cannot be read ({reason}); take a base with a tokenizer.json"
        ) from error
    check_vocabulary(repo, tokenizer, config.get_text_config().vocab_size)
    check_context(repo, config, recipe)
    check_embeddings(repo, config, chat_format(tokenizer).own, recipe)
    if not chat_format(tokenizer).own:
        check_chat_tokens(repo, missing_tokens(AutoTokenizer.from_pretrained(repo, revision=revision)), recipe)


def check_vocabulary(repo: str, tokenizer: Any, rows: int) -> None:
    """Checks that the tokens of a conversation have rows in the embedding, but for those that get new ones.

    ChatML's two do (`chat.embeddings.make_room`); others may have been added and left without.
    """
    scene = [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": "Who is it?"}]
    new = () if chat_format(tokenizer).own else tokenizer.convert_tokens_to_ids([START, STOP])
    highest = max({*encode_prompt(tokenizer, scene), *encode_reply(tokenizer, "Me.")}.difference(new))
    if highest >= rows:
        token = tokenizer.convert_ids_to_tokens(highest)
        raise UserError(
            f"the tokenizer of {repo} has the token {token} as {highest}, and its model {rows:,} rows of embeddings; "
            "resize_token_embeddings and save it again, or take the tokenizer that it was trained with"
        )


def check_context(repo: str, config: Any, recipe: Recipe) -> None:
    """Checks that rows of training are no longer than what the base was made for."""
    longest = getattr(config.get_text_config(), "max_position_embeddings", None)
    for name, default in DEFAULT_LENGTH.items():
        length = getattr(recipe, name).trl.get("max_length", default)
        if longest and length and length > longest:
            raise UserError(
                f"{repo} reads {longest:,} tokens, and {name}.max_length is {length:,}; set it to {longest}"
            )


def check_chat_tokens(repo: str, missing: list[str], recipe: Recipe) -> None:
    """Checks that chat tokens which a base has not are trained, and says that they are added."""
    if not missing:
        return
    if not recipe.model.lora.train_chat_tokens:
        raise UserError(
            f"{repo} has no chat template of its own, nor {' and '.join(missing)} in its vocabulary: they are added, "
            "and their rows must be trained; set model.lora.train_chat_tokens=true, or take its instruct version"
        )
    log_progress("base", f"{repo} has no {' and '.join(missing)}: added, and trained with the adapter")


def check_embeddings(repo: str, config: Any, own: bool, recipe: Recipe) -> None:
    """Checks that the rows of the two ChatML tokens can be trained where the recipe asks for it, and says where."""
    import torch
    from transformers import AutoModelForCausalLM

    if not recipe.model.lora.train_chat_tokens:
        return
    if own:
        raise UserError(
            f"{repo} has its own chat format, whose tokens are trained; set model.lora.train_chat_tokens=false"
        )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    if getattr(model.get_output_embeddings(), "bias", None) is not None:
        raise UserError(
            f"the head of {repo} has a bias, beside which PEFT trains no tokens; set model.lora.train_chat_tokens=false"
        )
    if len(modules := row_modules(model)) > 1:
        log_progress("base", f"{repo} has an untied head: the ChatML tokens are trained in {' and in '.join(modules)}")
