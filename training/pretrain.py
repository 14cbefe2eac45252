"""Pretrains the starter base model: `python -m training.pretrain --corpus cornell_movie_dialogs_corpus.zip`.

What Qwen 2.5 base is to the recipes on a GPU, this model is to the embedded default: the same architecture and the same
special tokens, fluent in film lines, ignorant of turns. It reads plain dialogue (the lines of one conversation joined
by newlines, no ChatML) of the train films alone, so that the test films stay unseen through the whole chain.

Three million tokens are few for 16 million parameters: it reads them many times over, so dropout and weight decay do as
much of the work as the optimizer (Muon for the matrices inside the blocks, AdamW for embeddings and norms).
The run writes a checkpoint every few minutes and carries on from it when started again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from hub.rights import Rights
from training.corpus import Corpus, sources
from training.sections import Data
from training.windows import split_of

BOUNDARY, SPECIAL_TOKENS = "<|endoftext|>", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CONTEXT = 512  # tokens of one training row; longer conversations are cut into rows

# Qwen2's way of cutting text before BPE, so that the starter's tokenizer behaves like the real one.
QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def conversations_by_split(corpus: Corpus) -> dict[str, list[str]]:
    """Returns the plain text of every conversation, by split: lines joined by newlines."""
    texts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for film, lines in corpus.talks():
        texts[split_of(film.key or "", Data().salt)].append("\n".join(lines))
    return texts


def train_tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Trains a byte-level BPE of `vocabulary` tokens, the three special ones (ids 0, 1, 2) included."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=BOUNDARY, pad_token=BOUNDARY, clean_up_tokenization_spaces=False
    )


def token_rows(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Encodes each conversation between two `<|endoftext|>`; rows over CONTEXT + 1 tokens continue in the next row."""
    boundary = tokenizer.get_vocab()[BOUNDARY]
    rows = []
    for ids in tokenizer(texts)["input_ids"]:
        ids = [boundary, *ids, boundary]
        rows += [ids[start : start + CONTEXT + 1] for start in range(0, len(ids) - 1, CONTEXT)]
    return rows


def batches(rows: list[list[int]], tokens: int, seed: int) -> list[list[list[int]]]:
    """Groups rows of like length, at most `tokens` padded tokens a batch, in an order that the seed decides."""
    chance = random.Random(seed)
    order = sorted(rows, key=lambda row: len(row) + chance.random() * 8)
    grouped: list[list[list[int]]] = [[]]
    for row in order:
        if grouped[-1] and (len(grouped[-1]) + 1) * len(row) > tokens:
            grouped.append([])
        grouped[-1].append(row)
    chance.shuffle(grouped)
    return grouped


def endless(rows: list[list[int]], tokens: int) -> Iterator[list[list[int]]]:
    """Yields the batches of one epoch after another; the number of batches differs a little between epochs."""
    for epoch in itertools.count():
        yield from batches(rows, tokens, seed=epoch)


def next_token_loss(model: Qwen2ForCausalLM, rows: list[list[int]], backward: bool = False) -> tuple[float, int]:
    """Returns the summed loss in nats and the number of predicted tokens, and on request leaves mean-loss gradients.

    Padding on the right is never looked at by a causal model. The logits are made and spent a few hundred positions at
    a time: whole, at 8,192 positions by 8,192 tokens, they would cost more time in memory than the model in arithmetic.
    """
    width = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    labels = torch.tensor([row[1:] + [-100] * (width - len(row)) for row in rows]).flatten()
    count = int((labels >= 0).sum())
    with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(backward):
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


