"""OpenSubtitles as OPUS has it: plain text with ids, XML with times, raw and tokenized. The dialogue is invented."""

import zipfile

import pytest

from training.data.corpus import sources
from training.data.corpus.assemble import CorpusError, Film
from training.data.corpus.films import opensubtitles
from training.recipe_source import Source

RAW = """<?xml version="1.0" encoding="utf-8"?>
<document id="77">
  <meta><source><year>1999</year><genre>Drama, Sea</genre></source></meta>
  <s id="1"><time id="T1S" value="00:00:01,000" />Who took the boat?<time id="T1E" value="00:00:02,000" /></s>
  <s id="2"><time id="T2S" value="00:00:02,500" />Not I.</s>
  <s id="3">I was asleep.<time id="T2E" value="00:00:04,000" /></s>
  <s id="4"><time id="T3S" value="00:00:05,000" />- Asleep?</s>
  <s id="5">- All night.<time id="T3E" value="00:00:06,000" /></s>
  <s id="6"><time id="T4S" value="00:00:30,000" />[waves]<time id="T4E" value="00:00:31,000" /></s>
  <s id="7"><time id="T5S" value="00:00:32,000" />Land!<time id="T5E" value="00:00:33,000" /></s>
  <s id="8"><time id="T6S" value="00:00:34,000" />Where?<time id="T6E" value="00:00:35,000" /></s>
</document>
"""
TALKS = [["Who took the boat?", "Not I. I was asleep.", "Asleep?", "All night."], ["Land!", "Where?"]]
FILM = Film("tt0000123", year=1999, genres=("Drama", "Sea"))


def tokenized(raw: str) -> str:
    """The form with a word an element."""
    for text in (
        "Who took the boat ?",
        "Not I .",
        "I was asleep .",
        "- Asleep ?",
        "- All night .",
        "Land !",
        "Where ?",
    ):
        words = "".join(f'<w id="1.{n}">{word}</w>\n' for n, word in enumerate(text.split()))
        closed = text.replace(" ?", "?").replace(" .", ".").replace(" !", "!")
        raw = raw.replace(f"/>{closed}", f"/>{words}").replace(f">{closed}<", f">{words}<")
    return raw


def spoken(corpus) -> list[list[str]]:
    return [lines for _, lines in corpus.talks()]


@pytest.mark.parametrize("form", [str, tokenized])
def test_xml_in_a_zip(tmp_path, form):
    with zipfile.ZipFile(tmp_path / "en.zip", "w") as archive:
        archive.writestr("OpenSubtitles/raw/en/1999/123/77.xml", form(RAW))
        archive.writestr("OpenSubtitles/raw/en/1999/123/78.xml", "<document/>")  # of the same film
        archive.writestr("OpenSubtitles/raw/en/0/9/5.xml", form(RAW).replace("<year>1999</year>", ""))
        archive.writestr("OpenSubtitles/README", "about")
    read = sources.read(tmp_path / "en.zip")
    assert spoken(read) == TALKS * 2
    assert [film for film, _ in read.talks()][1:3] == [Film("tt0000009", genres=("Drama", "Sea")), FILM]
    counts = read.counts
    assert counts["documents of a film that has a larger one"] == 1
    assert counts["files of other kinds, passed over"] == 1
    assert counts["sentences in the source"] == 16
    assert counts["sentences in the subtitle of the one before"] == 4
    assert counts["subtitles"] == 12
    assert counts["subtitles of sounds alone"] == 2
    assert counts["conversations ended by a silence"] == 2
    assert read.rights == opensubtitles.RIGHTS
    assert read.lines["line_id"].to_pylist()[6] == "tt0000123.1"


def test_the_silence_is_the_recipes(tmp_path):
    (tmp_path / "77.xml").write_text(RAW)
    read = sources.read(tmp_path / "77.xml", Source("x", silence=60))
    assert spoken(read) == [TALKS[0] + TALKS[1]]
    assert [film.id for film in read.films] == ["77.xml"]
    assert read.rights.license == {"license": "unknown"}  # nothing says that it is OpenSubtitles'


