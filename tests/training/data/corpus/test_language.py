"""The light filter of languages: what it tells, what it does not, and that it counts both."""

import json

import pytest

from hub.errors import UserError
from training.data.corpus import sources
from training.data.corpus.language import LANGUAGES, language_of
from training.recipe import build_section
from training.recipe_schema import Data

TEXTS = {
    "en": "What are you doing with that? I don't know, it was my idea and it is the best we have.",
    "de": "Was machst du da? Ich wei\u00df es nicht, das war eine Idee und wir haben die Zeit.",
    "fr": "Qu'est-ce que vous faites? Je ne sais pas, c'est une id\u00e9e et elle est dans la maison.",
    "es": "\u00bfQu\u00e9 haces con eso? No lo s\u00e9, es una idea y los otros no est\u00e1n muy lejos.",
    "it": "Che cosa fai? Non lo so, \u00e8 una mia idea e gli altri sono con il capitano.",
    "pt": "O que voc\u00ea est\u00e1 fazendo? N\u00e3o sei, \u00e9 uma ideia do capit\u00e3o e eu gosto mas pouco.",
    "nl": "Wat ben je aan het doen? Ik weet het niet, het is een idee en we zijn niet op tijd.",
    "sv": "Vad g\u00f6r du? Jag vet inte, det var en id\u00e9 som vi har och den \u00e4r bra.",
    "pl": "Co ty robisz? Nie wiem, to jest tak daleko, \u017ce ju\u017c si\u0119 nie boj\u0119.",
    "cs": "Co to je? Nev\u00edm, ale jsem tak daleko, \u017ee se jen neboj\u00edm, jak jste cht\u011bli.",
    "tr": "Bu ne? Bilmiyorum, ama ben \u00e7ok uzakta bir ev i\u00e7in geldim ve o var.",
    "fi": "Mit\u00e4 sin\u00e4 teet? En tied\u00e4, mutta se on niin kaukana ett\u00e4 min\u00e4 olen v\u00e4synyt.",
    "ru": "\u0427\u0442\u043e \u0442\u044b \u0434\u0435\u043b\u0430\u0435\u0448\u044c?",
    "el": "\u03a4\u03b9 \u03ba\u03ac\u03bd\u03b5\u03b9\u03c2;",
    "ja": "\u4f55\u3092\u3057\u3066\u3044\u307e\u3059\u304b",
    "zh": "\u4f60\u5728\u505a\u4ec0\u4e48",
    "ko": "\ubb50 \ud574\uc694 \uc9c0\uae08",
}


@pytest.mark.parametrize(("language", "text"), TEXTS.items())
def test_languages(language, text):
    assert language_of([text]) == language
    assert language in LANGUAGES


@pytest.mark.parametrize("text", ["", "No.", "Anna! Bo!", "\u4f60", "12:30", "Ciao, Anna, to je"])
def test_what_is_not_told(text):
    assert language_of([text]) is None


def read(tmp_path, rows, language):
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return sources.read(path, language=language)


def test_conversations_are_kept_by_language_and_by_that_of_their_film(tmp_path):
    english, french = ([TEXTS[name], "Ok."] for name in ("en", "fr"))
    rows = [
        {"dialog": english, "title": "Dusk"},
        {"dialog": french, "title": "Dusk"},  # a foreign scene of an English film
        {"dialog": ["Oh!", "Ah."], "title": "Dusk"},  # goes by its film
        {"dialog": french, "title": "Aube"},
        {"dialog": ["Oh!", "Ah."], "title": "Aube"},
        {"dialog": ["Oh!", "Ah."], "title": "Hush"},  # nobody knows
    ]
    told = read(tmp_path, rows, "en")
    assert [(film.title, lines[1]) for film, lines in told.talks()] == [
        ("Dusk", "Ok."),
        ("Dusk", "Ah."),
        ("Hush", "Ah."),
    ]
    assert told.counts["conversations of another language, left out"] == 3
    assert told.counts["conversations whose language is not told, kept"] == 1
    assert told.counts["lines"] == 12  # those left out are in no conversation, and counted
    assert told.counts["lines in no conversation"] == 6
    assert len(list(read(tmp_path, rows, None).talks())) == 6


def test_nothing_of_the_language(tmp_path):
    with pytest.raises(UserError, match=r"left out: 1.*none is told to be de"):
        read(tmp_path, [{"dialog": [TEXTS["en"], "Ok."]}], "de")


def test_the_recipe_names_a_language():
    assert build_section(Data, {"language": "fr"}, "data.").language == "fr"
    with pytest.raises(UserError, match=r"language is 'xx'; it takes null or one of en, de"):
        build_section(Data, {"language": "xx"}, "data.")
