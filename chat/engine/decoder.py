"""Qwen 2's forward pass for serving: weights packed once, a cache of fixed shape, every variant in one batch.

transformers' `generate` takes some 15 ms a step around the layers, whatever the model's size, and PEFT a loop over the
adapters in every one of them. Here a step is about forty calls of torch a layer, and a single one once it is compiled
(`chat/engine/compiled.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chat.engine.multi_lora import MultiLoraLinear, fuse_linears
from chat.engine.quantized import activation_dtype, quantize_linear, resolve_precision
from chat.variants import ModelVariants


class Layer(nn.Module):
    """The four linear layers of a block, and its two norms."""

    before_attention: Tensor
    before_mlp: Tensor

    def __init__(self, layer: Any, adapters: tuple[str, ...], precision: str) -> None:
        super().__init__()
        attention, mlp, dtype = layer.self_attn, layer.mlp, activation_dtype(precision)
        self.register_buffer("before_attention", layer.input_layernorm.weight.data.to(dtype))
        self.qkv = fuse_linears([attention.q_proj, attention.k_proj, attention.v_proj], adapters, precision)
        self.out = fuse_linears([attention.o_proj], adapters, precision)
        self.register_buffer("before_mlp", layer.post_attention_layernorm.weight.data.to(dtype))
        self.gate_up = fuse_linears([mlp.gate_proj, mlp.up_proj], adapters, precision)
        self.down = fuse_linears([mlp.down_proj], adapters, precision)

    @property
    def linears(self) -> tuple[MultiLoraLinear, ...]:
        return self.qkv, self.out, self.gate_up, self.down


class DecoderModel(nn.Module):
    """The weights of one base and its adapters, and the pass through them for rows of equally many new tokens."""

    table: Tensor
    norm: Tensor
    cos: Tensor
    sin: Tensor
    trained_rows: Tensor
    trained_tokens: Tensor

    def __init__(self, variants: ModelVariants, precision: str) -> None:
        super().__init__()
        model = variants.model.get_base_model() if hasattr(variants.model, "peft_config") else variants.model
        config, body, adapters, dtype = model.config, model.model, variants.names[1:], activation_dtype(precision)
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_size = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.eps, self.tied = config.rms_norm_eps, config.tie_word_embeddings
        self.layers = nn.ModuleList([Layer(layer, adapters, precision) for layer in body.layers])
        self.register_buffer("norm", body.norm.weight.data.to(dtype))
        embedding = plain(body.embed_tokens).weight.data
        # A table of bf16 weights stays in bf16, whatever is computed with: a step reads a row of it.
        self.register_buffer("table", embedding if precision == "float32" else embedding.bfloat16())
        self.head = quantize_linear(embedding if self.tied else plain(model.lm_head).weight.data, None, precision)
        self.trained, rows = trained_tokens(body.embed_tokens, adapters, dtype)
        self.register_buffer("trained_rows", rows)
        self.register_buffer("trained_tokens", torch.tensor(self.trained, dtype=torch.long, device=rows.device))
        angles = torch.arange(config.max_position_embeddings)[:, None] * body.rotary_emb.inv_freq.float().cpu()
        self.register_buffer("cos", angles.cos().to(dtype).to(embedding.device))
        self.register_buffer("sin", angles.sin().to(dtype).to(embedding.device))

    @property
    def blocks(self) -> list[Layer]:
        return cast("list[Layer]", list(self.layers))

    def forward(self, tokens: Tensor, starts: Tensor, speakers: Tensor | None, caches: list[Tensor]) -> Tensor:
        """Reads new tokens and returns the logits of what follows each row's last, float32 (rows, vocabulary).

        Args:
            tokens: (rows, new), as many in every row.
            starts: (rows,) how many tokens each row has read before.
            speakers: (rows,) the number of each row's variant, 0 for the base; None where the base speaks in all.
            caches: of each layer (slots, capacity, 2 * key heads, head size), with what row i has read in slot i;
                it gets what is read now.
        """
        rows, new = tokens.shape
        positions = starts[:, None] + torch.arange(new, device=tokens.device)  # (rows, new)
        slots = torch.arange(rows, device=tokens.device)[:, None]
        turn = self.cos[positions][:, :, None], self.sin[positions][:, :, None]
        length, shared = caches[0].shape[1], self.heads // self.kv_heads
        seen = torch.arange(length, device=tokens.device) <= positions[:, :, None]  # (rows, new, length)
        mask = torch.where(seen, 0.0, -torch.inf).to(self.norm.dtype).repeat(1, shared, 1)[:, None]
        x = self._embedded(tokens, speakers)
        for layer, cache in zip(self.blocks, caches, strict=True):
            qkv = layer.qkv(self._normed(x, layer.before_attention), speakers)
            q, k, v = qkv.view(rows, new, -1, self.head_size).split((self.heads, self.kv_heads, self.kv_heads), 2)
            cache.index_put_((slots, positions), torch.cat([apply_rotary(k, *turn), v], dim=2))
            # The query heads of one key head stand in for more queries.
            q = apply_rotary(q, *turn).unflatten(2, (self.kv_heads, shared)).permute(0, 2, 3, 1, 4).flatten(2, 3)
            keys, values = cache[:rows].permute(0, 2, 1, 3).split(self.kv_heads, 1)
            y = attention(q, keys, values, mask)
            y = y.unflatten(2, (shared, new)).permute(0, 3, 1, 2, 4)
            x = x + layer.out(y.reshape(rows, new, -1), speakers)
            gate, up = layer.gate_up(self._normed(x, layer.before_mlp), speakers).chunk(2, dim=-1)
            x = x + layer.down(F.silu(gate) * up, speakers)
        return self._logits(self._normed(x[:, -1], self.norm), speakers)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), weight, self.eps)

    def _embedded(self, tokens: Tensor, speakers: Tensor | None) -> Tensor:
        x = self.table[tokens].to(self.norm.dtype)
        if speakers is not None:
            for place, token in enumerate(self.trained):
                x = torch.where((tokens == token)[:, :, None], self.trained_rows[speakers, place][:, None], x)
        return x

    def _logits(self, x: Tensor, speakers: Tensor | None) -> Tensor:
        logits = self.head(x).float()
        if self.tied and self.trained and speakers is not None:
            own = (x[:, None] * self.trained_rows[speakers]).sum(-1).float()  # (rows, trained tokens)
            logits = logits.index_copy(1, self.trained_tokens, own)
        return logits


class Decoder:
    """One base and its adapters, ready to be asked for the next token of many rows at once."""

    def __init__(self, variants: ModelVariants, precision: str = "auto") -> None:
        """Takes what it needs from the model, of which nothing is needed afterwards.

        Raises ValueError for a model that is no Qwen 2, an adapter that is not plain LoRA with trained tokens, and a
        precision that cannot be.
        """
        check(variants.model, variants.model.config)
        self.device = variants.model.device
        self.precision = resolve_precision(precision, self.device)
        self.most_tokens = int(variants.model.config.max_position_embeddings)
        self.numbers = {name: number for number, name in enumerate(variants.names)}
        with torch.inference_mode():
            self.body = DecoderModel(variants, self.precision)
        self.program: Callable[..., Tensor] | None = None
        """The body, compiled for one new token a row; None where that has not been done."""

    @property
    def bytes(self) -> int:
        """Of the weights in memory, adapters and embedding table included."""
        adapters = sum(fused.adapter_bytes for fused in self._linears())
        return self.read_bytes + self.body.table.nbytes + adapters

    @property
    def read_bytes(self) -> int:
        """Of the weights that every step reads, whoever speaks: the base's layers and the head."""
        return sum(fused.base.bytes for fused in self._linears()) + self.body.head.bytes

    def _linears(self) -> list[MultiLoraLinear]:
        return [fused for layer in self.body.blocks for fused in layer.linears]

    def cache(self, slots: int, capacity: int) -> Tensor:
        """Room for keys and values: (layers, slots, capacity, 2 * key heads, head size)."""
        body = self.body
        shape = (len(body.layers), slots, capacity, 2 * body.kv_heads, body.head_size)
        return torch.zeros(shape, dtype=body.norm.dtype, device=self.device)

    @torch.inference_mode()
    def __call__(self, cache: Tensor, tokens: list[list[int]], starts: list[int], variants: list[str]) -> Tensor:
        """Reads each row's new tokens and returns the logits of what follows them, float32 (rows, vocabulary).

        Neighbours with equally many go through the model together.

        Args:
            cache: holds in slot i what row i has read before, and afterwards what it has read now.
            tokens: new ones, at least one a row.
            starts: how many tokens each row has read before.
        """
        logits, first = [], 0
        numbers = [self.numbers[variant] for variant in variants]
        for new, group in groupby(tokens, len):
            end = first + len(list(group))
            span = slice(first, end)
            speakers = torch.tensor(numbers[span], device=self.device)
            begun = torch.tensor(starts[span], device=self.device)
            read = torch.tensor(tokens[span], device=self.device)
            if self.program and new == 1 and first == 0:
                logits.append(self.program(read, begun, speakers, list(cache.unbind())))
            else:
                known = cache[:, span, : max(starts[span]) + new]
                speaking = speakers if any(numbers[span]) else None
                logits.append(self.body(read, begun, speaking, list(known.unbind())))
            first = end
        return logits[0] if len(logits) == 1 else torch.cat(logits)


