"""Ahead-of-time compiled decode step (AOTInductor): compiled for this machine once, and kept.

The program holds no weights, so that every base and adapter of the same shapes shares it. A process of its own
compiles it, at the lowest priority, from the shapes alone: `python -m chat.engine.compiled SHAPES PROGRAM THREADS`.
Until it is there, and where there is no compiler, torch answers operation by operation, with the same tokens but for
rounding.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chat.engine.decoder import Decoder, DecoderModel
from chat.engine.quantized import GROUP, has_vnni

MAX_ROWS, MAX_SLOTS = 64, 1024
PREFILL = 16  # tokens before the step that a program is tried with
COMPILED = ("float32", "bf16", "int8", "int4")
"""Precisions whose step is compiled: nf4's layers are not torch's, and int8 takes VNNI instructions (without them the
compiler's own kernel of its products was up to 1% of the largest logit off the decoder's, which are exact)."""
MAX_LOGIT_ERROR = 0.02  # of the largest logit: so much between program and decoder is allowed whatever rounding does
MAX_ROUNDING = 0.5  # more is none, whatever the model
SUM_ROUNDING = {torch.float32: 2.0**-20, torch.bfloat16: 2.0**-7}
"""What a sum in another order is off, as a share of it."""


class CompiledStep:
    """Ahead-of-time compilation of a decoder's step: loaded where there is one, else compiled in the background."""

    def __init__(self, decoder: Decoder, folder: Path | None = None) -> None:
        """Loads the program, or past_lengths to compile it.

        Args:
            decoder: gets the program as its `program`.
            folder: where programs are kept; else `~/.cache/repartee/programs`.
        """
        self.decoder = decoder
        self.folder = folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "repartee/programs"
        self.state = "the step is not compiled"
        """What the line of health says of it."""
        self._process: subprocess.Popen[bytes] | None = None
        self._polled = 0.0
        if decoder.device.type != "cpu" or decoder.precision not in COMPILED:
            return
        if decoder.precision == "int8" and not has_vnni():
            self.state += " (int8 takes VNNI instructions)"
            return
        self._path = self.folder / f"{cache_key(decoder.body)}.pt2"
        if self._path.exists():
            self._load()
        elif not shutil.which(os.environ.get("CXX", "g++")):
            self.state += " (there is no g++)"
        else:
            try:
                self._compile()
            except OSError as error:
                self.state += f" ({error})"

    def poll(self) -> None:
        """Loads the program once it is compiled; looks at most once a second."""
        if self._process and time.monotonic() - self._polled > 1:
            self._polled = time.monotonic()
            code = self._process.poll()
            if code is not None:
                self._process = None
                if code == 0 and self._path.exists():
                    self._load()
                else:
                    log = self._path.with_suffix(".log")
                    self.state = f"the step is not compiled: that failed, see {log}"
                print(f"engine: {self.state}", flush=True)

    def wait(self) -> None:
        """Until it is compiled, or has failed."""
        while self._process:
            self._process.wait()
            self._polled = 0.0
            self.poll()

    def close(self) -> None:
        """Ends the compilation, if one runs; the next start begins it anew."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _compile(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        shapes = self._path.with_suffix(".shapes")
        torch.save(meta_copy(self.decoder.body), shapes)
        lowest = {"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        threads = str(torch.get_num_threads())
        with self._path.with_suffix(".log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "chat.engine.compiled", shapes, self._path, threads],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | lowest,
                cwd=Path(__file__).parents[2], preexec_fn=lambda: os.nice(19),
            )  # fmt: skip
        self.state = "the step is being compiled, once for this machine"

    def _load(self) -> None:
        """Gives the program the decoder's weights, and tries it: a wrong one is thrown away."""
        body = self.decoder.body
        try:
            package: Any = torch._inductor.aoti_load_package(str(self._path), run_single_threaded=True)
            weights = dict(body.named_buffers(remove_duplicate=False))  # a tied head is the embedding
            weights |= {name.replace(".", "_"): buffer for name, buffer in weights.items()}  # as the compiler may say
            known = {name: weights.get(name, torch.tensor(GROUP)) for name in package.get_constant_fqns()}
            package.load_constants(known, check_full_update=True, user_managed=True)

            def run(tokens: Tensor, past_lengths: Tensor, adapter_ids: Tensor, caches: list[Tensor]) -> Tensor:
                logits: Tensor = package.loader.boxed_run([tokens, past_lengths, adapter_ids, *caches])[0]
                return logits

            off, rounding = logit_differences(self.decoder, run)
            if not off < min(max(MAX_LOGIT_ERROR, 3 * rounding), MAX_ROUNDING):
                raise RuntimeError(f"its logits are {off:.2g} of the largest off")
        except Exception as error:
            with suppress(OSError):
                self._path.unlink()
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            self.state = f"the step is not compiled: the program of this machine does not do ({reason})"
            return
        self.decoder.program = run
        self.state = "the step compiled"


