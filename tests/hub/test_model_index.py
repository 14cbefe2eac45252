"""Results in a model's card: in its text and in the metadata that the Hub shows."""

import pytest
from huggingface_hub import ModelCard

from hub.model_index import model_index, publish_results, with_results
from hub.publish import publish
from tests.support.cards import LINEAGE, adapter


def test_results_go_to_the_text_and_to_the_model_index():
    index = model_index("ns/m", LINEAGE.inputs[1], {"Hits@1/20 by PMI": 0.25}, "ns/evaluation")
    once = with_results(str(adapter()), index, "| a | b |")
    assert with_results(once, index, "| a | b |") == once
    card = ModelCard(with_results(once, index, "| c | d |"))
    assert card.text.count("## Results") == 1
    assert "| c | d |" in card.text
    assert "| a | b |" not in card.text
    assert "Intended use" in card.text
    with pytest.raises(ValueError, match="no <!-- results"):
        with_results("---\nlicense: mit\n---\n# Other", index, "")
    [result] = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("hits_1_20_by_pmi", 0.25)
    assert (result.dataset_type, result.dataset_revision, result.dataset_split) == ("ns/data", "e" * 40, "test")
    assert result.source_url == "https://huggingface.co/datasets/ns/evaluation"


def test_results_are_those_of_the_weights_that_were_measured(namespace, capsys):
    from hub.lineage import pin

    repo = f"{namespace}/adapter"
    card = {"README.md": str(adapter()).encode()}
    measured = publish(repo, "model", {"w.safetensors": b"1", **card}, LINEAGE, "one")
    index = model_index(repo, LINEAGE.inputs[1], {"Perplexity": 48.7}, "ns/evaluation")
    assert publish_results(repo, measured, index, "| 48.7 |")
    assert publish_results(repo, measured, index, "| 48.7 |") is None
    assert pin(repo, "model").content == pin(repo, "model", measured).content
    assert ModelCard.load(repo).data.eval_results[0].metric_value == 48.7
    publish(repo, "model", {"w.safetensors": b"2", **card}, LINEAGE, "two")
    assert publish_results(repo, measured, index, "| 48.7 |") is None
    assert "has changed since it was measured" in capsys.readouterr().out
    assert "48.7" not in ModelCard.load(repo).text
