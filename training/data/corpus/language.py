"""Keeps conversations of one language, told by script and by frequent short words: light, and no more than that.

Languages of a script of their own are told by it; those in Latin letters by the share of words that are among the
most frequent function words of each. A conversation of a few words often has none, and takes the language of its film;
where that is not told either it is kept and counted. Close relatives (Norwegian and Danish, Portuguese and Galician)
are confused, and a language that is not listed is taken for its neighbour or not told.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a recipe is checked by LANGUAGES, before numpy is worth its time
    from training.data.corpus.assemble import Reading

FUNCTION_WORDS = {
    "en": "the and you to is it of that what i'm don't this for was with are have not my we he they do be your",
    "de": "der die das und ich nicht du ist es ein eine zu sie mit was auf wir den mir ja wie haben auch",
    "fr": "le la les et je vous est pas que un une il c'est ne pour tu des en qui dans j'ai elle mais avec",
    "es": "el los y que no es una un lo por qué está se te con para pero las mi del eso como sí muy",
    "it": "il che non di è un una per sono mi ho ma con ti questo lo gli del cosa perché anche sei è",
    "pt": "o que não de um uma os é eu você para com isso está por mas do da ele se em nós sim",
    "nl": "de het een en ik je niet is dat van wat we zijn hij ze heb maar voor met op er mijn",
    "sv": "det och jag är att du inte en som har vi på för med han av den ett vad så mig men",
    "pl": "nie to się w na i jest co z jak do tak ale czy mnie już tego ty dla że",
    "cs": "je to se na v ne a že jsem ale tak co jak mě s do by jste jen není",
    "tr": "bir bu ve ne için de da ben sen o var mi çok ama evet değil gibi",
    "fi": "on se ei ja hän mitä olen minä sinä että mutta niin se en ole tämä kun",
}
"""About twenty frequent words of each language in Latin letters."""
SCRIPTS = {
    "ru": "CYRILLIC",
    "el": "GREEK",
    "ar": "ARABIC",
    "he": "HEBREW",
    "hi": "DEVANAGARI",
    "th": "THAI",
    "ko": "HANGUL",
    "ja": "HIRAGANA",
    "zh": "CJK",
}
"""Languages that are told by script alone, the most spoken of each: `ru` stands for all that is Cyrillic."""
LANGUAGES = (*FUNCTION_WORDS, *SCRIPTS)
FEWEST = 3
"""Function words, or letters of a script, below which nothing is told."""

_WORDS = {language: frozenset(words.split()) for language, words in FUNCTION_WORDS.items()}
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_NOT_LATIN = re.compile(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]")


def language_of(texts: Iterable[str]) -> str | None:
    """Language of a text in pieces, one of LANGUAGES; None where too little of it, or of two alike, is found."""
    whole = " ".join(texts).replace("\u2019", "'").casefold()[:20_000]
    words = _WORD.findall(whole)
    scripts = Counter(unicodedata.name(letter, "?").split(" ")[0] for letter in _NOT_LATIN.findall(whole))
    if scripts["HIRAGANA"] + scripts["KATAKANA"] >= FEWEST:  # Japanese has Chinese letters as well
        return "ja"
    script, letters = scripts.most_common(1)[0] if scripts else ("", 0)
    if letters >= FEWEST and 2 * letters > len("".join(words)):
        return next((language for language, own in SCRIPTS.items() if own == script), None)
    found = Counter({language: sum(word in own for word in words) for language, own in _WORDS.items()})
    (first, most), (_, second) = found.most_common(2)
    return first if most >= FEWEST and most > second else None


def in_language(reading: Reading, language: str | None) -> Reading:
    """The reading with the conversations that are, or may be, of a language; None keeps all.

    Counted are those of another language, and those of which it is not told.
    """
    if language is None:
        return reading
    raw_text = reading.raw_text if isinstance(reading.raw_text, list) else reading.raw_text.to_pylist()
    texts = [[raw_text[line] for line in lines if line >= 0] for _, lines in reading.conversations]
    of_film: dict[int, list[str]] = {}
    for (film, _), own in zip(reading.conversations, texts, strict=True):
        of_film.setdefault(film, []).extend(own)
    film_languages = {film: language_of(own) for film, own in of_film.items()}
    kept = []
    for conversation, own in zip(reading.conversations, texts, strict=True):
        told = language_of(own) or film_languages[conversation[0]]
        reading.counts["conversations of another language, left out"] += told not in (language, None)
        reading.counts["conversations whose language is not told, kept"] += told is None
        if told in (language, None):
            kept.append(conversation)
    unread = reading.unread or (f"none is told to be {language}" if not kept else "")
    return replace(reading, conversations=kept, unread=unread)
