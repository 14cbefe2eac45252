"""DailyDialog's two forms, with dialogues of our own writing."""

import json
import zipfile

import pytest

from training.data.corpus import sources
from training.data.corpus.tables import dailydialog
from training.data.corpus.text import close_up

TEXT = (
    "Is the shop open ? __eou__ It isn ' t . __eou__ Pity ... __eou__\n\n"
    "Tea , please . __eou__ With milk ? __eou__ No , I ' m fine __eou__ Cut off"
)
TALKS = [["Is the shop open?", "It isn't.", "Pity..."], ["Tea, please.", "With milk?", "No, I'm fine"]]


def spoken(corpus) -> list[list[str]]:
    return [lines for _, lines in corpus.talks()]


@pytest.mark.parametrize("form", ["file", "folder", "zip"])
def test_text(tmp_path, form):
    folder = tmp_path / "ijcnlp"
    folder.mkdir()
    (folder / "dialogues_text.txt").write_text(TEXT)
    (folder / "dialogues_topic.txt").write_text("1\n")
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.write(folder / "dialogues_text.txt", "ijcnlp/dialogues_text.txt")
    read = sources.read({"file": folder / "dialogues_text.txt", "folder": folder, "zip": tmp_path / "d.zip"}[form])
    assert spoken(read) == TALKS
    assert read.counts["turns without their end, left out"] == 1
    assert read.counts["turns whose tokens were closed up"] == 6
    assert len({film.id for film, _ in read.talks()}) == 2  # each is a film of its own for the split
    assert read.rights.license == {"license": "unknown"}  # two dialogues are not DailyDialog itself


def test_the_splits_files(tmp_path):
    first, second = TEXT.split("\n\n")
    (tmp_path / "dialogues_train.txt").write_text(first + "\n")
    (tmp_path / "dialogues_test.txt").write_text(second + "\n")
    assert spoken(sources.read(tmp_path)) == TALKS


def test_the_hubs_form(tmp_path):
    rows = [
        {"dialog": [turn.strip() for turn in line.split("__eou__")[:-1]], "act": [1], "emotion": [0]}
        for line in TEXT.split("\n\n")
    ]
    path = tmp_path / "daily.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert spoken(sources.read(path)) == TALKS
    path.write_text(json.dumps({"dialog": ["a ?", "b ."]}))  # of no known corpus: as it is
    assert spoken(sources.read(path)) == [["a ?", "b ."]]


def test_the_corpus_itself_is_known_by_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(dailydialog, "DIALOGUES", (2,))
    (tmp_path / "dialogues_text.txt").write_text(TEXT)
    assert sources.read(tmp_path).rights == dailydialog.RIGHTS
    assert dailydialog.RIGHTS.license == {"license": "cc-by-nc-sa-4.0"}


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("I do n't know , do you ?", "I don't know, do you?"),
        ("It \u2019 s ( nearly ) 5 % .", "It\u2019s (nearly) 5%."),
        ("The dogs ' bone ; rock 'n' roll", "The dogs ' bone; rock 'n' roll"),
        ("How 'd you know ?", "How'd you know?"),
        ("Well , you can ' t .", "Well, you can't."),
    ],
)
def test_close_up(tokens, text):
    assert close_up(tokens) == text
