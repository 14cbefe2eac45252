"""What is told of a search: its table, and both table and picture in the card of the adapter; a storage not there."""

from pathlib import Path

import pytest

from hub.errors import UserError
from hub.lineage import pin
from training.finetune import sweep_study


def test_a_server_that_is_not_there_is_one_line(monkeypatch):
    pytest.importorskip("psycopg")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    storage = "postgresql://nobody@127.0.0.1:9/none"
    with pytest.raises(UserError, match=r"the storage postgresql://nobody@127\.0\.0\.1:9/none cannot be used"):
        sweep_study.shared_storage(storage, 1)


def study_of(*trials):
    """A study in memory: of each trial its rate, its scores, and whether it was stopped."""
    import optuna
    from optuna.distributions import FloatDistribution
    from optuna.trial import TrialState, create_trial

    study = optuna.create_study(direction="minimize")
    for rate, scores, stopped in trials:
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED if stopped else TrialState.COMPLETE,
                value=scores[-1],
                params={"sft.learning_rate": rate},
                distributions={"sft.learning_rate": FloatDistribution(1e-5, 1e-2, log=True)},
                user_attrs={"steps": 5 * len(scores), "max_steps": 20},
            )
        )
    return study


def test_the_table_of_a_study():
    study = study_of((1e-3, [3, 2, 1.5, 1.2], False), (1e-5, [3.5], True), (2e-3, [3, 2, 1.4, 1.1], False))
    assert sweep_study.steps_saved(study) == (45, 60)
    assert sweep_study.trials_table(study).splitlines() == [
        "| trial | sft.learning_rate | score | steps |  |",
        "|---:|---:|---:|---:|---:|",
        "| 2 | 0.002 | 1.1000 | 20 of 20 | best |",
        "| 0 | 0.001 | 1.2000 | 20 of 20 |  |",
        "| 1 | 1e-05 | 3.5000 | 5 of 20 | stopped |",
        "",
        "45 of 60 steps were taken: stopping the trials that fell behind saved 25%.",
    ]


def test_the_study_goes_into_the_card_of_the_adapter_and_takes_the_place_of_an_older_one(published, tmp_path):
    from huggingface_hub import HfApi, hf_hub_download

    recipe = published("sft")
    repo = recipe.names.adapter("sft")
    before = pin(repo, "model")
    for study in (study_of((1e-4, [3, 2], False)), study_of((1e-3, [3, 1], False), (1e-4, [3], True))):
        sweep_study.write_study(study, Path("training/recipes/starter.yaml"), [], tmp_path)
        sweep_study.publish_study(study, repo, tmp_path)
    card = Path(hf_hub_download(repo, "README.md")).read_text()
    assert card.startswith("# sft\n")
    assert card.count("## Search") == card.count("<!-- search -->") == 1
    assert "2 trials by Optuna" in card
    assert "report/study.png" in HfApi().list_repo_files(repo)
    assert pin(repo, "model").content == before.content  # a better card makes nothing stale
    with pytest.raises(UserError, match="is not published yet; train it by"):
        sweep_study.publish_study(study, recipe.names.adapter("dpo"), tmp_path)
