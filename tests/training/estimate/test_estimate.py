"""Estimate of a chain: its tokens, calls and bytes by hand, hours by a data sheet, and the table of the command."""

from dataclasses import replace
from pathlib import Path

import pytest
from transformers import Qwen2Config

from hub.errors import UserError
from hub.lineage import Lineage
from hub.publish import publish as publish_to_hub
from tests.training.finetune.test_runs import recipe_of
from training.base import publish
from training.costs import Ledger
from training.data import prepare
from training.estimate import speed, table
from training.estimate.assumptions import Device, assumptions
from training.estimate.speed import Speed, measured_speed, speed_of
from training.estimate.table import duration, estimate
from training.estimate.work import Work, asked, chain_work, kept_share, sft_work
from training.finetune.memory_plan import Shape
from training.recipe import load

PAIRS = {"train": 1000, "validation": 300, "test": 300}
RECIPES = Path(__file__).parents[3] / "training" / "recipes"
SHAPE = Shape(layers=2, hidden=8, intermediate=16, kv=4, vocab=100, tied=True)


@pytest.fixture(autouse=True)
def started(monkeypatch):
    """No new process, which takes ten seconds and more; `test_the_start_of_a_process` has one."""
    monkeypatch.setattr(table, "start_seconds", lambda: 7.5)
    monkeypatch.setattr(speed, "MIN_SECONDS", 0)


def of(name, *overrides):
    return load(RECIPES / f"{name}.yaml", ["hub.namespace=me", *overrides])


def test_sft_reads_its_epochs_or_its_step_limit():
    """1,000 pairs of 54.8 tokens are 54,800, which 2 x 2 rows of 512 hold 26.8 times."""
    whole = sft_work(of("smollm2-135m", "sft.eval_strategy=no"), PAIRS)
    assert (whole.trained, whole.read) == pytest.approx((54_800, 0))
    some = sft_work(of("smollm2-135m", "sft.step_limit=10", "sft.eval_steps=5"), PAIRS)
    assert (some.trained, some.read) == pytest.approx((10 * 2048, 3 * 200 * 54.8))
    twice = sft_work(of("smollm2-135m", "sft.num_train_epochs=2", "sft.pairs=500"), PAIRS)
    assert twice.trained == pytest.approx(54_800)


def test_the_stages_are_those_of_the_chain():
    own = chain_work(of("smollm2-135m"), SHAPE, PAIRS)
    assert list(own) == ["prepare", "base", "sft", "realism", "preferences", "dpo", "evaluation"]
    paper = chain_work(of("qwen2.5-3b-paper"), SHAPE, PAIRS)
    assert list(paper) == ["prepare", "base", "sft", "preferences", "dpo", "evaluation", "geval"]
    online = chain_work(of("starter", "rl.in_chain=true"), SHAPE, PAIRS)
    assert {"reward", "rl"} < set(online)


@pytest.mark.parametrize(("margin", "share"), [(0, 1), (0.1, 0.64), (0.2, 0.28), (0.4, 0)])
def test_a_wider_margin_leaves_fewer_pairs(margin, share):
    assert kept_share(of("smollm2-135m", f"preferences.min_margin={margin}")) == pytest.approx(share)


def test_an_llm_is_paid_for_every_call():
    """10,000 prompts in both orders and 7 controls of 200, at five lines a call for the prompts themselves."""
    recipe = of("qwen2.5-3b-paper")
    paid = chain_work(recipe, SHAPE, PAIRS)["preferences"]
    assert paid.calls == 2 * (10_000 + 7 * 200) + 2_000
    calls = assumptions().calls
    prompt = 22_800 * calls["pairwise"].prompt + 2_000 * calls["write"].prompt
    answer = 22_800 * calls["pairwise"].answer + 2_000 * calls["write"].answer
    assert paid.dollars == pytest.approx((2.5 * prompt + 10 * answer) / 1e6)  # gpt-4o's, per million
    unknown = replace(recipe.judge, model="nobody-knows-it")
    assert asked({"pairwise": 10}, unknown) == Work(calls=10, dollars=None)


