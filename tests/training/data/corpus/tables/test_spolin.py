"""SPOLIN's form, with pairs of our own writing."""

import json

from training.data.corpus import sources
from training.data.corpus.tables import spolin

YES = [{"id": 1, "p": "The tide is in.", "r": "And it brought the piano."}, {"p": "Doctor!", "r": "Your horse, sir?"}]
NO = [{"p": "Well?", "r": "Ask Jim."}]


def spoken(corpus) -> list[list[str]]:
    return [lines for _, lines in corpus.talks()]


def test_pairs_by_label_and_corpus(tmp_path):
    content = {"yesands": {"spont": YES[:1], "cornell": YES[1:]}, "non-yesands": {"cornell": NO}}
    (tmp_path / "spolin-train.json").write_text(json.dumps(content, indent=1))
    read = sources.read(tmp_path / "spolin-train.json")
    assert spoken(read) == [["The tide is in.", "And it brought the piano."], ["Doctor!", "Your horse, sir?"]]
    assert read.counts["yes-and pairs"] == 2
    assert read.counts["pairs left out: no yes-and"] == 1
    assert read.rights == spolin.RIGHTS
    assert len({film.id for film, _ in read.talks()}) == 2


def test_a_plain_list_of_pairs(tmp_path):
    (tmp_path / "pairs.json").write_text(json.dumps({"threshold": 0.9, "yesands": YES}))
    assert len(spoken(sources.read(tmp_path / "pairs.json"))) == 2
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in [*YES, *NO]))
    read = sources.read(tmp_path / "pairs.jsonl")
    assert spoken(read)[2] == ["Well?", "Ask Jim."]  # without labels every pair is one
    assert read.rights.license == {"license": "unknown"}


def test_pairs_of_another_shape_are_counted(tmp_path):
    content = {"yesands": {"spont": [*YES, {"p": "One"}, {"p": 1, "r": "x"}, "odd"], "other": None}, "non-yesands": 3}
    (tmp_path / "odd.json").write_text(json.dumps(content))
    read = sources.read(tmp_path / "odd.json")
    assert len(spoken(read)) == 2
    assert read.counts["yes-and pairs"] == 5
    assert read.counts["rows without a list of turns"] + read.counts["rows that cannot be read"] == 3
