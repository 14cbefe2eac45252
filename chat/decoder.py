"""Qwen 2's forward pass for serving: weights packed once, a cache of fixed shape, every voice in one batch.

transformers' `generate` takes some 15 ms a step around the layers, whatever the model's size, and PEFT a loop over the
adapters in every one of them. Here a step is about fifteen calls of torch a layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from chat.fused import Fused, Speakers, fuse
from chat.packed import activations, choose, pack
from chat.voices import Voices


@dataclass
class Layer:
    """The four linear layers of a block, and its two norms."""

    before_attention: Tensor
    qkv: Fused
    out: Fused
    before_mlp: Tensor
    gate_up: Fused
    down: Fused


@dataclass
class Group:
    """Rows of a step that read equally many new tokens, and so go through attention together."""

    tokens: slice
    slots: slice
    length: int
    """How far back, from 0, the row that has said most can look."""
    mask: Tensor
    """(rows, 1, query heads to a key head * new tokens, length): 0 where a token may look, else minus infinity."""


class Decoder:
    """One base and its adapters, ready to be asked for the next token of many rows at once."""

    def __init__(self, voices: Voices, precision: str = "auto") -> None:
        """Takes what it needs from the model, of which nothing is needed afterwards.

        Raises ValueError for a model that is no Qwen 2, an adapter that is not plain LoRA with trained tokens, and a
        precision that cannot be.
        """
        model = voices.model.get_base_model() if hasattr(voices.model, "peft_config") else voices.model
        check(voices.model, model.config)
        config, body, adapters = model.config, model.model, voices.names[1:]
        self.device = model.device
        self.precision = choose(precision, self.device)
        self.dtype = activations(self.precision)
        self.most_tokens = int(config.max_position_embeddings)
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_size = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.eps = config.rms_norm_eps
        self.frequencies = body.rotary_emb.inv_freq.float().repeat(2)
        self.adapters = {name: number for number, name in enumerate(("base", *adapters), start=-1)}
        with torch.inference_mode():
            self.layers = [self._layer(layer, adapters) for layer in body.layers]
            self.norm = body.norm.weight.to(self.dtype)
            embedding = plain(body.embed_tokens).weight
            # A table of bf16 weights stays in bf16, whatever is computed with: a step reads a row of it.
            self.table = embedding.data if self.precision == "float32" else embedding.data.bfloat16()
            head = plain(model.lm_head).weight.data if not config.tie_word_embeddings else embedding.data
            self.head = pack(head, None, self.precision)
            self.tied = config.tie_word_embeddings
            self.trained, self.trained_rows = trained_tokens(body.embed_tokens, adapters, self.dtype)

    def _layer(self, layer: Any, adapters: tuple[str, ...]) -> Layer:
        attention, mlp = layer.self_attn, layer.mlp
        return Layer(
            layer.input_layernorm.weight.data.to(self.dtype),
            fuse([attention.q_proj, attention.k_proj, attention.v_proj], adapters, self.precision),
            fuse([attention.o_proj], adapters, self.precision),
            layer.post_attention_layernorm.weight.data.to(self.dtype),
            fuse([mlp.gate_proj, mlp.up_proj], adapters, self.precision),
            fuse([mlp.down_proj], adapters, self.precision),
        )

    @property
    def bytes(self) -> int:
        """Of the weights in memory, adapters and embedding table included."""
        return self.read_bytes + self.table.nbytes + sum(fused.adapter_bytes for fused in self._fused())

    @property
    def read_bytes(self) -> int:
        """Of the weights that every step reads, whoever speaks: the base's layers and the head."""
        return sum(fused.base.bytes for fused in self._fused()) + self.head.bytes

    def _fused(self) -> list[Fused]:
        return [part for layer in self.layers for part in (layer.qkv, layer.out, layer.gate_up, layer.down)]

    def cache(self, slots: int, capacity: int) -> Tensor:
        """Room for keys and values: (layers, slots, capacity, 2 * key heads, head size)."""
        shape = (len(self.layers), slots, capacity, 2 * self.kv_heads, self.head_size)
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    @torch.inference_mode()
    def __call__(self, cache: Tensor, tokens: list[list[int]], starts: list[int], voices: list[str]) -> Tensor:
        """Reads each row's new tokens and returns the logits of what follows them, float32 (rows, vocabulary).

        Args:
            cache: holds in slot i what row i has read before, and afterwards what it has read now.
            tokens: new ones, at least one a row.
            starts: how many tokens each row has read before.
        """
        flat = [token for row in tokens for token in row]
        places = [start + place for row, start in zip(tokens, starts, strict=True) for place in range(len(row))]
        owners = [self.adapters[voice] for row, voice in zip(tokens, voices, strict=True) for _ in row]
        among = tuple(sorted({owner for owner in owners if owner >= 0}))
        speakers = Speakers(torch.tensor(owners, device=self.device), among) if among else None
        x = self._embed(flat, owners)
        positions = torch.tensor(places, device=self.device)
        capacity = cache.shape[2]
        targets = positions + torch.tensor(
            [slot * capacity for slot, row in enumerate(tokens) for _ in row], device=self.device
        )
        turn, groups = self._rotation(positions), self._groups(tokens, positions)
        for layer, kept in zip(self.layers, cache.flatten(1, 2), strict=True):
            qkv = layer.qkv(self._normed(x, layer.before_attention), speakers)
            heads = rotated(qkv.view(len(flat), -1, self.head_size), *turn)
            kept.index_copy_(0, targets, heads[:, self.heads :])
            x = x + layer.out(self._attention(heads, kept, capacity, groups), speakers)
            gate, up = layer.gate_up(self._normed(x, layer.before_mlp), speakers).chunk(2, dim=-1)
            x = x + layer.down(F.silu(gate).mul_(up), speakers)
        last, end = [], 0
        for row in tokens:
            end += len(row)
            last.append(end - 1)
        return self._logits(x if len(last) == len(flat) else x[last], [owners[place] for place in last])

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), weight, self.eps)

    def _embed(self, tokens: list[int], owners: list[int]) -> Tensor:
        x = self.table[torch.tensor(tokens, device=self.device)].to(self.dtype)
        for place, (token, owner) in enumerate(zip(tokens, owners, strict=True)):
            if owner >= 0 and token in self.trained:
                x[place] = self.trained_rows[owner + 1, self.trained.index(token)]
        return x

    def _logits(self, x: Tensor, owners: list[int]) -> Tensor:
        x = self._normed(x, self.norm)
        logits = self.head(x).float()
        if self.tied and self.trained:
            rows = self.trained_rows[[owner + 1 for owner in owners]]  # (rows, trained tokens, width)
            logits[:, self.trained] = torch.einsum("rw,rtw->rt", x, rows).float()
        return logits

    def _rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines (tokens, heads, head size) of rotary embeddings (Su et al., 2021); values are not turned.

        The sines of the first half have the other sign, so that a roll by half a head does for the rest.
        """
        angles = positions[:, None].float() * self.frequencies
        half = self.head_size // 2
        turned = self.heads + self.kv_heads
        cos = angles.new_ones(len(positions), turned + self.kv_heads, self.head_size)
        sin = torch.zeros_like(cos)
        cos[:, :turned] = angles.cos()[:, None]
        sin[:, :turned] = torch.cat([-angles[:, :half].sin(), angles[:, half:].sin()], dim=-1)[:, None]
        return cos.to(self.dtype), sin.to(self.dtype)

    def _groups(self, tokens: list[list[int]], positions: Tensor) -> list[Group]:
        """Consecutive rows of one token each are one group; any other row is a group of its own."""
        groups, slot, at = [], 0, 0
        while slot < len(tokens):
            new, rows = len(tokens[slot]), 1
            while new == 1 and slot + rows < len(tokens) and len(tokens[slot + rows]) == 1:
                rows += 1
            span = slice(at, at + rows * new)
            places = positions[span].view(rows, 1, new, 1)
            length = int(places.max()) + 1
            mask = torch.zeros(rows, 1, new, length, dtype=self.dtype, device=self.device)
            mask.masked_fill_(torch.arange(length, device=self.device) > places, -math.inf)
            mask = mask.repeat(1, 1, self.heads // self.kv_heads, 1)
            groups.append(Group(span, slice(slot, slot + rows), length, mask))
            slot, at = slot + rows, span.stop
        return groups

    def _attention(self, heads: Tensor, kept: Tensor, capacity: int, groups: list[Group]) -> Tensor:
        """Attention of every group to its own slots; the query heads of one key head stand in for more queries."""
        slots = kept.view(-1, capacity, 2, self.kv_heads, self.head_size)
        answers = []
        for group in groups:
            rows, shared = group.slots.stop - group.slots.start, self.heads // self.kv_heads
            q = heads[group.tokens, : self.heads].view(rows, -1, self.kv_heads, shared, self.head_size)
            q = q.permute(0, 2, 3, 1, 4).flatten(2, 3)  # (rows, key heads, query heads to each * tokens, size)
            k, v = slots[group.slots, : group.length].permute(2, 0, 3, 1, 4)  # each (rows, key heads, length, size)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=group.mask.expand(-1, self.kv_heads, -1, -1))
            y = y.unflatten(2, (shared, -1)).permute(0, 3, 1, 2, 4)
            answers.append(y.reshape(-1, self.heads * self.head_size))
        return answers[0] if len(answers) == 1 else torch.cat(answers)


def rotated(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns (tokens, heads, size) by `Decoder._rotation`."""
    return torch.addcmul(heads * cos, heads.roll(heads.shape[-1] // 2, -1), sin)


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
