"""The ConvoKit reader: replies in their order, gaps and loops counted."""

import json
from pathlib import Path

from training.data.corpus import sources
from training.data.corpus.assemble import Film


def spoken(corpus) -> list[list[str]]:
    return [lines for _, lines in corpus.talks()]


def convokit(folder: Path, utterances: list[dict]) -> Path:
    folder.mkdir()
    (folder / "utterances.jsonl").write_text("".join(json.dumps(one) + "\n" for one in utterances))
    film = {"movie_idx": "m0", "movie_name": "the long pier", "release_year": "1995", "rating": "6.9", "votes": "62"}
    meta = {"meta": {**film, "genre": "['drama', 'noir']"}}
    (folder / "conversations.json").write_text(json.dumps({"L1": meta, "L8": meta}))
    speaker = {"character_name": "ADA", "movie_idx": "m0", "gender": "f", "credit_pos": "4"}
    (folder / "speakers.json").write_text(json.dumps({"u0": {"meta": speaker, "vectors": []}}))
    (folder / "corpus.json").write_text("{}")
    return folder


def said(id: str, root: str, reply_to: str | None, text: str, speaker: str = "u0") -> dict:
    return {"id": id, "conversation_id": root, "reply-to": reply_to, "text": text, "speaker": speaker, "meta": {}}


def test_convokit_is_read_in_the_order_of_its_replies(tmp_path):
    utterances = [
        said("L3", "L1", "L2", "Three."),
        said("L2", "L1", "L1", "Two.", "u9"),
        said("L1", "L1", None, "One."),
        said("L4", "L1", "L2", "Another answer to two."),
        {"id": "L9", "root": "L8", "reply_to": "L8", "text": "Nine.", "user": "u0"},  # as ConvoKit 2 wrote it
        {"id": "L8", "root": "L8", "reply_to": None, "text": "Eight.", "user": "u0"},
    ]
    read = sources.read(convokit(tmp_path / "movie-corpus", utterances))
    assert spoken(read) == [["One.", "Two.", "Three."], ["Eight.", "Nine."]]
    assert next(read.talks())[0] == Film("m0", "the long pier", 1995, 6.9, 62, ("drama", "noir"))
    assert read.lines["speaker"].to_pylist()[0] == {"name": "ADA", "gender": "f", "position": 4}
    assert read.lines["speaker"].to_pylist()[1] == {"name": "u9", "gender": "?", "position": None}
    assert read.counts["lines on a side branch"] == 1


def test_convokit_gaps_and_loops_end_a_conversation(tmp_path):
    utterances = [
        said("L1", "L1", None, "One."),
        said("L2", "L1", "L1", "Two."),
        said("L4", "L1", "L3", "Four, and three is missing."),
        said("L5", "L1", "L4", "Five."),
        said("L6", "L1", "L7", "A loop."),
        said("L7", "L1", "L6", "A loop."),
    ]
    read = sources.read(convokit(tmp_path / "movie-corpus", utterances))
    assert spoken(read) == [["One.", "Two."], ["Four, and three is missing.", "Five."]]
    assert read.counts["lines on a side branch"] == 2


def test_convokit_without_films(tmp_path):
    folder = convokit(tmp_path / "corpus", [said("L1", "L1", None, "One."), said("L2", "L1", "L1", "Two.")])
    for meta in ({}, {"meta": {"movie_name": None, "genre": None}}):
        (folder / "conversations.json").write_text(json.dumps({"L1": meta}))
        assert list(sources.read(folder).talks()) == [(Film("L1"), ["One.", "Two."])]
