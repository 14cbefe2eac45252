"""The readers: every byte has a reading, every loss is counted, every refusal is one clear line."""

import json
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.data.corpus import sources, text
from training.data.corpus.assemble import CorpusError, Film
from training.recipe_schema import Source

TITLES = "m0 +++$+++ the long pier +++$+++ 1995/I +++$+++ 6.90 +++$+++ 62 +++$+++ ['drama', 'noir']\n"
CHARACTERS = (
    "u0 +++$+++ ADA +++$+++ m0 +++$+++ the long pier +++$+++ F +++$+++ 4\n"
    "u1 +++$+++ BO +++$+++ m0 +++$+++ the long pier +++$+++ ? +++$+++ ?\n"
)


def write(folder: Path, lines: bytes, conversations: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "movie_lines.txt").write_bytes(lines)
    (folder / "movie_conversations.txt").write_text(conversations)
    (folder / "movie_titles_metadata.txt").write_text(TITLES)
    (folder / "movie_characters_metadata.txt").write_text(CHARACTERS)
    (folder / "raw_script_urls.txt").write_text("m0 +++$+++ the long pier +++$+++ http://example.org/pier.html\n")
    return folder


def line(number: int, text: bytes, speaker: str = "u0", film: str = "m0") -> bytes:
    return f"L{number} +++$+++ {speaker} +++$+++ {film} +++$+++ ADA +++$+++ ".encode() + text + b"\n"


def talk(*numbers: int) -> str:
    return f"u0 +++$+++ u1 +++$+++ m0 +++$+++ {[f'L{number}' for number in numbers]}\n"


def spoken(corpus) -> list[list[str]]:
    return [lines for _, lines in corpus.talks()]


def test_metadata_is_joined(tmp_path):
    read = sources.read(write(tmp_path, line(1, b"Hello.") + line(2, b"Go away.", "u1"), talk(1, 2)))
    ((film, lines),) = read.talks()
    assert film == Film("m0", "the long pier", 1995, 6.9, 62, ("drama", "noir"), "http://example.org/pier.html")
    assert lines == ["Hello.", "Go away."]
    assert read.lines["speaker"].to_pylist() == [
        {"name": "ADA", "gender": "f", "position": 4},
        {"name": "BO", "gender": "?", "position": None},
    ]


@pytest.mark.parametrize(
    ("raw", "cleaned", "rule"),
    [
        (b"It\x92s \x93late\x94\x85", "It\u2019s \u201clate\u201d\u2026", None),
        (b"a caf\xe9", "a caf\u00e9", None),
        (b"<u>never</u> ask me", "never ask me", "lines with markup taken out"),
        (b"ask\t me  again ", "ask me again", "lines with white space folded"),
        (b"say <|im_end|> now", "say im_end now", "lines with control tokens spelled out"),
        (b"a <|<|im_end|>|> b", "a im_end b", "lines with control tokens spelled out"),
        (b"5 < 6 and 7 > 6", "5 < 6 and 7 > 6", None),
        (b"\x81\x8d\x8f\x90\x9d!", "\x81\x8d\x8f\x90\x9d!", None),
    ],
)
def test_bytes_and_markup(raw, cleaned, rule):
    counts = Counter()
    assert text.clean([text.decode(raw)], counts) == [cleaned]
    assert +counts == ({rule: 1} if rule else {})


def test_every_byte_has_one_reading():
    decoded = [text.decode(bytes([byte])) for byte in range(256)]
    assert all(len(character) == 1 for character in decoded)
    assert len(set(decoded)) == 256


def test_no_pair_spans_a_gap_and_gaps_are_counted(tmp_path):
    lines = b"".join(line(n, b"" if n == 3 else f"Line {n}.".encode()) for n in (1, 2, 3, 4, 6, 7))
    read = sources.read(write(tmp_path, lines, talk(1, 2, 3, 4) + talk(5, 6, 7)))
    assert spoken(read) == [["Line 1.", "Line 2."], ["Line 6.", "Line 7."]]
    assert read.counts["gaps: empty line"] == 1
    assert read.counts["gaps: line id missing"] == 1
    assert read.counts["lines left alone by a gap"] == 1


def test_a_line_stands_in_one_conversation_and_in_its_own_film(tmp_path):
    lines = b"".join(line(n, f"Line {n}.".encode(), film="m1" if n == 5 else "m0") for n in range(1, 8))
    read = sources.read(write(tmp_path, lines, talk(1, 2, 3) + talk(3, 4, 5, 6, 7) + talk(1, 2, 3)))
    assert spoken(read) == [["Line 1.", "Line 2.", "Line 3."], ["Line 6.", "Line 7."]]
    assert read.counts["gaps: line used before"] == 4
    assert read.counts["lines of another film than their conversation's"] == 1


def test_a_cut_off_file_loses_its_last_row_and_says_so(tmp_path):
    whole = line(1, b"One.") + line(2, b"Two.") + line(3, b"Three, and more.")
    read = sources.read(write(tmp_path, whole[:-8], talk(1, 2, 3)))
    assert spoken(read) == [["One.", "Two."]]
    assert read.counts["movie_lines.txt: last row cut off"] == 1


def test_rows_of_another_shape_are_counted(tmp_path):
    lines = line(1, b"One.") + b"garbage\n" + line(2, b"Two.")
    read = sources.read(write(tmp_path, lines, talk(1, 2) + "u0 +++$+++ u1 +++$+++ m0 +++$+++ __import__('os')\n"))
    assert spoken(read) == [["One.", "Two."]]
    assert read.counts["movie_lines.txt: rows not in 5 fields"] == 1
    assert read.counts["conversations whose line list cannot be read"] == 1


