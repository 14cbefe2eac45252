"""XML of strangers: entities are not expanded, nothing is fetched, nesting ends."""

import pytest

from training.data.corpus.films.safe_xml import DEEPEST, XmlError, parse_xml

BOMB = """<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]><document>&c;</document>"""
OUTSIDE = """<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/hostname">]><document>&a;</document>"""


@pytest.mark.parametrize("text", [BOMB, OUTSIDE, '<!DOCTYPE d SYSTEM "http://127.0.0.1:9/x.dtd"><document/>'])
def test_a_document_type_is_refused(text):
    with pytest.raises(XmlError, match="document type"):
        parse_xml(text.encode())


@pytest.mark.parametrize(
    "text",
    [b"", b"<a>", b"<a></b>", b"<a/><b/>", b"plain", b"<a>&unknown;</a>", b"\xff\xfe<", b"<a>\xff</a>", b"\0",
     b'<?xml version="1.0" encoding="nonsense"?><a/>'],
)  # fmt: skip
def test_what_is_no_xml_is_refused(text):
    with pytest.raises(XmlError, match="no whole XML"):
        parse_xml(text)


def test_depth_ends():
    assert parse_xml(b"<a>" * DEEPEST + b"</a>" * DEEPEST).tag == "a"
    with pytest.raises(XmlError, match="deeper"):
        parse_xml(b"<a>" * 100_000)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "cp1252"])
def test_encodings(encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?><a b="&quot;">Zo\u00eb &amp; &#66;o</a>'
    root = parse_xml(text.encode(encoding))
    assert (root.text, root.attrib) == ("Zo\u00eb & Bo", {"b": '"'})