def logit_differences(decoder: Decoder, program: Any) -> tuple[float, float]:
    """The largest between a step's logits by the program and by the decoder, as a share of the largest logit.

    The second number is what rounding alone does: the same between the decoder and the decoder on a cache each of whose
    numbers is moved by a rounding. A model with a few huge activations (SmolLM2) makes 0.07 of that where activations
    are rounded to int8. The step comes after a prefill of arbitrary tokens, for no text leaves a cache of zeros behind.
    """
    names, vocabulary = list(decoder.adapter_ids), len(decoder.body.embedding)
    rows = len(names)
    prompts = [[7919 * (PREFILL * row + place) % vocabulary for place in range(PREFILL + row)] for row in range(rows)]
    past_lengths = [len(prompt) for prompt in prompts]
    cache = decoder.cache(rows, 4 * PREFILL)
    decoder(cache, prompts, [0] * rows, names)
    step = torch.arange(1, rows + 1)[:, None], torch.tensor(past_lengths), torch.arange(rows)
    signs = 1 - 2 * (torch.arange(cache.shape[-1]) % 2)
    moved = cache * (1 + SUM_ROUNDING[cache.dtype] * signs).to(cache.dtype)
    with torch.inference_mode():
        expected, found, rounded = (
            run(*step, list(kept.clone().unbind()))
            for run, kept in ((decoder.body, cache), (program, cache), (decoder.body, moved))
        )
    largest = expected.abs().max()
    return float((found - expected).abs().max() / largest), float((rounded - expected).abs().max() / largest)


def cache_key(body: DecoderModel) -> str:
    """Names a program by all that it is made from: the code, the shapes, torch, the machine's instructions."""
    digest = hashlib.sha256()
    for name in ("decoder", "multi_lora", "quantized", "spec"):
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    digest.update(inspect.getsource(compile_step).encode())
    machine = f"{torch.__version__} {torch.backends.cpu.get_cpu_capability()} {cpu_flags()} {torch.get_num_threads()}"
    digest.update(machine.encode())
    for name, buffer in body.named_buffers():
        digest.update(f"{name} {tuple(buffer.shape)} {buffer.dtype}".encode())
    digest.update(f"{body.spec} {body.trained}".encode())
    return digest.hexdigest()[:24]


def cpu_flags() -> str:
    """The instructions that this processor knows, in Linux's words."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("flags"):
                return line
    return ""


def meta_copy(body: DecoderModel) -> DecoderModel:
    """A copy without a number in it: every buffer is on the device `meta`."""
    memo: dict[int, Any] = {}
    for buffer in body.buffers():
        memo[id(buffer)] = torch.empty(buffer.shape, dtype=buffer.dtype, device="meta")
    with torch.inference_mode(False):
        return copy.deepcopy(body, memo)


def compile_step(shapes: Path, path: Path, threads: int) -> None:
    """Compiles what `meta_copy` has saved for so many threads, and puts the program at `path` when it is whole."""
    from torch.export import Dim, export

    body = torch.load(shapes, weights_only=False).to_empty(device="cpu")
    rows, slots, room = Dim("rows", min=2, max=MAX_ROWS), Dim("slots", min=2, max=MAX_SLOTS), Dim("room", min=16)
    cache = torch.zeros(5, 64, 2 * body.spec.kv_heads, body.spec.head_size, dtype=body.norm.dtype)
    example = (
        torch.zeros(3, 1, dtype=torch.long),
        torch.zeros(3, dtype=torch.long),
        torch.zeros(3, dtype=torch.long),
        [cache.clone() for _ in body.layers],
    )
    with torch.no_grad():
        exported = export(
            body, example, dynamic_shapes=({0: rows}, {0: rows}, {0: rows}, [{0: slots, 1: room}] * len(body.layers))
        )
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            made = torch._inductor.aoti_compile_and_package(
                exported,
                package_path=f"{scratch}/program.pt2",
                inductor_configs={
                    "aot_inductor.package_constants_in_so": False,
                    "always_keep_tensor_constants": True,
                    "cpp.threads": threads,
                },
            )
            os.replace(made, path)
    shapes.unlink(missing_ok=True)  # another process may have compiled the same


if __name__ == "__main__":
    compile_step(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
