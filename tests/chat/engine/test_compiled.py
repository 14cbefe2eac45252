"""The compiled step: the decoder's own logits for any number of rows, one program for all weights of a shape, and plain
torch where there is none."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from chat.engine.compiled import CompiledStep, cache_key, logit_differences, meta_copy
from chat.engine.decoder import Decoder
from chat.engine.local import LocalEngine
from chat.engine.quantized import has_vnni
from chat.sampling import Sampling
from chat.variants import ModelRef, ModelVariants, load_variants
from tests.support.models import refs

NAMES = ["base", "sft", "dpo"]
COMPILED_HERE = "int8" if has_vnni() else "float32"


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def shallow(starter, adapters):
    """The variants with the first layer of the model alone, which is compiled in seconds."""
    small = load_variants(ModelRef(str(starter)), refs(adapters))
    layers = small.model.get_base_model().model.layers
    del layers[1:]
    return ModelVariants(small.model, small.tokenizer, small.names)


@pytest.fixture(scope="module", params=["int8", "float32"])
def compiled(request, shallow, programs):
    """A decoder with its program, compiled in a process of its own as a first start does."""
    if request.param == "int8" and not has_vnni():
        pytest.skip("this CPU has no VNNI instructions: int8 is not compiled on it")
    decoder = Decoder(shallow, request.param)
    program = CompiledStep(decoder, programs)
    assert program.state == "the step is being compiled, once for this machine"
    program.wait()
    assert program.state == "the step compiled"
    return decoder


def test_the_program_s_logits_are_the_decoder_s(shallow, compiled):
    plain = Decoder(shallow, compiled.precision)
    for rows in (1, 2, 3, 8):
        names = [NAMES[(row + 1) % 3] for row in range(rows)]
        prompts = [list(range(3 + row, 20 + 2 * row)) for row in range(rows)]
        past_lengths = [len(prompt) for prompt in prompts]
        slots = rows + 2  # more than there are rows
        caches = [decoder.cache(slots, 64) for decoder in (plain, compiled)]
        for decoder, cache in zip((plain, compiled), caches, strict=True):
            decoder(cache, prompts, [0] * rows, names)
        for token in (1, 2, 700):  # two trained tokens among them
            expected, found = (
                decoder(cache, [[token]] * rows, past_lengths, names)
                for decoder, cache in zip((plain, compiled), caches, strict=True)
            )
            torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)
            past_lengths = [start + 1 for start in past_lengths]
        torch.testing.assert_close(caches[1], caches[0], atol=1e-3, rtol=0)


def test_nobody_s_neighbours_matter(compiled):
    prompt = [5, 6, 7, 8]
    replies = []
    for rows in (1, 3, 12):
        cache = compiled.cache(rows, 64)
        compiled(cache, [prompt] * rows, [0] * rows, (NAMES * 4)[:rows])
        replies.append(compiled(cache, [[9]] * rows, [4] * rows, (NAMES * 4)[:rows])[0])
    rounding = 0 if compiled.precision == "int8" else 1e-4  # sums of whole numbers have none
    for others in replies[1:]:
        torch.testing.assert_close(others, replies[0], atol=rounding, rtol=0)


def test_other_weights_of_the_same_shape_take_the_same_program(shallow, compiled, programs):
    names = ("base", "dpo", "sft")  # the adapters change places
    other = Decoder(ModelVariants(shallow.model, shallow.tokenizer, names), compiled.precision)
    before = sorted(programs.iterdir())
    program = CompiledStep(other, programs)
    assert program.state == "the step compiled"
    assert logit_differences(other, other.program)[0] < 1e-3
    assert sorted(programs.iterdir()) == before
    assert max(path.stat().st_size for path in before) < 10e6  # no weights in it
    assert cache_key(other.body) != cache_key(Decoder(shallow, "int4").body)


def test_a_program_is_tried_after_a_prefill(shallow):
    """As every step comes. On a cache of zeros rounding alone moves SmolLM2's logits by a third of the largest."""
    decoder, seen = Decoder(shallow, "float32"), []

    def spy(tokens, past_lengths, adapter_ids, caches):
        written = caches[0].abs().sum((2, 3)) > 0
        seen.append((written.sum(1).tolist(), past_lengths.tolist(), adapter_ids.tolist()))
        return decoder.body(tokens, past_lengths, adapter_ids, caches)

    off, rounding = logit_differences(decoder, spy)
    assert off == 0
    assert 0 < rounding < 1e-4  # a float32 decoder amplifies nothing
    [(written, past_lengths, adapter_ids)] = seen
    assert written == past_lengths
    assert min(past_lengths) > 8
    assert len(set(past_lengths)) == 3
    assert adapter_ids == [0, 1, 2]