def attention(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """(rows, key heads, queries, size) from as many keys and values as the mask is long."""
    if not torch.compiler.is_exporting():
        return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
    scores = ((q * q.shape[-1] ** -0.5)[:, :, :, None] * keys[:, :, None]).sum(-1) + mask
    return (scores.softmax(-1)[..., None] * values[:, :, None]).sum(-2)


def apply_rotary(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embeddings (Su et al., 2021) of (rows, new, heads, size) by the angles (rows, new, 1, half a size)."""
    a, b = heads.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def plain(module: Any) -> Any:
    """The base's own module, without PEFT's trained tokens around it."""
    return module.original_module if hasattr(module, "token_adapter") else module


def trained_tokens(embedding: Any, adapters: tuple[str, ...], dtype: torch.dtype) -> tuple[list[int], Tensor]:
    """The tokens that any adapter has trained, and (1 + adapters, tokens, width): their rows in the base and each."""
    layer: Any = getattr(embedding, "token_adapter", None)
    indices = (
        {name: list(layer.token_indices[name]) for name in adapters if name in layer.token_indices} if layer else {}
    )
    tokens = sorted({token for of_one in indices.values() for token in of_one})
    rows = plain(embedding).weight.data[tokens].to(dtype).repeat(1 + len(adapters), 1, 1)
    for number, name in enumerate(adapters, start=1):
        for place, token in enumerate(indices.get(name, ())):
            rows[number, tokens.index(token)] = layer.trainable_tokens_delta[name].data[place].to(dtype)
    return tokens, rows


def check(model: Any, config: Any) -> None:
    """Raises ValueError for what the decoder cannot compute."""
    if config.model_type != "qwen2" or config.rope_parameters["rope_type"] != "default" or config.use_sliding_window:
        what = f"{config.model_type} with {config.rope_parameters['rope_type']} rotary embeddings"
        raise ValueError(f"the engine serves Qwen 2 models with plain attention, and this is {what}")
    if getattr(config, "quantization_config", None):
        raise ValueError("the model is loaded in 4 bits; load it as it is and let the engine's precision pack it")
    if any(getattr(one, "modules_to_save", None) for one in getattr(model, "peft_config", {}).values()):
        raise ValueError("an adapter has modules_to_save, which cannot be mixed in a batch; train the tokens alone")
