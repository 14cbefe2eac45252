"""A forward pass for serving: quantized weights, a preallocated KV cache, every LoRA variant in one batch.

One decoder computes Llama, Mistral, Qwen 2, Qwen 3 and SmolLM3, by their `DecoderSpec` (`chat/engine/spec.py`).
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

from chat.engine.multi_lora import MultiLoraLinear, base_embedding, fuse_linears, trained_tokens
from chat.engine.quantized import activation_dtype, quantize_linear, resolve_precision
from chat.engine.spec import DecoderSpec, base_model, check_adapters, read_spec
from chat.variants import ModelVariants


class Layer(nn.Module):
    """Transformer block: fused QKV, output, gate-up and down projections, and its RMS norms."""

    before_attention: Tensor
    before_mlp: Tensor
    query_key_norm: Tensor
    """(heads + key heads, head size), where there is one."""

    def __init__(self, layer: Any, spec: DecoderSpec, adapters: tuple[str, ...], precision: str) -> None:
        super().__init__()
        attention, mlp, dtype = layer.self_attn, layer.mlp, activation_dtype(precision)
        self.register_buffer("before_attention", layer.input_layernorm.weight.data.to(dtype))
        self.qkv = fuse_linears([attention.q_proj, attention.k_proj, attention.v_proj], adapters, precision)
        self.out = fuse_linears([attention.o_proj], adapters, precision)
        if spec.query_key_norm:
            of_head = [attention.q_norm.weight.data] * spec.heads + [attention.k_norm.weight.data] * spec.kv_heads
            self.register_buffer("query_key_norm", torch.stack(of_head).to(dtype))
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
    head_rows: Tensor
    head_tokens: Tensor
    """Trained tokens of a head that is untied."""

    def __init__(self, variants: ModelVariants, spec: DecoderSpec, precision: str) -> None:
        super().__init__()
        model, adapters, dtype = base_model(variants.model), variants.names[1:], activation_dtype(precision)
        self.spec, body = spec, model.model
        self.layers = nn.ModuleList([Layer(layer, spec, adapters, precision) for layer in body.layers])
        self.register_buffer("norm", body.norm.weight.data.to(dtype))
        embedding = base_embedding(body.embed_tokens).weight.data
        # An embedding of bf16 weights stays in bf16, whatever is computed with: a step reads a row of it.
        self.register_buffer("embedding", embedding if precision == "float32" else embedding.bfloat16())
        self.head = quantize_linear(
            embedding if spec.tied else base_embedding(model.lm_head).weight.data, None, precision
        )
        self.trained, rows = trained_tokens(body.embed_tokens, adapters, dtype)
        self.register_buffer("trained_rows", rows)
        self.register_buffer("trained_tokens", torch.tensor(self.trained, dtype=torch.long, device=rows.device))
        if not spec.tied:
            of_head, rows = trained_tokens(model.lm_head, adapters, dtype)
            self.register_buffer("head_rows", rows)
            self.register_buffer("head_tokens", torch.tensor(of_head, dtype=torch.long, device=rows.device))
        rotary = body.rotary_emb
        angles = torch.arange(spec.max_length)[:, None] * rotary.original_inv_freq.float().cpu()
        self.register_buffer("cos", (angles.cos() * rotary.attention_scaling).to(embedding.device, dtype))
        self.register_buffer("sin", (angles.sin() * rotary.attention_scaling).to(embedding.device, dtype))

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
        spec, (rows, new) = self.spec, tokens.shape
        positions = past_lengths[:, None] + torch.arange(new, device=tokens.device)  # (rows, new)
        slots = torch.arange(rows, device=tokens.device)[:, None]
        turn = self.cos[positions][:, :, None], self.sin[positions][:, :, None]
        shared = spec.heads // spec.kv_heads
        masks = {
            window: causal_mask(positions, caches[0].shape[1], window).to(self.norm.dtype).repeat(1, shared, 1)[:, None]
            for window in dict.fromkeys(spec.windows)
        }
        x = self._embed(tokens, adapter_ids)
        for layer, cache, rotary, window in zip(self.blocks, caches, spec.rotary, spec.windows, strict=True):
            qkv = layer.qkv(self._norm(x, layer.before_attention), adapter_ids)
            qk, v = qkv.view(rows, new, -1, spec.head_size).split((spec.heads + spec.kv_heads, spec.kv_heads), 2)
            if spec.query_key_norm:
                qk = F.rms_norm(qk, (spec.head_size,), None, spec.eps) * layer.query_key_norm
            if rotary:
                qk = apply_rotary(qk, *turn)
            q, k = qk.split((spec.heads, spec.kv_heads), 2)
            cache.index_put_((slots, positions), torch.cat([k, v], dim=2))
            # The query heads of one key head stand in for more queries.
            q = torch.unflatten(q, 2, (spec.kv_heads, shared)).permute(0, 2, 3, 1, 4).flatten(2, 3)
            keys, values = torch.split(cache[:rows].permute(0, 2, 1, 3), spec.kv_heads, 1)
            y = attention(q, keys, values, masks[window], spec.scaling)
            y = torch.unflatten(y, 2, (shared, new)).permute(0, 3, 1, 2, 4)
            x = x + layer.out(y.reshape(rows, new, -1), adapter_ids)
            gate, up = layer.gate_up(self._norm(x, layer.before_mlp), adapter_ids).chunk(2, dim=-1)
            x = x + layer.down(F.silu(gate) * up, adapter_ids)
        return self._logits(self._norm(x[:, -1], self.norm), adapter_ids)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), weight, self.spec.eps)

    def _embed(self, tokens: Tensor, adapter_ids: Tensor | None) -> Tensor:
        x = self.embedding[tokens].to(self.norm.dtype)
        if adapter_ids is not None:
            for place, token in enumerate(self.trained):
                x = torch.where((tokens == token)[:, :, None], self.trained_rows[adapter_ids, place][:, None], x)
        return x

    def _logits(self, x: Tensor, adapter_ids: Tensor | None) -> Tensor:
        logits: Tensor = self.head(x).float()
        of_tokens, tokens = (
            (self.trained_rows, self.trained_tokens) if self.spec.tied else (self.head_rows, self.head_tokens)
        )
        if len(tokens) and adapter_ids is not None:
            own = (x[:, None] * of_tokens[adapter_ids]).sum(-1).float()  # (rows, trained tokens)
            logits = logits.index_copy(1, tokens, own)
        return logits


class Decoder:
    """Prefill and decode steps of many rows at once, over one base and its LoRA adapters."""

    def __init__(self, variants: ModelVariants, precision: str = "auto") -> None:
        """Copies or quantizes the model's weights; the model is not needed afterwards.

        Raises ValueError for what `read_spec` does not take, adapters that cannot be mixed and a precision that cannot
        be.
        """
        check_adapters(variants.model)
        spec = read_spec(variants.model)
        self.device = variants.model.device
        self.precision = resolve_precision(precision, self.device)
        self.max_length = spec.max_length
        self.adapter_ids = {name: number for number, name in enumerate(variants.names)}
        with torch.inference_mode():
            self.body = DecoderModel(variants, spec, self.precision)
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
        spec = self.body.spec
        shape = (len(self.body.layers), slots, capacity, 2 * spec.kv_heads, spec.head_size)
        return torch.zeros(shape, dtype=self.body.norm.dtype, device=self.device)

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


def causal_mask(positions: Tensor, length: int, window: int | None) -> Tensor:
    """Causal mask, (rows, new, length), to add to the scores of queries at `positions`, (rows, new)."""
    keys, queries = torch.arange(length, device=positions.device), positions[:, :, None]
    seen = keys <= queries
    if window:
        seen = seen & (keys > queries - window)
    return torch.where(seen, 0.0, -torch.inf)


def attention(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scaling: float) -> Tensor:
    """Scaled dot-product attention: (rows, key heads, queries, size) over as many keys as the mask is long."""
    if not torch.compiler.is_exporting():
        return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask, scale=scaling)
    scores = ((q * scaling)[:, :, :, None] * keys[:, :, None]).sum(-1) + mask
    mixed: Tensor = (scores.softmax(-1)[..., None] * values[:, :, None]).sum(-2)
    return mixed


def apply_rotary(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embeddings (Su et al., 2021) of (rows, new, heads, size) by the angles (rows, new, 1, half a size)."""
    a, b = heads.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)