def test_a_file_that_is_no_program_is_thrown_away(shallow, tmp_path):
    decoder = Decoder(shallow, COMPILED_HERE)
    path = tmp_path / f"{cache_key(decoder.body)}.pt2"
    path.write_bytes(b"no program")
    program = CompiledStep(decoder, tmp_path)
    assert program.state.startswith("the step is not compiled: the program of this machine does not do")
    assert decoder.program is None
    assert not path.exists()


def test_a_program_that_answers_something_else_is_thrown_away(shallow, tmp_path, monkeypatch):
    monkeypatch.setattr(torch._inductor, "aoti_load_package", Wrong)
    decoder = Decoder(shallow, "float32")
    (tmp_path / f"{cache_key(decoder.body)}.pt2").touch()
    program = CompiledStep(decoder, tmp_path)
    assert "of the largest off" in program.state
    assert decoder.program is None
    assert not list(tmp_path.iterdir())


class Wrong:
    """A package that loads, and whose logits are those of nobody."""

    def __init__(self, *arguments, **options):
        self.loader = self

    def get_constant_fqns(self):
        return []

    def load_constants(self, *arguments, **options):
        pass

    def boxed_run(self, inputs):
        return [torch.zeros(len(inputs[0]), 8192)]


def test_without_a_compiler_the_engine_says_so_and_answers(variants, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    engine = LocalEngine(variants, COMPILED_HERE, compiled=True)
    try:
        assert "the step is not compiled (there is no g++)" in engine.describe()
        line = [{"role": "user", "content": "Who is it?"}]
        assert list(engine.stream([line], ["dpo"], Sampling(temperature=0, max_new_tokens=3)))[-1][0].done
    finally:
        engine.close()
    assert not list(tmp_path.iterdir())


def test_closing_ends_a_compilation_and_the_next_start_begins_anew(shallow, tmp_path):
    decoder = Decoder(shallow, "float32")
    program = CompiledStep(decoder, tmp_path)
    process = program._process
    program.close()
    assert process.poll() is not None
    assert not list(tmp_path.glob("*.pt2"))
    again = CompiledStep(decoder, tmp_path)
    assert again._process is not None
    again.close()


LEFT_OPEN = """
import sys
from chat.engine.local import LocalEngine
from chat.sampling import Sampling
from chat.variants import ModelRef, ModelVariants, load_variants

starter, precision, *adapters = sys.argv[1:]
small = load_variants(ModelRef(starter), {name: ModelRef(folder) for name, folder in zip(("sft", "dpo"), adapters)})
del small.model.get_base_model().model.layers[1:]
engine = LocalEngine(ModelVariants(small.model, small.tokenizer, small.names), precision, compiled=True)
line = [{"role": "user", "content": "Who is it?"}]
answers = engine.stream([line] * 3, small.names, Sampling(max_new_tokens=64))
print(len(next(answers)), engine.describe())
"""


def test_a_process_that_leaves_an_engine_open_ends_as_others_do(starter, adapters, compiled, programs, tmp_path):
    """In the middle of an answer, with the program loaded: it was SIGABRT, "terminate called"."""
    (tmp_path / "repartee").mkdir()
    (tmp_path / "repartee/programs").symlink_to(programs)
    done = subprocess.run(
        [sys.executable, "-c", LEFT_OPEN, str(starter), compiled.precision, *map(str, adapters.values())],
        capture_output=True, text=True, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.startswith("3 ")
    assert "the step compiled" in done.stdout


def test_what_fails_is_in_a_log_and_said(shallow, tmp_path, capsys, monkeypatch):
    decoder = Decoder(shallow, COMPILED_HERE)
    monkeypatch.setattr("chat.engine.compiled.meta_copy", lambda body: {"no": "body"})
    program = CompiledStep(decoder, tmp_path)
    program.wait()
    log = re.search(r"that failed, see (\S+)", program.state)[1]
    assert "Error" in Path(log).read_text()
    assert capsys.readouterr().out.startswith("engine: the step is not compiled: that failed")


def test_shapes_hold_no_weights(shallow, tmp_path):
    body = Decoder(shallow, COMPILED_HERE).body
    torch.save(meta_copy(body), tmp_path / "shapes")
    assert os.path.getsize(tmp_path / "shapes") < 100_000
    assert all(buffer.device.type == "cpu" for buffer in body.buffers())


def test_int8_without_its_instructions_is_not_compiled(shallow, programs, monkeypatch):
    monkeypatch.setattr("chat.engine.compiled.has_vnni", lambda: False)
    assert CompiledStep(Decoder(shallow, "int8"), programs).state == (
        "the step is not compiled (int8 takes VNNI instructions)"
    )
