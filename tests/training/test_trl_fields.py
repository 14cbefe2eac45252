"""TRL's fields as the recipe checks them: the cached file is what the installed TRL says, and is not used otherwise."""

import json

from training import trl_fields


def test_the_cached_fields_are_those_of_the_installed_trl():
    assert json.loads(trl_fields.PATH.read_text()) == trl_fields.read_live(), "run python -m training.trl_fields"


def test_another_trl_is_read_live(monkeypatch):
    monkeypatch.setattr(trl_fields, "installed_versions", lambda: {"trl": "0.1"})
    monkeypatch.setattr(trl_fields, "live_field_types", lambda config: {config: int})
    assert trl_fields.field_types("DPOConfig", ["beta"]) == {"DPOConfig": int}


def test_cached_types_are_types():
    found = trl_fields.field_types("SFTConfig", ["packing"])
    assert found["learning_rate"] is float
    assert found["neftune_noise_alpha"] == float | None
