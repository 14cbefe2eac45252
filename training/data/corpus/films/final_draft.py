"""Parses Final Draft's .fdx: XML whose paragraphs say what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree

from training.data.corpus.assemble import Film, Reading
from training.data.corpus.films.screenplay import Element, Kind, read_elements

KINDS: dict[str, Kind] = {
    "Scene Heading": "scene heading",
    "Character": "character",
    "Dialogue": "dialogue",
    "Parenthetical": "parenthetical",
    "Lyrics": "lyrics",
    "Singing": "lyrics",
}


def read_final_draft(root: ElementTree.Element, film: Film, counts: Counter[str]) -> Reading:
    """Reads one screenplay."""
    return read_elements(elements_in(root), film, counts)


def elements_in(root: ElementTree.Element) -> Iterator[Element]:
    """Elements in their order, those of dual dialogue one after the other; what is no `Content` is left aside."""
    content = root.find("Content")
    for paragraph in [] if content is None else content.iter("Paragraph"):
        text = " ".join("".join("".join(part.itertext()) for part in paragraph.findall("Text")).split())
        if text:
            yield Element(KINDS.get(paragraph.get("Type", ""), "action"), text)