IDS = """\
en/1999/123/77.xml.gz\tfr/1999/123/8.xml.gz\t1\t1
en/1999/123/77.xml.gz\tfr/1999/123/8.xml.gz\t2 3\t2
en/1999/123/77.xml.gz\tfr/1999/123/8.xml.gz\t4\t4
en/1999/123/77.xml.gz\tfr/1999/123/8.xml.gz\t6\t5
en/1999/123/77.xml.gz\tfr/1999/123/8.xml.gz\t7\t6
broken
en/2003/4567890/1.xml.gz\tfr/2003/4567890/2.xml.gz\t1\t1
en/2003/4567890/1.xml.gz\tfr/2003/4567890/2.xml.gz\t2\t3
en/1999/123/99.xml.gz\tfr/1999/123/8.xml.gz\t1\t1
"""
ENGLISH = "Who rang?\nNobody. Go to bed.\n- Good night.\nMorning!\nIs it?\nLost.\nTea?\nPlease.\nWho rang?\nMore.\n"


def parallel(folder, **texts):
    (folder / "OpenSubtitles.en-fr.ids").write_text(IDS)
    for language, text in texts.items():
        (folder / f"OpenSubtitles.en-fr.{language}").write_text(text)
    (folder / "README").write_text("about")
    return folder


def test_plain_text_with_ids(tmp_path):
    read = sources.read(parallel(tmp_path, en=ENGLISH))
    assert list(read.talks()) == [
        (Film("tt0000123", year=1999), ["Who rang?", "Nobody. Go to bed.", "Good night."]),
        (Film("tt0000123", year=1999), ["Morning!", "Is it?"]),
        (Film("tt4567890", year=2003), ["Tea?", "Please."]),
    ]
    counts = read.counts
    assert counts["sentences in the source"] == 9
    assert counts["conversations ended by a missing line"] == 1
    assert counts["lines whose ids cannot be read"] == 1
    assert counts["lines of text without ids"] == 1
    assert counts["sentences of a film that was read before"] == 1
    assert read.rights == opensubtitles.RIGHTS


def test_the_language_of_two(tmp_path):
    folder = parallel(tmp_path, en=ENGLISH, fr="Un.\nDeux.\nTrois.\n" + "Quatre.\n" * 6)
    with pytest.raises(CorpusError, match=r"en and fr; name the language to read in data.sources config"):
        sources.read(folder)
    french = sources.read(folder, Source("x", config="fr"))
    assert spoken(french)[0] == ["Un.", "Deux."]  # the French sentence 3 is not there
    with pytest.raises(CorpusError, match="name the language"):
        sources.read(folder, Source("x", config="de"))


def test_ids_without_text(tmp_path):
    with pytest.raises(CorpusError, match="no text beside OpenSubtitles"):
        sources.read(parallel(tmp_path))
    (tmp_path / "OpenSubtitles.en-fr.ids").rename(tmp_path / "a.ids")
    with pytest.raises(CorpusError, match="names no two languages"):
        sources.read(tmp_path)
    (tmp_path / "a.ids").rename(tmp_path / "OpenSubtitles.en-fr.ids")
    short = parallel(tmp_path, en="Who rang?\nNobody.\n")
    assert sources.read(short).counts["ids without a line of text"] == 7


def test_text_outside_sentences_is_counted(tmp_path):
    damaged = RAW.replace('<s id="4">', 'Lost.<p>Too.<s id="4">').replace('<s id="5">', '</p>And I.<s id="5">')
    (tmp_path / "a.xml").write_text(damaged)
    assert sources.read(tmp_path / "a.xml").counts["texts outside any sentence"] == 3


def test_another_xml_is_named(tmp_path):
    (tmp_path / "a.xml").write_text("<?xml version='1.0'?><songs><s>La</s></songs>")
    with pytest.raises(CorpusError, match="XML of another kind, with <songs>"):
        sources.read(tmp_path)