def save_checkpoint(path: Path, model: Qwen2ForCausalLM, optimizer_list: list, step: int, spent: float) -> None:
    """Writes everything that carrying on needs; the old checkpoint stays until the new one is whole."""
    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizer_list],
        "step": step,
        "spent": spent,
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def main(arguments: argparse.Namespace) -> None:
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    corpus = sources.read(arguments.corpus)
    texts = conversations_by_split(corpus)
    if (arguments.out / "tokenizer.json").exists():
        tokenizer = PreTrainedTokenizerFast.from_pretrained(arguments.out)
    else:
        tokenizer = train_tokenizer(texts["train"], arguments.vocabulary)
        tokenizer.save_pretrained(arguments.out)
    rows = token_rows(tokenizer, texts["train"])
    model = build_model(arguments, tokenizer)
    optimizer_list = optimizers(model, arguments)
    per_epoch = len(batches(rows, arguments.batch_tokens, seed=0))
    train_tokens = sum(map(len, rows))
    print(
        f"{model.num_parameters() / 1e6:.1f}M parameters, {train_tokens / 1e6:.2f}M train tokens, "
        f"{per_epoch} steps an epoch, {arguments.minutes} minutes",
        flush=True,
    )

    checkpoint = arguments.out / "checkpoint.pt"
    step, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizer_list, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        step, spent = state["step"], state["spent"]
    if arguments.compile:
        model.model.compile(dynamic=True)  # fuses what lies between the matrix products: a quarter less time on 2 cores
    clock, running, seen = time.monotonic() - spent, 0.0, 0
    progress = min(1.0, spent / 60 / arguments.minutes)
    model.train()
    if progress < 1:
        for batch in itertools.islice(endless(rows, arguments.batch_tokens), step, None):
            progress = min(1.0, (time.monotonic() - clock) / 60 / arguments.minutes)
            scale = min(1.0, (step + 1) / arguments.warmup) * (1 - progress)
            loss, count = next_token_loss(model, batch, backward=True)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizer_list:
                for group in optimizer.param_groups:
                    group["lr"] = arguments.lr * scale
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            running, seen, step = running + loss, seen + count, step + 1
            if step % arguments.every == 0 or progress == 1:
                record = {
                    "step": step,
                    "epoch": round(step / per_epoch, 2),
                    "minutes": round((time.monotonic() - clock) / 60, 2),
                    "train_nats_per_token": round(running / seen, 4),
                    "validation_nats_per_byte": round(nats_per_byte(model, tokenizer, texts["validation"][::20]), 4),
                }
                print(json.dumps(record), flush=True)
                with (arguments.out / "log.jsonl").open("a") as log:
                    log.write(json.dumps(record) + "\n")
                running, seen = 0.0, 0
                save_checkpoint(checkpoint, model, optimizer_list, step, time.monotonic() - clock)
            if progress == 1:
                break
    finish(arguments, tokenizer, model, texts, corpus.rights, {"steps": step, "epochs": round(step / per_epoch, 2)})


def finish(
    arguments: argparse.Namespace,
    tokenizer: PreTrainedTokenizerFast,
    model: Qwen2ForCausalLM,
    texts: dict[str, list[str]],
    rights: Rights,
    run: dict[str, float],
) -> None:
    """Saves the weights in bf16 and, of these very weights, the held-out losses, in `training.json` for the card."""
    model.bfloat16().save_pretrained(arguments.out)
    saved = Qwen2ForCausalLM.from_pretrained(arguments.out, dtype=torch.float32)
    facts = {
        "corpus": " and ".join(f"the {one.title}" for one in rights.citations) or arguments.corpus.name,
        "rights": rights.as_fact(),
        "parameters": saved.num_parameters(),
        "vocabulary": len(tokenizer),
        "train conversations": len(texts["train"]),
        "train bytes": sum(len(text.encode()) for text in texts["train"]),
        **run,
        "minutes": arguments.minutes,
        "threads": arguments.threads,
        "learning rate": arguments.lr,
        "dropout": arguments.dropout,
        "weight decay": arguments.decay,
        "split salt": Data().salt,
    }
    for split in ("validation", "test"):
        facts[f"{split} nats per byte"] = round(nats_per_byte(saved, tokenizer, texts[split]), 4)
    (arguments.out / "training.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts, indent=2), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="the Cornell corpus, zip or folder")
    parser.add_argument("--out", type=Path, default=Path("training/starter"))
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--kv-heads", type=int, default=2)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.1)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--batch-tokens", type=int, default=8192, help="padded tokens of one optimizer step")
    parser.add_argument(
        "--minutes", type=float, default=75, help="the learning rate falls linearly to 0 over this time"
    )
    parser.add_argument("--every", type=int, default=200, help="steps between validation and checkpoint")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model; needs a C++ compiler")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
