"""The pretraining model: a small Qwen 2, its optimizers, next-token loss and nats per byte."""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from chat.variants import has_bf16
from training.base.pretrain_data import BOUNDARY, batches, token_rows


def next_token_loss(model: Qwen2ForCausalLM, rows: list[list[int]], backward: bool = False) -> tuple[float, int]:
    """Returns the summed loss in nats and the number of predicted tokens, and on request leaves mean-loss gradients.

    Padding on the right is never looked at by a causal model. The logits are made and spent a few hundred positions at
    a time: whole, at 8,192 positions by 8,192 tokens, they would cost more time in memory than the model in arithmetic.
    """
    width = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    labels = torch.tensor([row[1:] + [-100] * (width - len(row)) for row in rows]).flatten()
    count = int((labels >= 0).sum())
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()), torch.set_grad_enabled(backward):
        states = model.model(input_ids=tokens[:, :-1], use_cache=False).last_hidden_state.flatten(0, 1)
        leaf = states.detach().requires_grad_(backward)
        total = 0.0
        for chunk, wanted in zip(leaf.split(512), labels.split(512), strict=True):
            loss = F.cross_entropy(model.lm_head(chunk).float(), wanted, reduction="sum")
            total += loss.item()
            if backward:
                (loss / count).backward()
    if backward:
        states.backward(leaf.grad)
    return total, count


@torch.no_grad()
def nats_per_byte(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> float:
    """Returns the loss over the texts, their closing `<|endoftext|>` included, in nats per UTF-8 byte of text."""
    model.eval()
    total = sum(next_token_loss(model, batch)[0] for batch in batches(token_rows(tokenizer, texts), 8192, seed=0))
    model.train()
    return total / sum(len(text.encode()) for text in texts)


def drop_channels(output: torch.Tensor, rate: float, module: torch.nn.Module) -> torch.Tensor:
    """Drops channels for a whole row of (rows, tokens, channels): variational dropout (Gal and Ghahramani, 2016)."""
    if not module.training:
        return output
    keep = torch.rand(output.shape[0], 1, output.shape[2]) >= rate
    return output * (keep.to(output.dtype) / (1 - rate))


def build_model(arguments: argparse.Namespace, tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """Qwen 2 of the given sizes at random, tied embeddings, with channel dropout on what joins the residual stream."""
    boundary = tokenizer.get_vocab()[BOUNDARY]
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=arguments.width,
        intermediate_size=arguments.width * 8 // 3,
        num_hidden_layers=arguments.layers,
        num_attention_heads=arguments.width // 64,
        num_key_value_heads=arguments.kv_heads,
        max_position_embeddings=2048,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        bos_token_id=boundary,
        eos_token_id=boundary,
        pad_token_id=boundary,
    )
    model = Qwen2ForCausalLM(config)
    model.set_attn_implementation("eager")  # on a CPU, rows of about 60 tokens are slower through the fused kernels
    for name, module in model.named_modules():
        if name.endswith(("o_proj", "down_proj", "embed_tokens")):
            module.register_forward_hook(
                lambda module, _inputs, output: drop_channels(output, arguments.dropout, module)
            )
    return model


def optimizers(model: Qwen2ForCausalLM, arguments: argparse.Namespace) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks; AdamW, without decay, for the rest: untrained tokens must not shrink."""
    inner = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed_tokens" not in n]
    outer = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed_tokens" in n]
    return [
        torch.optim.Muon(inner, lr=arguments.lr, weight_decay=arguments.decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(outer, lr=arguments.lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]
