"""DPO's reference, computed once for a pair: the numbers of every step's own, and never asked for twice."""

from __future__ import annotations

import json

from tests.training.finetune.test_runs import logged, made, train  # noqa: F401 - `made` is a fixture
from training.finetune import dpo, reference

EXACT = ("dpo.validation_pairs=3", "dpo.bf16=false")
"""In bf16 a log-probability depends on the shape of its batch, in the third decimal of a loss."""


def told(capsys) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if "reference of" in line]


def test_the_losses_are_those_of_a_reference_asked_at_every_step(made, tmp_path, monkeypatch, capsys):  # noqa: F811
    with monkeypatch.context() as patched:
        patched.setattr(dpo, "keep_reference", lambda *_: None)
        train(made, "dpo", tmp_path / "online", *EXACT)
    assert told(capsys) == []
    train(made, "dpo", tmp_path / "kept", *EXACT)
    assert len(told(capsys)) == 2  # of what is trained on, and of what is held out
    online, kept = logged(tmp_path / "online"), logged(tmp_path / "kept")
    assert online.keys() == kept.keys()
    assert all(abs(online[step] - kept[step]) < 1e-5 for step in online)
    train(made, "dpo", tmp_path / "again", "dpo.bf16=false", "dpo.validation_pairs=4", "dpo.seed=5", "dpo.beta=0.3")
    assert told(capsys) == [], "other seeds and betas, other pairs held out: the same reference"
    train(made, "dpo", tmp_path / "weighted", *EXACT, "dpo.ld_alpha=0.5")
    assert len(told(capsys)) == 2, "ld_alpha is part of the number"


def test_what_a_kill_has_torn_is_computed_again(made, tmp_path, capsys):  # noqa: F811
    train(made, "dpo", tmp_path / "first", "dpo.max_steps=1")
    [path] = (tmp_path / "reference").iterdir()
    whole = path.read_text()
    known = reference.read_known(path.parent, path.stem.rpartition("-")[0])
    path.write_text(whole[: len(whole) // 2])
    capsys.readouterr()
    train(made, "dpo", tmp_path / "second", "dpo.max_steps=1")
    assert len(told(capsys)) == 1
    again = reference.read_known(path.parent, path.stem.rpartition("-")[0])
    assert again.keys() == known.keys()
    assert all(abs(again[key][side] - known[key][side]) < 1e-3 for key in known for side in (0, 1))


def test_a_line_is_a_pair_and_two_numbers(made, tmp_path):  # noqa: F811
    train(made, "dpo", tmp_path / "run", "dpo.max_steps=1")
    [path] = (tmp_path / "reference").iterdir()
    for line in path.read_text().splitlines():
        key, chosen, rejected = json.loads(line)
        assert len(key) == 64
        assert chosen < 0 > rejected
