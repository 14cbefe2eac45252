"""XML of strangers: no document type, so no entities and nothing from the network; no nesting without end.

The standard library's expat expands entities that a file declares, which is how a few lines become gigabytes, and can
be told to fetch external ones. Neither corpus form has a document type; a file with one is refused before it is parsed
any further.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

DEEPEST = 100
"""Elements within elements; a screenplay or a subtitle has fewer than ten."""


class XmlError(ValueError):
    """The file is no XML that is read; the message says why."""


def parse_xml(content: bytes) -> Element:
    """The root element of a document.

    Raises:
        XmlError: it is not whole, has a document type, or is nested deeper than DEEPEST.
    """
    builder, depth = TreeBuilder(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise XmlError(f"elements are nested deeper than {DEEPEST}")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*declared: Any) -> None:
        raise XmlError("it declares a document type, and with it perhaps entities, which are not read")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
        return builder.close()
    except XmlError:
        raise
    except (expat.ExpatError, LookupError, ValueError, AssertionError) as error:
        raise XmlError(f"it is no whole XML ({error})") from error
