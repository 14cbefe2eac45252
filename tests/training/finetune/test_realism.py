"""The realism judge: it finds a direction that is there, keeps what was read, and is published and opened again."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chat.likelihood import pmi
from chat.variants import merged
from eval.judge.embedded import open_embedded
from eval.judge.realism import NUMBERS, RealismHead, load_reader, read_features
from eval.qualify.pairs import ControlPair
from hub.errors import UserError
from hub.lineage import Lineage, fetch_lineage
from tests.support.scenes import user_prompts
from tests.training.finetune.test_runs import recipe_of
from training.base import publish
from training.data import prepare
from training.finetune import realism, realism_fit, sft
from training.finetune.realism import accuracies, read_pairs
from training.finetune.realism_fit import PairFeatures, film_folds, fit_blend, fit_head, logistic_weights
from training.pipeline import stages


def planted(count, generator):
    """Pairs of which PMI tells how a reply follows, and the third feature whether it is a film's line.

    Samples and spoiled replies lie two standard deviations off there and have as much PMI as the film's; another film's
    reply has three nats less.
    """
    controls = [("shuffled", "same film", "SFT sample", "echoing")[place % 4] for place in range(count)]
    pairs = [
        ControlPair(
            control, f"m{place % 40}", [{"role": "user", "content": f"{place // 4}?"}], f"film {place // 4}", "x"
        )
        for place, control in enumerate(controls)
    ]
    features, pmi = torch.randn(count, 2, NUMBERS + 6, generator=generator), torch.randn(count, 2, generator=generator)
    films = torch.tensor([control in ("shuffled", "same film") for control in controls])
    features[:, 0, 2] += 2
    features[films, 1, 2] += 2
    pmi[films, 1] -= 3
    return PairFeatures(pairs, features * 5 + 1, pmi)


def test_the_head_finds_what_is_planted():
    read = planted(1600, torch.Generator().manual_seed(0))
    head = fit_head(read, l2=1e-3)
    assert int(head.weights[:NUMBERS].abs().argmax()) == 2
    found = accuracies(head, planted(1600, torch.Generator().manual_seed(1)))
    for control in ("shuffled", "same film"):  # Phi(3 / sqrt(2)) = 98.3% by PMI alone
        assert found[control].value > 0.85
    for control in ("SFT sample", "echoing"):  # Phi(2 / sqrt(2)) = 92% by the feature alone
        assert found[control].value > 0.8
    assert found["truncated"].value is None
    pmi_alone = replace(head, blend=torch.tensor([1.0, 0.0]))
    fresh = accuracies(pmi_alone, planted(1600, torch.Generator().manual_seed(1)))
    assert fresh["echoing"].value == pytest.approx(0.5, abs=0.1)


def test_the_blend_serves_the_worst_control():
    """The samples' log P is known far better, yet PMI keeps the weight that other films' replies need."""
    generator = torch.Generator().manual_seed(0)
    gaps = torch.randn(4000, 2, generator=generator)
    controls = ["shuffled", "SFT sample"] * 2000
    gaps[::2, 0] += 0.9
    gaps[1::2, 1] += 3
    blend = fit_blend(gaps, controls)
    ratio = float(blend[0] / blend[1])
    ahead = (gaps @ blend > 0).float()
    found = sorted(float(ahead[side::2].mean()) for side in (0, 1))
    assert found[0] > 0.79  # by PMI alone 82%, and 50% of the samples
    assert ratio > 1.5
    likeliest = logistic_weights(gaps, torch.ones(4000), torch.zeros(2))
    assert float(likeliest[0] / likeliest[1]) < ratio / 1.5


def test_a_head_scores_as_its_formula_says():
    head = RealismHead(torch.ones(2), torch.tensor([2.0, 4.0]), torch.tensor([1.0, -1.0]), torch.tensor(0.5),
                       torch.tensor([0.3, 2.0]))  # fmt: skip
    # logit (3 - 1) / 2 - (5 - 1) / 4 + 0.5 = 0.5
    score = head.score(torch.tensor([[3.0, 5.0]]), torch.tensor([4.0]))
    assert float(score) == pytest.approx(0.3 * 4 - 2 * math.log(1 + math.exp(-0.5)))


def test_logistic_weights_are_the_penalized_optimum():
    """The derivative of the weighted mean of log(1 + exp(-x w)) plus l w^2 is zero."""
    rows, weights = torch.tensor([[2.0], [1.0], [-1.0], [3.0]]), torch.tensor([1.0, 0.5, 1.5, 1.0])
    (w,) = logistic_weights(rows, weights, torch.tensor([0.05])).tolist()
    slope = float((weights * -rows[:, 0] * torch.sigmoid(-rows[:, 0] * w)).mean()) + 2 * 0.05 * w
    assert slope == pytest.approx(0, abs=1e-4)


def test_folds_share_no_film():
    films = [f"m{number % 9}" for number in range(50)]
    for count in (2, 4):
        folds = film_folds(films, count, seed=3)
        assert sorted(place for fold in folds for place in fold) == list(range(50))
        named = [{films[place] for place in fold} for fold in folds]
        assert sum(map(len, named)) == 9
        assert max(map(len, named)) - min(map(len, named)) <= 1
    assert film_folds(films, 2, seed=3) == film_folds(films, 2, seed=3) != film_folds(films, 2, seed=4)
    assert film_folds(["m1"] * 3, 2, seed=3) == [[0, 1, 2], []]


def test_the_blend_is_fitted_on_films_that_the_probe_has_not_seen(monkeypatch):
    read, fitted, asked = planted(400, torch.Generator().manual_seed(0)), [], []
    whole_fit, whole_log = realism_fit.fit_probe, realism_fit.log_film

    def noting_fit(part, l2):
        fitted.append(({pair.film for pair in part.pairs}, whole_fit(part, l2)))
        return fitted[-1][1]

    def noting_log(head, features):
        asked.append((head, features))
        return whole_log(head, features)

    monkeypatch.setattr(realism_fit, "fit_probe", noting_fit)
    monkeypatch.setattr(realism_fit, "log_film", noting_log)
    fit_head(read, l2=1e-3)
    assert len(fitted[-1][0]) == 40  # the head itself knows all films
    for head, features in asked:
        films = next(films for films, probe in fitted if probe is head)
        seen = [any(torch.equal(row, one) for one in features) for row in read.features.flatten(0, 1)]
        shown = {
            pair.film
            for pair, first in zip(read.pairs, zip(seen[::2], seen[1::2], strict=True), strict=True)
            if any(first)
        }
        assert len(shown) == 10
        assert not shown & films


def test_what_was_read_is_kept(variants, tmp_path, monkeypatch):
    monkeypatch.setattr(realism, "CHUNK", 3)
    pairs = [
        ControlPair(control, "m1", prompt, f"yes {number}", "no")
        for number, prompt in enumerate(user_prompts("who?", "where?", "why?"))
        for control in ("shuffled", "echoing")
    ]
    model = merged(variants, "sft")
    read = read_pairs(model, pairs, tmp_path)
    assert torch.equal(read.features[0], read.features[1])  # one prompt and reply
    assert not torch.equal(read.features[0, 0], read.features[2, 0])
    assert not torch.equal(read.features[0, 0], read.features[0, 1])
    both = [(pair.prompt, reply) for pair in pairs for reply in (pair.better, pair.worse)]
    assert read.pmi.flatten().tolist() == pytest.approx(pmi(variants, "sft", both, novel=True), abs=1e-4)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["features-0000.safetensors", "features-0001.safetensors"]
    (tmp_path / kept[1]).unlink()
    asked = []
    whole = realism.read_features
    monkeypatch.setattr(realism, "read_features", lambda own, rows: asked.append(len(rows)) or whole(own, rows))
    again = read_pairs(model, pairs, tmp_path)
    assert asked == [6]
    assert torch.equal(again.features, read.features)
    assert torch.equal(again.pmi, read.pmi)


def test_the_stage_publishes_a_judge_that_opens(hub_url, tiny_base, tmp_path):
    from huggingface_hub import hf_hub_download

    recipe = recipe_of("realism", tiny_base, "realism.prompts=40")
    for stage in (prepare, publish, sft, realism):
        stage.STAGE.run(recipe, tmp_path)
    repo = recipe.names.adapter("realism")
    pairs = [(prompt, reply) for prompt in user_prompts("Where were you?") for reply in ("At the pier.", "Nowhere.")]
    labels, evaluates = (open_embedded(f"{form}:{repo}") for form in ("realism", "realism-held-out"))
    assert labels.name == f"realism of {repo}, head `labels`"
    assert evaluates.name == f"realism of {repo}, head `evaluates`"
    assert len(set(labels.score(pairs) + evaluates.score(pairs))) == 4
    card = Path(hf_hub_download(repo, "README.md")).read_text()
    assert "it scores an answer" in card
    assert "head `labels`, the other half's films over shuffled" in card
    with pytest.raises(UserError, match="no realism judge"):
        open_embedded(f"realism:{recipe.names.adapter('sft')}")


def test_a_judge_of_an_earlier_version_is_one_line(monkeypatch):
    """Its heads weigh plain PMI, and would score other things than they were fitted on."""
    found = Lineage("realism", {"prompts": 500}, ())
    monkeypatch.setattr("eval.judge.realism.fetch_lineage", lambda *_: ("main", found))
    with pytest.raises(UserError, match="fitted on plain PMI, by an earlier version"):
        open_embedded("realism:me/judge")


def test_a_reader_of_another_family_reads_plain_lines(hub_url, tiny_base, tmp_path):
    """Its judge is published beside the namespace's own, and opened by its own lineage, whoever else is loaded."""
    recipe = recipe_of("realism", tiny_base, "realism.prompts=40")
    for stage in (prepare, publish, sft):
        stage.STAGE.run(recipe, tmp_path)
    reader = recipe.names.base
    by_reader = replace(recipe, realism=replace(recipe.realism, reader=reader))
    realism.STAGE.run(by_reader, tmp_path)
    repo = recipe.names.adapter(f"realism-by-{reader.split('/')[1]}")
    pairs = [(prompt, reply) for prompt in user_prompts("Where were you?") for reply in ("At the pier.", "Nowhere.")]
    judge = open_embedded(f"realism-held-out:{repo}")
    assert len(set(judge.score(pairs))) == 2
    inputs = fetch_lineage(repo, "model", "main")[1].inputs
    read = load_reader(inputs)
    assert (read.names, read.format_of("base").name) == (("base",), "plain")
    _, found = read_features(read, pairs)
    assert found.tolist() == pytest.approx(pmi(read, "base", pairs, novel=True), abs=1e-4)
    with pytest.raises(UserError, match="name it: realism:HUB_ID"):
        stages(replace(by_reader, preferences=replace(recipe.preferences, source="realism")))
