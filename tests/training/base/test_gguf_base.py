"""Conversion of a GGUF file: its metadata are parsed once, and nothing of that stays behind."""

import gguf

from training.base.gguf_base import convert_gguf, gguf_facts


def test_metadata_are_parsed_once(gguf_file, tmp_path, monkeypatch):
    parsed, mapped = [], []

    class Counted(gguf.GGUFReader):
        def __init__(self, path):
            parsed.append(path)
            super().__init__(path)

    name_map = gguf.get_tensor_name_map
    monkeypatch.setattr(gguf, "GGUFReader", Counted)
    monkeypatch.setattr(gguf, "get_tensor_name_map", lambda *model: mapped.append(model) or name_map(*model))
    counting = gguf.get_tensor_name_map
    gguf_facts.cache_clear()
    assert "model.safetensors" in convert_gguf(gguf_file, tmp_path)
    assert (len(parsed), len(mapped)) == (1, 1)
    assert (gguf.GGUFReader, gguf.get_tensor_name_map) == (Counted, counting)
