"""The ConvoKit reader: replies in their order, gaps and loops counted."""

import json
from pathlib import Path

import pytest

from training.data.corpus import sources
from training.data.corpus.assemble import CorpusError, Film


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


def said(id: str, root: str | None, reply_to: str | None, text: str, speaker: str = "u0") -> dict:
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
    assert spoken(read) == [["One.", "Two."], ["Four, and three is missing.", "Five."], ["A loop.", "A loop."]]
    assert read.counts["cycles of replies, broken at the earliest"] == 1


def test_a_reply_to_itself_is_a_root(tmp_path):
    utterances = [
        said(id, root, reply, f"{id} speaks.")
        for root, ids in (("L1", ("L1", "L2", "L3")), ("L8", ("L8", "L9")))
        for id, reply in zip(ids, (root, *ids), strict=False)
    ]
    read = sources.read(convokit(tmp_path / "corpus", utterances))
    assert spoken(read) == [["L1 speaks.", "L2 speaks.", "L3 speaks."], ["L8 speaks.", "L9 speaks."]]
    assert read.counts["utterances that reply to themselves, read as roots"] == 2
    assert read.counts["lines on a side branch"] == 0


@pytest.mark.parametrize("timed", [False, True])
def test_a_cycle_is_broken_at_its_earliest(tmp_path, timed):
    """Three that reply to each other in a ring, and one that replies to the ring."""
    ring = [("L1", "L3", 30), ("L2", "L1", "10"), ("L3", "L2", 20), ("L4", "L3", 40)]
    utterances = [{**said(id, "L1", reply, f"{id}."), "timestamp": time if timed else None} for id, reply, time in ring]
    read = sources.read(convokit(tmp_path / "corpus", utterances))
    # the ring without the earliest's own reply: L1, L2, L3, L4 by file; L2, L3 and its first reply, L1, by time
    assert spoken(read) == [["L2.", "L3.", "L1."] if timed else ["L1.", "L2.", "L3.", "L4."]]
    assert read.counts["cycles of replies, broken at the earliest"] == 1
    assert read.counts["lines on a side branch"] == int(timed)


@pytest.mark.parametrize("null", [None, "", "None", "nan", float("nan")], ids=repr)
def test_no_conversation_id_is_that_of_the_root(tmp_path, null):
    utterances = [
        said("L2", null, "L1", "Two."),
        said("L1", null, null, "One."),
        said("L9", null, "L8", "Nine."),
        said("L3", null, "L2", "Three."),
        said("L8", null, null, "Eight."),
        said("L5", null, "L4", "Five, and four is missing."),
    ]
    folder = convokit(tmp_path / "corpus", utterances)
    other = {"meta": {"movie_idx": "m1", "movie_name": "dusk"}}
    films = {**json.loads((folder / "conversations.json").read_text()), "L8": other}
    (folder / "conversations.json").write_text(json.dumps(films))
    read = sources.read(folder)
    assert [(film.title, lines) for film, lines in read.talks()] == [
        ("the long pier", ["One.", "Two.", "Three."]),
        ("dusk", ["Eight.", "Nine."]),
    ]
    assert read.counts["conversations in the source"] == 3
    for utterance in utterances[:3]:
        del utterance["conversation_id"]
    (folder / "utterances.jsonl").write_text("".join(json.dumps(one) + "\n" for one in utterances))
    assert spoken(sources.read(folder)) == spoken(read)


@pytest.mark.parametrize(
    ("times", "order"),
    [
        ((None, None, None), "abc"),
        ((30, 10, 20), "bca"),
        (("2020-01-03T00:00:00Z", "2020-01-01", "2020-01-02"), "bca"),
        ((30, None, 20), "abc"),
        (("late", 1, 2), "abc"),
    ],
)
def test_without_replies_time_or_the_file_gives_the_order(tmp_path, times, order):
    utterances = [{**said(text, "L1", None, text), "timestamp": time} for text, time in zip("abc", times, strict=True)]
    assert spoken(sources.read(convokit(tmp_path / "corpus", utterances))) == [list(order)]
    utterances[2]["reply-to"] = "L7"  # replies that are missing say nothing of what stands beside them
    with pytest.raises(CorpusError, match="no conversation of two lines"):
        sources.read(convokit(tmp_path / "replies", utterances))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_older_names_of_files_and_keys(tmp_path, encoding):
    folder = convokit(tmp_path / "corpus", [])
    rows = [
        {"id": 1, "root": 1, "user": "u0", "reply_to": None, "text": "Caf\u00e9?"},
        {"id": 2, "root": 1, "user": {"id": "u9"}, "reply-to": 1, "text": "No."},
    ]
    (folder / "utterances.jsonl").unlink()
    (folder / "utterances.json").write_bytes(json.dumps(rows, ensure_ascii=False).encode(encoding))
    (folder / "speakers.json").rename(folder / "users.json")
    read = sources.read(folder)
    assert spoken(read) == [["Caf\u00e9?", "No."]]
    assert [one["name"] for one in read.lines["speaker"].to_pylist()] == ["ADA", "u9"]


def test_utterances_of_another_shape_are_named(tmp_path):
    folder = convokit(tmp_path / "corpus", [{"utt": "L1", "text": "One."}])
    with pytest.raises(CorpusError, match=r"an utterance is an object with utt \(text\), text \(text\); it takes"):
        sources.read(folder)


def test_convokit_without_films(tmp_path):
    folder = convokit(tmp_path / "corpus", [said("L1", "L1", None, "One."), said("L2", "L1", "L1", "Two.")])
    for meta in ({}, {"meta": {"movie_name": None, "genre": None}}):
        (folder / "conversations.json").write_text(json.dumps({"L1": meta}))
        assert list(sources.read(folder).talks()) == [(Film("L1"), ["One.", "Two."])]
