"""Rows that tokens have in a model: in its embedding and, where the head is untied, in the head as well."""

from __future__ import annotations

from typing import Any

from chat.template import START, STOP, chat_format


def row_modules(model: Any) -> tuple[str, ...]:
    """Names of the modules in which a token has a row of its own: the last part of each path, the embedding first."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    layers = [embedding] if head is None or head.weight is embedding.weight else [embedding, head]
    paths = {id(module): path for path, module in model.named_modules()}
    return tuple(paths[id(layer)].split(".")[-1] for layer in layers)


def make_room(model: Any, tokenizer: Any) -> None:
    """Adds rows for ChatML's tokens where a model, which has never seen them, ends before: each the mean of the others.

    `configure_tokenizer` adds the tokens behind the last one; a model with rows to spare is left as it is. The mean is
    the same every time, as a random row would not be.
    """
    import torch

    if chat_format(tokenizer).own:
        return
    rows, wanted = model.get_input_embeddings().num_embeddings, 1 + max(tokenizer.convert_tokens_to_ids([START, STOP]))
    if wanted <= rows:
        return
    model.resize_token_embeddings(wanted, mean_resizing=False)
    with torch.no_grad():
        for layer in filter(None, (model.get_input_embeddings(), model.get_output_embeddings())):
            layer.weight[rows:] = layer.weight[:rows].float().mean(0).to(layer.weight.dtype)
