"""Adapters are compared with a reference: as judged, at equal length and style, with the films' replies beside them."""

import pytest

from eval.compare import main, preference_cells
from eval.judge.embedded import EmbeddedJudge
from hub.errors import UserError
from hub.lineage import pin_model


def pairs(films):
    """Prompts, ten of each film."""
    return [
        {"prompt": [{"role": "user", "content": f"Line {n}?"}], "movie_id": f"m{n % films}"} for n in range(10 * films)
    ]


def test_a_judge_that_counts_words_prefers_nobody_at_equal_length():
    """Where length alone decides, and either is longer as often, half of the wins are left of it."""
    judge = EmbeddedJudge("words", lambda asked: [float(len(reply.split())) for _, reply in asked])
    rows = pairs(8)
    longer = [f"Yes{' indeed' * (n // 8 % 5)}." for n in range(len(rows))]
    shorter = [f"No{' indeed' * (n // 8 % 3)}." for n in range(len(rows))]
    rate, p, at_length, _ = preference_cells(judge, rows, longer, shorter)
    assert float(rate.split("%")[0]) > 55
    assert float(p) < 0.05
    assert float(at_length.split("%")[0]) == pytest.approx(50, abs=3)


def test_a_length_that_no_prompt_has_is_said_to_be_extrapolated():
    judge = EmbeddedJudge("words", lambda asked: [float(sum(reply.encode()) % 7) for _, reply in asked])
    rows = pairs(8)
    longer, shorter = [f"Yes {n}, and yes, and yes again." for n in range(80)], [f"No {n}." for n in range(80)]
    assert preference_cells(judge, rows, longer, shorter)[2].endswith(" (extrapolated in length)")


def test_the_same_words_are_ties():
    judge = EmbeddedJudge("any", lambda asked: [float(n) for n in range(len(asked))])
    rows = pairs(8)
    assert preference_cells(judge, rows, ["Yes."] * 80, ["Yes."] * 80)[:2] == ["50.0% (50.0% to 50.0%)", "1.0000"]


def test_the_command(published, tmp_path, capsys):
    sft, dpo = pin_model(published.adapter("sft")), pin_model(published.adapter("dpo"))
    arguments = ["--namespace", published.namespace, "--judge", "pmi", "--prompts", "6", "--work", str(tmp_path)]
    main([*arguments, "--adapters", dpo.repo, f"{dpo.repo}@{dpo.revision}"])
    said = capsys.readouterr().out.splitlines()
    assert said[-11].startswith("6 prompts of 3 test films, seed 1; judge: PMI under the base model")
    titles = [line.split(" | ")[0].removeprefix("| ") for line in said[-7:]]
    named = f"{dpo.repo}@{dpo.revision[:7]}"
    assert titles[:2] == ["base", "base, its first sentences, to the reference's length"]
    assert titles[2:] == [f"{sft.repo}@{sft.revision[:7]}", named, named, "the films' own", "another film's"]
    assert said[-4] == said[-3]


def test_no_adapter_is_one_line():
    with pytest.raises(UserError, match="HUB_ID or HUB_ID@COMMIT"):
        pin_model("@main")