def test_hours_by_a_data_sheet():
    """Training is 4 FLOPs a weight, reading 2; a step of 64 rows reads the weights once."""
    shape = Shape(layers=10, hidden=1000, intermediate=3000, kv=500, vocab=1, tied=True)
    device = Device("one", tflops=100, gigabytes_per_second=100, memory=24)
    found = speed_of(device, shape, four_bit=False, checkpointing=False)
    weights = 10 * 1000 * (2000 + 1000 + 9000)
    assert found.trained == pytest.approx(4 * weights / 4e13, rel=1e-3)
    assert found.read == pytest.approx(2 * weights / 4e13, rel=1e-3)
    assert found.sampled == pytest.approx(2 * weights / 50e9 / 64, rel=1e-3)
    again = speed_of(device, shape, four_bit=True, checkpointing=True)
    assert again.trained == pytest.approx(1.5 * found.trained)
    assert again.sampled < found.sampled / 3
    assert Speed(1, 2, 3).hours(Work(trained=3600, read=1800, sampled=1200)) == 3
    assert Speed(1, 2, 3, start=1800).hours(Work(trained=3600)) == 1.5


def test_this_machine_is_timed_by_a_layer_and_what_is_left(monkeypatch):
    """Of 1 and 2 layers 5 and 7 seconds: a layer takes 2, the rest 3, and ten layers 23."""
    config = Qwen2Config(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=10, num_attention_heads=2,
        num_key_value_heads=1,
    )  # fmt: skip
    seconds = iter([5.0, 5.0, 5.0, 7.0, 7.0, 7.0])
    ran = []

    def seconds_of(run):
        run()  # a step, a pass and a sample can be computed
        ran.append(run)
        return next(seconds)

    monkeypatch.setattr(speed, "seconds_of", seconds_of)
    found = measured_speed(config, r=4, checkpointing=True)
    assert len(ran) == 6
    assert (found.trained, found.read, found.sampled) == (23 / 512, 23 / 512, 23 / 64)


def test_the_table_of_a_published_family(hub_url, tiny_base, tmp_path, capsys):
    recipe = recipe_of("estimate", tiny_base)
    before, _ = estimate(recipe)
    assert "135,138 train pairs (the whole of Cornell" in before
    for stage in (prepare, publish):
        stage.STAGE.run(recipe, tmp_path)
    capsys.readouterr()
    table.print_estimate(recipe, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert f"published in {recipe.names.dialogue}" in lines[0]
    head = next(line for line in lines if line.startswith("| stage"))
    rows = [line for line in lines if line.startswith("| ")][1:]
    rows = rows[: next(place for place, row in enumerate(rows) if row.startswith("| **all** |")) + 1]
    assert all(line.count("|") == head.count("|") for line in rows)
    assert "| h200 |" in head
    total = next(row for row in rows if row.startswith("| **all** |"))
    assert "($" in total
    minutes = {stage: cost["estimated"] for stage, cost in Ledger(tmp_path, recipe.model.size).read().items()}
    assert list(minutes) == [row.split(" | ")[0][2:] for row in rows[: rows.index(total)]]
    assert minutes["prepare"] == 0.12  # 7.5 s


def test_what_a_chain_spent_stands_beside(hub_url, tiny_base, namespace, monkeypatch):
    recipe = load(RECIPES / "starter.yaml", [f"hub.namespace={namespace}", f"model.base={tiny_base}"])
    costs = {"sft": {"estimated": 4.0, "spent": 5.25}, "evaluation": {"spent": 61.0}}
    publish_to_hub(
        recipe.names.evaluation, "dataset", {"a": b"1"}, Lineage("evaluation", {}, (), {"costs": costs}), "m"
    )
    rows = [line for line in estimate(recipe)[0].splitlines() if line.startswith("| ")]
    spent = {row.split(" | ")[0][2:]: row.split(" | ")[-1].removesuffix(" |") for row in rows}
    assert (spent["sft"], spent["dpo"], spent["evaluation"]) == ("5 min", "", "61 min")


def test_the_start_of_a_process():
    assert 0.1 < speed.start_seconds() < 600


def test_a_base_without_a_config_is_one_line(hub_url):
    recipe = of("starter", "model.base=nobody/has-this")
    with pytest.raises(UserError, match=r"no config of me/repartee-starter or nobody/has-this .* training\.base"):
        estimate(recipe)


@pytest.mark.parametrize(("hours", "text"), [(0, ""), (0.001, "4 s"), (0.5, "30 min"), (2.26, "2.3 h")])
def test_durations(hours, text):
    assert duration(hours) == text
