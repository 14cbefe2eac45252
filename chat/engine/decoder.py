"""Qwen 2's forward pass for serving: quantized weights, a preallocated KV cache, every LoRA variant in one batch.

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
    """Transformer block: fused QKV, output, gate-up and down projections, and its two RMS norms."""

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
        """The four projections, in the order of the forward pass."""
        return self.qkv, self.out, self.gate_up, self.down


class DecoderModel(nn.Module):
    """Forward pass over one base and its LoRA adapters, for rows of equally many new tokens."""

    embedding: Tensor
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
        embedding = base_embedding(body.embed_tokens).weight.data
        # An embedding of bf16 weights stays in bf16, whatever is computed with: a step reads a row of it.
        self.register_buffer("embedding", embedding if precision == "float32" else embedding.bfloat16())
        self.head = quantize_linear(
            embedding if self.tied else base_embedding(model.lm_head).weight.data, None, precision
        )
        self.trained, rows = trained_tokens(body.embed_tokens, adapters, dtype)
        self.register_buffer("trained_rows", rows)
        self.register_buffer("trained_tokens", torch.tensor(self.trained, dtype=torch.long, device=rows.device))
        angles = torch.arange(config.max_position_embeddings)[:, None] * body.rotary_emb.inv_freq.float().cpu()
        self.register_buffer("cos", angles.cos().to(dtype).to(embedding.device))
        self.register_buffer("sin", angles.sin().to(dtype).to(embedding.device))

    @property
    def blocks(self) -> list[Layer]:
        """The transformer blocks, typed."""
        return cast("list[Layer]", list(self.layers))

    def forward(self, tokens: Tensor, past_lengths: Tensor, adapter_ids: Tensor | None, caches: list[Tensor]) -> Tensor:
        """Prefill or decode step; returns the logits after each row's last new token, float32 (rows, vocabulary).

        Args:
            tokens: (rows, new), as many in every row.
            past_lengths: (rows,) tokens of each row that are in the KV cache already.
            adapter_ids: (rows,) the adapter of each row, 0 for the base alone; None where all rows are the base's.
            caches: the KV cache of each layer (slots, capacity, 2 * key heads, head size), row i in slot i; the keys
                and values of the new tokens are written into it.
        """
        rows, new = tokens.shape
        positions = past_lengths[:, None] + torch.arange(new, device=tokens.device)  # (rows, new)
        slots = torch.arange(rows, device=tokens.device)[:, None]
        turn = self.cos[positions][:, :, None], self.sin[positions][:, :, None]
        length, shared = caches[0].shape[1], self.heads // self.kv_heads
        seen = torch.arange(length, device=tokens.device) <= positions[:, :, None]  # (rows, new, length)
        mask = torch.where(seen, 0.0, -torch.inf).to(self.norm.dtype).repeat(1, shared, 1)[:, None]
        x = self._embed(tokens, adapter_ids)
        for layer, cache in zip(self.blocks, caches, strict=True):
            qkv = layer.qkv(self._norm(x, layer.before_attention), adapter_ids)
            q, k, v = qkv.view(rows, new, -1, self.head_size).split((self.heads, self.kv_heads, self.kv_heads), 2)
            cache.index_put_((slots, positions), torch.cat([apply_rotary(k, *turn), v], dim=2))
            # The query heads of one key head stand in for more queries.
            q = torch.unflatten(apply_rotary(q, *turn), 2, (self.kv_heads, shared)).permute(0, 2, 3, 1, 4).flatten(2, 3)
            keys, values = torch.split(cache[:rows].permute(0, 2, 1, 3), self.kv_heads, 1)
            y = attention(q, keys, values, mask)
            y = torch.unflatten(y, 2, (shared, new)).permute(0, 3, 1, 2, 4)
            x = x + layer.out(y.reshape(rows, new, -1), adapter_ids)
            gate, up = layer.gate_up(self._norm(x, layer.before_mlp), adapter_ids).chunk(2, dim=-1)
            x = x + layer.down(F.silu(gate) * up, adapter_ids)
        return self._logits(self._norm(x[:, -1], self.norm), adapter_ids)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), weight, self.eps)

    def _embed(self, tokens: Tensor, adapter_ids: Tensor | None) -> Tensor:
        x = self.embedding[tokens].to(self.norm.dtype)
        if adapter_ids is not None:
            for place, token in enumerate(self.trained):
                x = torch.where((tokens == token)[:, :, None], self.trained_rows[adapter_ids, place][:, None], x)
        return x

    def _logits(self, x: Tensor, adapter_ids: Tensor | None) -> Tensor:
        logits: Tensor = self.head(x).float()
        if self.tied and self.trained and adapter_ids is not None:
            own = (x[:, None] * self.trained_rows[adapter_ids]).sum(-1).float()  # (rows, trained tokens)
            logits = logits.index_copy(1, self.trained_tokens, own)
        return logits


class Decoder:
    """Prefill and decode steps of many rows at once, over one base and its LoRA adapters."""

    def __init__(self, variants: ModelVariants, precision: str = "auto") -> None:
        """Copies or quantizes the model's weights; the model is not needed afterwards.

        Raises ValueError for a model that is no Qwen 2, an adapter that is not plain LoRA with trained tokens, and a
        precision that cannot be.
        """
        check_supported(variants.model, variants.model.config)
        self.device = variants.model.device
        self.precision = resolve_precision(precision, self.device)
        self.max_length = int(variants.model.config.max_position_embeddings)
        self.adapter_ids = {name: number for number, name in enumerate(variants.names)}
        with torch.inference_mode():
            self.body = DecoderModel(variants, self.precision)
        self.program: Callable[..., Tensor] | None = None
        """The body, compiled for one new token a row; None where that has not been done."""

    @property
    def bytes(self) -> int:
        """Of memory that all weights take, adapters and embedding included."""
        adapters = sum(fused.adapter_bytes for fused in self._linears())
        return self.read_bytes + self.body.embedding.nbytes + adapters

    @property
    def read_bytes(self) -> int:
        """Of memory that every decode step reads, whichever adapters it uses: the base's layers and the head."""
        return sum(fused.base.bytes for fused in self._linears()) + self.body.head.bytes

    def _linears(self) -> list[MultiLoraLinear]:
        return [fused for layer in self.body.blocks for fused in layer.linears]

    def cache(self, slots: int, capacity: int) -> Tensor:
        """KV cache of zeros, (layers, slots, capacity, 2 * key heads, head size)."""
        body = self.body
        shape = (len(body.layers), slots, capacity, 2 * body.kv_heads, body.head_size)
        return torch.zeros(shape, dtype=body.norm.dtype, device=self.device)

    @torch.inference_mode()
    def __call__(self, cache: Tensor, tokens: list[list[int]], past_lengths: list[int], variants: list[str]) -> Tensor:
        """Prefill or decode step of each row; returns the logits after its last new token, float32 (rows, vocabulary).

        Neighbours with equally many new tokens go through the model together.

        Args:
            cache: the KV cache, row i in slot i; it takes the keys and values of the new tokens.
            tokens: new ones, at least one a row.
            past_lengths: tokens of each row that are in the cache already.
            variants: the name of each row's variant.
        """
        logits, first = [], 0
        ids = [self.adapter_ids[variant] for variant in variants]
        for new, group in groupby(tokens, len):
            end = first + len(list(group))
            span = slice(first, end)
            adapter_ids = torch.tensor(ids[span], device=self.device)
            past = torch.tensor(past_lengths[span], device=self.device)
            read = torch.tensor(tokens[span], device=self.device)
            if self.program and new == 1 and first == 0:
                logits.append(self.program(read, past, adapter_ids, list(cache.unbind())))
            else:
                known = cache[:, span, : max(past_lengths[span]) + new]
                adapted = adapter_ids if any(ids[span]) else None
                logits.append(self.body(read, past, adapted, list(known.unbind())))
            first = end
        return logits[0] if len(logits) == 1 else torch.cat(logits)


