"""The Cornell reader: every byte has a reading, every loss is counted, every refusal is one clear line."""

import zipfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from training.data.corpus import cornell, sources, text
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
    assert text.clean(pa.array([text.decode(raw)]), counts).to_pylist() == [cleaned]
    assert +counts == ({rule: 1} if rule else {})


def test_every_byte_has_one_reading():
    decoded = [text.decode(bytes([byte])) for byte in range(256)]
    assert all(len(character) == 1 for character in decoded)
    assert len(set(decoded)) == 256


ACCENTED = "It\u2019s a caf\u00e9 \u2013 now\u2026"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16", "latin-1 to utf-8"])
def test_a_corpus_saved_again_in_another_encoding_is_the_same(tmp_path, encoding):
    write(tmp_path, line(1, ACCENTED.encode("cp1252")) + line(2, b"Two.", "u1"), talk(1, 2))
    for name in (*cornell.FILES, cornell.URLS):
        text = (tmp_path / name).read_bytes().replace(b"ADA", b"ZO\xcb")
        if encoding == "latin-1 to utf-8":  # as many tutorials do: cp1252's quotes become control characters
            (tmp_path / name).write_bytes(text.decode("latin-1").encode())
        else:
            (tmp_path / name).write_bytes(text.decode("cp1252").encode(encoding))
    read = sources.read(tmp_path)
    ((film, lines),) = read.talks()
    assert lines == [ACCENTED, "Two."]
    assert film == Film("m0", "the long pier", 1995, 6.9, 62, ("drama", "noir"), "http://example.org/pier.html")
    assert read.lines["speaker"][0].as_py()["name"] == "ZO\u00cb"
    counted = {name: count for name, count in read.counts.items() if "files read" in name or "mark" in name}
    counted |= {name: count for name, count in read.counts.items() if "cp1252" in name}
    assert (
        counted
        == {
            "cp1252": {"lines with cp1252 bytes": 1},
            "utf-8": {"files read as utf-8": 2},
            "utf-8-sig": {"files read as utf-8": 2, "byte order marks dropped": 5},
            "utf-16": {"files read as utf-16-le": 5, "byte order marks dropped": 5},
            "latin-1 to utf-8": {"files read as utf-8": 2, "control characters read as cp1252": 3},
        }[encoding]
    )


def test_a_mark_costs_neither_the_first_film_nor_its_rights(tmp_path):
    write(tmp_path, line(1, b"One.") + line(2, b"Two."), talk(1, 2))
    titles = TITLES.replace("the long pier", "10 things i hate about you").encode("utf-8-sig")
    (tmp_path / "movie_titles_metadata.txt").write_bytes(titles)
    read = sources.read(tmp_path)
    assert read.rights == cornell.RIGHTS
    assert [film.title for film, _ in read.talks()] == ["10 things i hate about you"]


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
        (tmp_path / "five.json", "no list of rows but a number"),
        (tmp_path / "broken.parquet", "damaged"),
    ]:
        with pytest.raises(CorpusError, match=says) as caught:
            sources.read(path)
        assert "\n" not in str(caught.value)
        assert path.name in str(caught.value)


@pytest.mark.parametrize("address", ["http://a b/c.zip", "http://[/c.zip", f"http://{'a' * 70}.org/c.zip"])
def test_an_address_that_is_none(tmp_path, address):
    with pytest.raises(CorpusError, match="cannot be downloaded"):
        sources.locate(Source(address), tmp_path)
