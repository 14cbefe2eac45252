"""Benchmark of packed training: `python -m benchmarks.train --corpus ZIP --tokenizer FOLDER`.

The peer is TRL as a newcomer sets it up: SFTTrainer with the same model, adapter and pairs, unpacked, in padded batches
of 8. Random weights of the true shapes (the starter's are real), real pairs of the corpus, the code of
training.finetune.loading, training.data.packing and training.finetune.sft. Both take the very same examples in every
optimizer step, so that their loss on held-out pairs must be the same in the end. Each side is a process of its own, so
that its peak memory is its own. `--cap-gb 8` holds a GPU's allocator to a limit, under which 3B is trained by SFT and
by DPO. `--dpo` measures DPO on a CPU too, as TRL does it, which asks the reference at every step, and with the
reference of an earlier run kept (`training.finetune.reference`): dpo_kept_over_dpo, steps a second over steps a second.
Without --corpus the pairs are those of the sample.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import finish_benchmark, peak_memory, run_child
from benchmarks.train_peer import (
    QWEN_SHAPES,
    ROW_TOKENS,
    STEP_EXAMPLES,
    common_arguments,
    dpo_trainer,
    held_out_loss,
    kept_dpo_trainer,
    lora_settings,
    newcomer_trainer,
    random_base,
    stopwatch,
)
from hub.errors import one_line_errors

PAPER_PAIRS = 142_000
STARTER = Path("training/starter")
HELD_OUT_PAIRS = 100


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path("training/sample"), help="default: %(default)s")
    parser.add_argument("--tokenizer", default="Qwen/Qwen2.5-0.5B", help="of the Qwen shapes (default: %(default)s)")
    parser.add_argument(
        "--shapes",
        nargs="+",
        metavar="SHAPE",
        help=f"starter, {', '.join(QWEN_SHAPES)} or the folder of a model (default: what the device can bear)",
    )
    parser.add_argument("--steps", type=int, help="optimizer steps of each side (default: 6, on a GPU 30)")
    parser.add_argument("--dpo", action="store_true", help="measure DPO on a CPU too")
    parser.add_argument("--cap-gb", type=float, help="limit of the CUDA allocator")
    parser.add_argument("--side", nargs=2, metavar=("SIDE", "BASE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if wrong := [s for s in arguments.shapes or () if s not in ("starter", *QWEN_SHAPES) and not Path(s).is_dir()]:
        parser.error(f"--shapes: {wrong[0]} is no shape and no folder; there are starter, {', '.join(QWEN_SHAPES)}")
    arguments.given = list(sys.argv[1:] if argv is None else argv)
    with one_line_errors(), tempfile.TemporaryDirectory() as scratch:
        if arguments.side:
            name, base = arguments.side
            print(json.dumps(side(arguments, name, base, Path(scratch))))
            return
        figures, bars = measure(arguments, Path(scratch))
    finish_benchmark(figures, bars)


def measure(arguments: argparse.Namespace, scratch: Path) -> tuple[dict[str, float], dict[str, tuple[str, float]]]:
    """Prints the set-up and a table; returns the figures and the bounds of this device."""
    import torch
    import trl

    from training.finetune.run_plan import device_memory

    gpu = torch.cuda.is_available()
    shapes = arguments.shapes or (["0.5B", "1.5B", "3B"] if gpu else ["starter", "0.5B-2layers"])
    steps = arguments.steps or (30 if gpu else 6)
    print(
        f"{arguments.corpus.name}; {device_memory()[1]}, cap {arguments.cap_gb or 'none'}; torch {torch.__version__}, "
        f"trl {trl.__version__}, Python {platform.python_version()}; {steps} steps of {STEP_EXAMPLES} examples, "
        "the first not timed",
        flush=True,
    )
    print("\n| shape | side | real tokens/s | of the batch real | peak GB | MFU | hours, paper's run | held-out loss |")
    print("|---|---|---:|---:|---:|---:|---:|---:|", flush=True)
    results: dict[str, dict[str, dict[str, float]]] = {}
    for shape in shapes:
        base = random_base(shape, scratch) if shape in QWEN_SHAPES else STARTER if shape == "starter" else Path(shape)
        for name in ("packed", "newcomer", "dpo", "dpo-kept") if gpu or arguments.dpo else ("packed", "newcomer"):
            result = run_side(arguments.given, shape, name, base, steps)
            results.setdefault(shape, {})[name] = result
            print(
                f"| {shape} | {name} | {result['tokens_per_s']:,.0f} | {result['fill']:.1%} | "
                f"{result['peak_gb']:.2f} | {result['mfu']:.1%} | "
                f"{result['hours_paper_run']:.1f} | {result['loss']:.4f} |",
                flush=True,
            )
    ratios = {s: r["packed"]["tokens_per_s"] / r["newcomer"]["tokens_per_s"] for s, r in results.items()}
    gaps = {s: abs(r["packed"]["loss"] / r["newcomer"]["loss"] - 1) for s, r in results.items()}
    figures = {"packed_over_newcomer": round(min(ratios.values()), 3), "loss_gap": round(max(gaps.values()), 4)}
    figures |= {f"packed_over_newcomer_{s}": round(ratio, 3) for s, ratio in ratios.items()}
    figures |= {f"loss_gap_{s}": round(gap, 4) for s, gap in gaps.items()}
    bars: dict[str, tuple[str, float]] = {"packed_over_newcomer": (">=", 2.0 if gpu else 1.6), "loss_gap": ("<=", 0.01)}
    for shape, of_shape in results.items():
        if "dpo-kept" in of_shape:
            of_dpo = dpo_figures(of_shape["dpo"], of_shape["dpo-kept"])
            figures |= {f"{name}_{shape}": value for name, value in of_dpo.items()}
            bars |= {f"dpo_kept_over_dpo_{shape}": (">=", 1.3), f"dpo_first_loss_gap_{shape}": ("<=", 0.002)}
    if gpu and "3B" in results:
        packed, dpo = results["3B"]["packed"], results["3B"]["dpo"]
        figures |= {f"{name}_3b": packed[name] for name in ("tokens_per_s", "mfu")}
        figures |= {"peak_gb_sft_3b": packed["peak_gb"], "peak_gb_dpo_3b": dpo["peak_gb"]}
        figures["hours_paper_run"] = packed["hours_paper_run"]
        bars |= {"peak_gb_sft_3b": ("<=", 5.0), "peak_gb_dpo_3b": ("<=", 7.5)}
        if "H200" in device_memory()[1]:
            bars["hours_paper_run"] = ("<=", 1.0)
    print(flush=True)
    return figures, bars


def dpo_figures(asked: dict[str, float], kept: dict[str, float]) -> dict[str, float]:
    """DPO with its reference kept over DPO that asks it at every step: speed, and how far their first losses part."""
    return {
        "dpo_kept_over_dpo": round(asked["seconds_per_step"] / kept["seconds_per_step"], 3),
        "dpo_first_loss_gap": round(abs(asked["first_loss"] - kept["first_loss"]), 5),
    }


def run_side(given: Sequence[str], shape: str, name: str, base: Path, steps: int) -> dict[str, float]:
    """Figures of one side, which runs in a process of its own with the `given` arguments."""
    code = [sys.executable, "-m", "benchmarks.train", *given, "--shapes", shape, "--steps", str(steps)]
    code += ["--side", name, str(base)]
    result: dict[str, float] = json.loads(run_child(code, f"{name} of {shape}").strip().splitlines()[-1])
    return result


def side(arguments: argparse.Namespace, name: str, folder: str, scratch: Path) -> dict[str, float]:
    """Trains one side on the base in a folder, for the steps asked for; returns its figures."""
    import torch
    from transformers import AutoTokenizer

    from chat.template import configure_tokenizer
    from chat.variants import has_bf16
    from training.data.encode import encode
    from training.finetune.loading import load_base
    from training.finetune.memory_plan import Shape, flops_per_token
    from training.finetune.run_plan import matrix_speed
    from training.recipe_schema import Model

    gpu = torch.cuda.is_available()
    if gpu and arguments.cap_gb:
        torch.cuda.set_per_process_memory_fraction(arguments.cap_gb * 1e9 / torch.cuda.mem_get_info()[1])
    random_shape = arguments.shapes[0] in QWEN_SHAPES
    tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(arguments.tokenizer if random_shape else folder))
    train, validation = split_pairs(arguments.corpus)
    encoded = encode(tokenizer, train.slice(0, STEP_EXAMPLES * arguments.steps), ROW_TOKENS)
    torch.manual_seed(0)
    base = load_base(folder, "main", Model(four_bit=gpu), has_bf16())
    sizes = Shape.of(base.config)
    make = {
        "packed": packed_trainer, "newcomer": newcomer_trainer, "dpo": dpo_trainer, "dpo-kept": kept_dpo_trainer
    }[name]  # fmt: skip
    trainer = make(base, tokenizer, train, arguments.steps, scratch, gpu)
    clock = stopwatch(tokenizer.pad_token_id)
    trainer.add_callback(clock)
    trainer.train()
    speed = (clock.tokens - clock.at_first) / (clock.times[-1] - clock.times[0])
    work = flops_per_token(sizes, False, encoded.reply_tokens / encoded.tokens)  # what checkpointing redoes counts once
    sides = (4096, 4096) if has_bf16() else (512, 512)
    peak = torch.cuda.max_memory_allocated() / 1e9 if gpu else peak_memory() / 1e9
    return {
        "seconds_per_step": (clock.times[-1] - clock.times[0]) / (len(clock.times) - 1),
        "first_loss": next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry),
        "tokens_per_s": round(speed, 1),
        "fill": round(clock.tokens / clock.places, 4),
        "peak_gb": round(peak, 3),
        "mfu": round(speed * work / matrix_speed(*sides), 4),
        "hours_paper_run": round(PAPER_PAIRS * encoded.tokens / len(encoded.table) / speed / 3600, 2),
        "loss": held_out_loss(trainer.model, encode(tokenizer, validation.slice(0, HELD_OUT_PAIRS), ROW_TOKENS)),
    }


def split_pairs(corpus: Path) -> tuple[Any, Any]:
    """Train and validation pairs of a corpus, in an order of chance; the same pairs at every call."""
    import numpy as np

    from training.data.corpus import sources
    from training.data.corpus.assemble import WeightedCorpus
    from training.data.pairs import build_tables
    from training.recipe_schema import Data

    # no pair is over ROW_TOKENS tokens: neither side drops any
    short = Data(max_prompt_characters=ROW_TOKENS, max_reply_characters=ROW_TOKENS)
    tables = build_tables([WeightedCorpus("corpus", 1, sources.read(corpus))], short)[0]["pairs"]
    drawn = [tables[split].select(["prompt", "completion"]) for split in ("train", "validation")]
    train, validation = (table.take(np.random.default_rng(1).permutation(len(table))) for table in drawn)
    return train.combine_chunks(), validation.combine_chunks()


def packed_trainer(base: Any, tokenizer: Any, train: Any, steps: int, scratch: Path, gpu: bool) -> Any:
    """Packed trainer of ours; the rows of a step hold the examples of the newcomer's."""
    from training.data.encode import encode
    from training.data.packing import joined, token_counts
    from training.finetune.loading import add_lora
    from training.finetune.sft import build_sft_trainer, sft_arguments

    encoded = encode(tokenizer, train.slice(0, STEP_EXAMPLES * steps), ROW_TOKENS)
    at_once = 1 if gpu else 2  # memory is not short on a CPU
    rows = step_rows(token_counts(encoded.table).tolist(), STEP_EXAMPLES, ROW_TOKENS, at_once)
    settings = common_arguments(steps, scratch, gpu) | {"packing": True, "per_device_train_batch_size": at_once}
    arguments = sft_arguments(settings | {"gradient_accumulation_steps": len(rows) // steps // at_once}, scratch)
    return build_sft_trainer(
        add_lora(base, tokenizer, lora_settings(gpu)), tokenizer, arguments, encoded, joined(encoded.table, rows)
    )


def step_rows(lengths: list[int], examples: int, size: int, multiple: int) -> list[list[int]]:
    """Rows of each step's examples, packed by themselves: as many of at most `size` for every step, a `multiple`.

    A step that needs fewer than another has its fullest rows cut in two, which costs nothing: no row is padded.
    """
    from training.data.packing import fill_rows

    firsts = range(0, len(lengths), examples)
    filled = [fill_rows(lengths[first : first + examples], size, list(range(examples))) for first in firsts]
    count = math.ceil(max(map(len, filled)) / multiple) * multiple
    for rows in filled:
        while len(rows) < count:
            fullest = max(rows, key=len)
            rows.append([fullest.pop() for _ in range(len(fullest) // 2)])
    return [[first + place for place in row] for first, rows in zip(firsts, filled, strict=True) for row in rows]


if __name__ == "__main__":
    main()
