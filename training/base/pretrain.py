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
import time
from pathlib import Path
from typing import TYPE_CHECKING

from training.recipe_schema import Data

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

    from hub.rights import Rights


def save_checkpoint(path: Path, model: Qwen2ForCausalLM, optimizer_list: list, step: int, spent: float) -> None:
    """Checkpoint with everything that carrying on needs; the old one stays until the new one is whole."""
    import torch

    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizer_list],
        "step": step,
        "spent": spent,
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def main(arguments: argparse.Namespace) -> None:
    """Trains tokenizer and model, or carries on from the checkpoint, and writes both with `training.json`."""
    import torch
    from transformers import PreTrainedTokenizerFast

    from training.base.pretrain_data import batches, conversations_by_split, endless, token_rows, train_tokenizer
    from training.base.pretrain_model import build_model, nats_per_byte, next_token_loss, optimizers
    from training.data.corpus import sources

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
    import torch
    from transformers import Qwen2ForCausalLM

    from training.base.pretrain_model import nats_per_byte

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


def parse_arguments() -> argparse.Namespace:
    """Command line of the pretraining."""
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
    main(parse_arguments())
