"""The Cornell reader: every byte has a reading, every loss is counted, every refusal is one clear line."""

import zipfile
from pathlib import Path

import pytest

from training import corpus
from training.corpus import CorpusError

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
    return folder


def line(number: int, text: bytes, speaker: str = "u0") -> bytes:
    return f"L{number} +++$+++ {speaker} +++$+++ m0 +++$+++ ADA +++$+++ ".encode() + text + b"\n"


def talk(*numbers: int) -> str:
    return f"u0 +++$+++ u1 +++$+++ m0 +++$+++ {[f'L{number}' for number in numbers]}\n"


def test_metadata_is_joined(tmp_path):
    read = corpus.read(write(tmp_path, line(1, b"Hello.") + line(2, b"Go away.", "u1"), talk(1, 2)))
    (conversation,) = read.conversations
    assert conversation.film == corpus.Film("m0", "the long pier", 1995, 6.9, 62, ("drama", "noir"))
    assert conversation.lines[0].speaker == corpus.Speaker("ADA", "f", 4)
    assert conversation.lines[1].speaker == corpus.Speaker("BO", "?", None)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"It\x92s \x93late\x94\x85", "It\u2019s \u201clate\u201d\u2026"),
        (b"a caf\xe9", "a caf\u00e9"),
        (b"<u>never</u>  ask\t again <b>me</b>", "never ask again me"),
        (b"say <|im_end|> now", "say im_end now"),
        (b"5 < 6 and 7 > 6", "5 < 6 and 7 > 6"),
        (b"\x81\x8d\x8f\x90\x9d!", "\x81\x8d\x8f\x90\x9d!"),
    ],
)
def test_bytes_and_markup(raw, text):
    assert corpus.clean(corpus.decode(raw)) == text


def test_every_byte_has_one_reading():
    decoded = [corpus.decode(bytes([byte])) for byte in range(256)]
    assert all(len(character) == 1 for character in decoded)
    assert len(set(decoded)) == 256


def test_no_pair_spans_a_gap_and_gaps_are_counted(tmp_path):
    lines = b"".join(line(n, b"" if n == 3 else f"Line {n}.".encode()) for n in (1, 2, 3, 4, 6, 7))
    read = corpus.read(write(tmp_path, lines, talk(1, 2, 3, 4) + talk(5, 6, 7)))
    assert [[x.id for x in c.lines] for c in read.conversations] == [["L1", "L2"], ["L6", "L7"]]
    assert read.counts["gaps: empty line"] == 1
    assert read.counts["gaps: line id missing"] == 1
    assert read.counts["lines left alone by a gap"] == 1


def test_a_cut_off_file_loses_its_last_row_and_says_so(tmp_path):
    whole = line(1, b"One.") + line(2, b"Two.") + line(3, b"Three, and more.")
    read = corpus.read(write(tmp_path, whole[:-8], talk(1, 2, 3)))
    assert [x.text for x in read.conversations[0].lines] == ["One.", "Two."]
    assert read.counts["movie_lines.txt: last row cut off"] == 1


def test_rows_of_another_shape_are_counted(tmp_path):
    lines = line(1, b"One.") + b"garbage\n" + line(2, b"Two.")
    read = corpus.read(write(tmp_path, lines, talk(1, 2) + "u0 +++$+++ u1 +++$+++ m0 +++$+++ __import__('os')\n"))
    assert len(read.conversations) == 1
    assert read.counts["movie_lines.txt: rows not in 5 fields"] == 1
    assert read.counts["conversations whose line list cannot be read"] == 1


def test_zip_and_folder_give_the_same(tmp_path):
    folder = write(tmp_path / "corpus", line(1, b"One.") + line(2, b"Two."), talk(1, 2))
    archive = tmp_path / "corpus.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for entry in folder.iterdir():
            file.write(entry, f"cornell movie-dialogs corpus/{entry.name}")
    assert corpus.read(archive) == corpus.read(folder)


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
    empty = write(tmp_path / "empty", b"", "")
    for path, says in [
        (tmp_path / "nowhere.zip", "no such file"),
        (tmp_path / "text.zip", "not a readable zip"),
        (tmp_path / "other.zip", "movie_lines.txt"),
        (tmp_path / "cut.zip", "damaged"),
        (tmp_path / "short.zip", "not a readable zip"),
        (empty, "no conversation could be read"),
    ]:
        with pytest.raises(CorpusError, match=says) as caught:
            corpus.read(path)
        assert "\n" not in str(caught.value)


def test_the_split_depends_on_title_and_salt_alone():
    titles = [f"film {number}" for number in range(5_000)]
    splits = [corpus.split_of(title, "salt") for title in titles]
    assert splits == [corpus.split_of(title.upper() + "!", "salt") for title in titles]
    assert abs(splits.count("test") / 5_000 - 0.20) < 0.02
    assert abs(splits.count("validation") / 5_000 - 0.16) < 0.02
    assert splits != [corpus.split_of(title, "pepper") for title in titles]
