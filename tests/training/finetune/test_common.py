"""A run to its end: however it ends and however often it is started again, it is the one unbroken run."""

import pytest
import torch
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments

from training.finetune.common import train_to_end

ROWS = [{"x": torch.tensor([float(number)]), "labels": torch.tensor([2.0 * number])} for number in range(10)]
"""Five steps an epoch."""


class Line(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x, labels=None):
        out = self.layer(x)
        return {"loss": ((out - labels) ** 2).mean(), "logits": out}


class Killed(Exception):
    pass


class Kill(TrainerCallback):
    """Ends the process, as far as this one is concerned, at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args, state, control, **_):
        if state.global_step == self.step:
            raise Killed


def trainer(folder, callbacks=(), **options):
    arguments = TrainingArguments(
        str(folder / "checkpoints"), per_device_train_batch_size=2, learning_rate=1e-3, logging_steps=1, save_steps=1,
        report_to="none", use_cpu=True, disable_tqdm=True, **options,
    )  # fmt: skip
    return Trainer(Line(), arguments, train_dataset=ROWS, eval_dataset=ROWS, callbacks=list(callbacks))


EARLY = {
    "num_train_epochs": 4, "eval_strategy": "steps", "eval_steps": 1, "load_best_model_at_end": True,
    "metric_for_best_model": "eval_loss", "greater_is_better": True,  # so that nothing is ever better than the first
}  # fmt: skip
ENDS = {
    "within an epoch": ({"max_steps": 2}, 2),
    "in the second epoch": ({"max_steps": 7}, 7),
    "with an epoch": ({"num_train_epochs": 1}, 5),
    "early": (EARLY, 3),
}


def stops(how):
    return [EarlyStoppingCallback(2)] if how == "early" else []


@pytest.mark.parametrize("how", ENDS)
def test_a_run_that_had_ended_takes_no_step_more(tmp_path, how):
    options, steps = ENDS[how]
    first = trainer(tmp_path, stops(how), **options)
    run = train_to_end(first, tmp_path)
    assert run.steps == steps
    again = trainer(tmp_path, [*stops(how), Kill(steps)], **options)
    same = train_to_end(again, tmp_path)
    assert (same.steps, same.mean_loss) == (run.steps, run.mean_loss)
    assert same.minutes >= 0
    for name, weight in first.model.state_dict().items():
        assert torch.equal(weight, again.model.state_dict()[name])


@pytest.mark.parametrize(("how", "step"), [("in the second epoch", 4), ("with an epoch", 1)])
def test_a_killed_run_tells_of_all_its_steps(tmp_path, how, step):
    options, steps = ENDS[how]
    whole = trainer(tmp_path / "whole", **options)
    expected = train_to_end(whole, tmp_path / "whole")
    with pytest.raises(Killed):
        train_to_end(trainer(tmp_path, [Kill(step)], **options), tmp_path)
    (tmp_path / "seconds.txt").write_text("6000")  # until the last checkpoint
    resumed = trainer(tmp_path, **options)
    run = train_to_end(resumed, tmp_path)
    assert (run.steps, run.mean_loss) == (steps, expected.mean_loss)
    assert 100 <= run.minutes < 101
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name])


def test_the_mean_loss_counts_steps_and_not_entries_of_the_log(tmp_path):
    from types import SimpleNamespace

    from training.finetune.callbacks import mean_loss

    log = [{"step": 1, "loss": 9.0}, {"step": 5, "loss": 2.0, "eval_loss": 1}, {"step": 5, "eval_loss": 7.0}]
    assert mean_loss(SimpleNamespace(state=SimpleNamespace(log_history=log))) == 3.4  # (1 * 9 + 4 * 2) / 5
    assert mean_loss(SimpleNamespace(state=SimpleNamespace(log_history=[]))) is None


def test_time_of_a_run_whose_checkpoints_are_gone_is_not_counted(tmp_path):
    (tmp_path / "seconds.txt").write_text("6000")
    assert train_to_end(trainer(tmp_path, max_steps=1), tmp_path).minutes < 1