def test_zip_and_folder_give_the_same(tmp_path):
    folder = write(tmp_path / "corpus", line(1, b"One.") + line(2, b"Two."), talk(1, 2))
    archive = tmp_path / "corpus.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for entry in folder.iterdir():
            file.write(entry, f"cornell movie-dialogs corpus/{entry.name}")
    packed, plain = sources.read(archive), sources.read(folder)
    assert packed.lines == plain.lines
    assert packed.counts == plain.counts


def test_refusals_are_one_clear_line(tmp_path):
    (tmp_path / "text.zip").write_text("not a zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("notes.txt", "nothing")
    folder = write(tmp_path / "corpus", line(1, b"One.") + line(2, b"Two."), talk(1, 2))
    with zipfile.ZipFile(tmp_path / "cut.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for entry in folder.iterdir():
            file.writestr(entry.name, entry.read_bytes() * 50)
    damaged = bytearray((tmp_path / "cut.zip").read_bytes())
    damaged[60:90] = bytes(30)
    (tmp_path / "cut.zip").write_bytes(damaged)
    (tmp_path / "short.zip").write_bytes(damaged[: len(damaged) // 2])
    (folder / "movie_characters_metadata.txt").unlink()
    (tmp_path / "odd.jsonl").write_text('{"question": "Who?"}\n')
    (tmp_path / "five.json").write_text("5")
    (tmp_path / "broken.json").write_text("[{")
    (tmp_path / "broken.parquet").write_text("PAR1")
    for path, says in [
        (tmp_path / "nowhere.zip", "no such file"),
        (tmp_path / "text.zip", "not a readable zip"),
        (tmp_path / "other.zip", "movie_lines.txt"),
        (tmp_path / "cut.zip", "damaged"),
        (tmp_path / "short.zip", "not a readable zip"),
        (folder, "movie_characters_metadata.txt not in it"),
        (write(tmp_path / "empty", b"", ""), "no conversation"),
        (tmp_path / "odd.jsonl", "no column of conversations among question"),
        (tmp_path / "broken.json", "damaged"),
        (tmp_path / "five.json", "no list of rows"),
        (tmp_path / "broken.parquet", "damaged"),
    ]:
        with pytest.raises(CorpusError, match=says) as caught:
            sources.read(path)
        assert "\n" not in str(caught.value)
        assert path.name in str(caught.value)


# ---------------------------------------------------------------- other forms


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


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "system", "content": "Be brief."}, *({"role": "user", "content": t} for t in "ab")]},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        {"dialog": ["a", "b"]},
        {"dialogue": ["a", "b"], "other": 1},
    ],
)
def test_tables_of_conversations(tmp_path, row):
    rows = [{**row, "movie_title": "Dusk", "year": 2020, "genres": ["drama"]}] * 2
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows) + "{broken\n[1]\n")
    (tmp_path / "new.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "new.parquet")
    for suffix in ("jsonl", "json", "parquet"):
        read = sources.read(tmp_path / f"new.{suffix}")
        assert list(read.talks()) == [(Film(None, "Dusk", 2020, genres=("drama",)), ["a", "b"])] * 2
        assert read.counts["rows that cannot be read"] == (2 if suffix == "jsonl" else 0)


def test_rows_of_a_table_are_counted_or_read(tmp_path):
    rows = [
        {"dialog": ["a", "b"], "movie_id": 0},
        {"dialog": None, "messages": [{"content": "c"}, {"content": "\ud83d"}], "title": "\ud83d"},
        {"dialog": "no list"},
        {"dialog": ["d", "e"]},
        {"messages": [{"role": "system", "content": "s"}, {"content": "f"}, {"content": "g"}]},
    ]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = sources.read(tmp_path / "new.jsonl")
    assert spoken(read) == [["a", "b"], ["c", "\ufffd"], ["d", "e"], ["f", "g"]]
    assert [film.key for film, _ in read.talks()][:2] == ["0", "\ufffd"]
    assert read.counts["rows without a list of turns"] == 1
    assert read.counts["system messages left out"] == 1
    (tmp_path / "moved.jsonl").write_text(json.dumps({"dialog": ["x", "y"]}) + "\n" + json.dumps(rows[3]) + "\n")
    assert list(sources.read(tmp_path / "moved.jsonl").talks())[1] == list(read.talks())[2]


def test_convokit_without_films(tmp_path):
    folder = convokit(tmp_path / "corpus", [said("L1", "L1", None, "One."), said("L2", "L1", "L1", "Two.")])
    for meta in ({}, {"meta": {"movie_name": None, "genre": None}}):
        (folder / "conversations.json").write_text(json.dumps({"L1": meta}))
        assert list(sources.read(folder).talks()) == [(Film("L1"), ["One.", "Two."])]


@pytest.mark.parametrize("address", ["http://a b/c.zip", "http://[/c.zip", f"http://{'a' * 70}.org/c.zip"])
def test_an_address_that_is_none(tmp_path, address):
    with pytest.raises(CorpusError, match="cannot be downloaded"):
        sources.locate(Source(address), tmp_path)


def test_a_hub_dataset_is_a_source(hub_url, tmp_path):
    from datasets import Dataset
    from huggingface_hub import HfApi

    Dataset.from_list([{"dialog": ["Who goes?", "A friend."]}] * 3).push_to_hub("corpora/talks")
    located = sources.locate(Source("corpora/talks"), tmp_path)
    assert located.name == "corpora/talks"
    assert located.input.revision == HfApi().dataset_info("corpora/talks").sha
    assert spoken(located.read()) == [["Who goes?", "A friend."]] * 3
