"""Folders, zips and single files of films: found by their endings or content, titled by their names."""

import zipfile

import pytest

from training.data.corpus import sources
from training.data.corpus.assemble import CorpusError, Film
from training.data.corpus.films import film_files
from training.data.corpus.films.film_files import film_of_file, read_films
from training.data.corpus.members import members_of
from training.data.corpus.tables import tabular

SRT = "1\n00:00:01,000 --> 00:00:02,000\nTea?\n\n2\n00:00:02,500 --> 00:00:03,000\nPlease.\n"
VTT = "WEBVTT\n\n00:01.000 --> 00:02.000\nCold?\n\n00:02.500 --> 00:03.000\nNo.\n"
FOUNTAIN = "INT. ROOM\n\nANNA\nLate?\n\nBO\nEarly.\n"


@pytest.fixture
def folder(tmp_path):
    films = tmp_path / "films"
    (films / "more").mkdir(parents=True)
    (films / "Dusk (1995).en.srt").write_text(SRT)
    (films / "Dawn.2001.vtt").write_text(VTT)
    (films / "more" / "Noon.fountain").write_text(FOUNTAIN)
    (films / "more" / "broken.fdx").write_text("<FinalDraft>")
    (films / "empty.srt").write_text("")
    (films / "notes.txt").write_text("about")
    return films


TALKS = [
    (Film("Dawn.2001.vtt", "Dawn", 2001), ["Cold?", "No."]),
    (Film("Dusk (1995).en.srt", "Dusk", 1995), ["Tea?", "Please."]),
    (Film("more/Noon.fountain", "Noon"), ["Late?", "Early."]),
]


def test_folder_and_zip(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        for path in folder.rglob("*.*"):
            archive.write(path, path.relative_to(folder))
    for path in (folder, tmp_path / "films.zip"):
        read = sources.read(path)
        assert list(read.talks()) == TALKS
        assert read.counts["films in files"] == 5
        assert read.counts["files of other kinds, passed over"] == 1
        assert read.counts["files that are no XML that is read"] == 1


@pytest.mark.parametrize(("name", "content"), [("a.SRT", SRT), ("a", SRT), ("a.sub", VTT), ("a.fountain", FOUNTAIN)])
def test_one_file(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    ((film, lines),) = sources.read(tmp_path / name).talks()
    assert (film.id, len(lines)) == (name, 2)


def test_a_film_is_read_only_when_its_turn_comes(folder, monkeypatch):
    opened = []
    for member in (members := members_of(folder)):
        place = members.index(member)
        members[place] = member._replace(open=lambda member=member: opened.append(member.name) or member.open())
    readings = read_films(members, 5)
    assert next(readings).line_ids == []
    assert opened == []
    assert next(readings).raw_text == ["Cold?", "No."]
    assert opened == ["Dawn.2001.vtt"]


def test_a_file_too_large_for_a_film_is_not_opened(folder, monkeypatch):
    monkeypatch.setattr(film_files, "LARGEST", 60)
    assert sources.read(folder).counts["files too large for one film"] == 2


def test_what_changes_a_folder_changes_its_digest(folder):
    digests = [sources.file_digest(folder)]
    (folder / "Dusk (1995).en.srt").write_text(SRT.replace("Tea", "Cake"))
    digests.append(sources.file_digest(folder))
    (folder / "more" / "Noon.fountain").rename(folder / "Noon.fountain")
    digests.append(sources.file_digest(folder))
    assert len(set(digests)) == 3


def test_refusals_name_the_first_file(tmp_path):
    (tmp_path / "a.srt").write_text("Tea?\nPlease.\n")
    with pytest.raises(CorpusError, match=r"lines outside any subtitle: 2.*a.srt has no line of times") as caught:
        sources.read(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "a.srt").write_text("<!doctype html><title>Not found</title>")
    with pytest.raises(CorpusError, match="no line of times"):
        sources.read(tmp_path / "a.srt")


@pytest.mark.parametrize(
    ("name", "title", "year"),
    [
        ("a/b/Dusk.srt", "Dusk", None),
        ("The.Long.Pier.1995.srt", "The Long Pier", 1995),
        ("The Long Pier [1995].pt-BR.forced.srt", "The Long Pier", 1995),
        ("Dusk.en.srt", "Dusk", None),
        ("1984.srt", "1984", None),
        ("1984 (1956).srt", "1984", 1956),
        ("Room 2046.fdx", "Room", 2046),
        (".en.srt", "en", None),
        ("en.srt", "en", None),
    ],
)
def test_films_by_name(name, title, year):
    assert film_of_file(name) == Film(name, title, year=year)


def test_films_are_read_in_batches_and_on_from_any_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(tabular, "LINES_AT_ONCE", 6)
    for number in range(9):
        lines = "".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n- {number} said {n}.\n\n" for n in range(1, 5))
        (tmp_path / f"film{number}.srt").write_text(lines)
    whole = list(sources.read_batches(tmp_path))
    assert len(whole) > 3
    assert [corpus.rows for corpus in whole] == sorted({corpus.rows for corpus in whole})
    texts = [text for corpus in whole for _, talk in corpus.talks() for text in talk]
    assert texts == [f"{number} said {n}." for number in range(9) for n in range(1, 5)]
    for place, corpus in enumerate(whole[:-1]):
        rest = list(sources.read_batches(tmp_path, first=corpus.rows))
        assert [one.lines for one in rest] == [one.lines for one in whole[place + 1 :]]