def attention(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Scaled dot-product attention: (rows, key heads, queries, size) over as many keys as the mask is long."""
    if not torch.compiler.is_exporting():
        return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
    scores = ((q * q.shape[-1] ** -0.5)[:, :, :, None] * keys[:, :, None]).sum(-1) + mask
    mixed: Tensor = (scores.softmax(-1)[..., None] * values[:, :, None]).sum(-2)
    return mixed


def apply_rotary(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embeddings (Su et al., 2021) of (rows, new, heads, size) by the angles (rows, new, 1, half a size)."""
    a, b = heads.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def base_embedding(module: Any) -> Any:
    """The base's own embedding or head, without PEFT's trained tokens around it."""
    return module.original_module if hasattr(module, "token_adapter") else module


def trained_tokens(embedding: Any, adapters: tuple[str, ...], dtype: torch.dtype) -> tuple[list[int], Tensor]:
    """Trained token rows: the tokens that any adapter has trained, and their rows (1 + adapters, tokens, width)."""
    layer: Any = getattr(embedding, "token_adapter", None)
    indices = (
        {name: list(layer.token_indices[name]) for name in adapters if name in layer.token_indices} if layer else {}
    )
    tokens = sorted({token for of_one in indices.values() for token in of_one})
    rows = base_embedding(embedding).weight.data[tokens].to(dtype).repeat(1 + len(adapters), 1, 1)
    for number, name in enumerate(adapters, start=1):
        for place, token in enumerate(indices.get(name, ())):
            rows[number, tokens.index(token)] = layer.trainable_tokens_delta[name].data[place].to(dtype)
    return tokens, rows


def check_supported(model: Any, config: Any) -> None:
    """Raises ValueError for what the decoder cannot compute."""
    if config.model_type != "qwen2" or config.rope_parameters["rope_type"] != "default" or config.use_sliding_window:
        what = f"{config.model_type} with {config.rope_parameters['rope_type']} rotary embeddings"
        raise ValueError(f"the engine serves Qwen 2 models with plain attention, and this is {what}")
    if getattr(config, "quantization_config", None):
        raise ValueError("the model is loaded in 4 bits; load it as it is and let the engine's precision pack it")
    if any(getattr(one, "modules_to_save", None) for one in getattr(model, "peft_config", {}).values()):
        raise ValueError("an adapter has modules_to_save, which cannot be mixed in a batch; train the tokens alone")
