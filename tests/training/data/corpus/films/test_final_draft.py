"""Final Draft's XML: paragraphs by their type. The scene is invented."""

from collections import Counter

import pytest

from training.data.corpus import sources
from training.data.corpus.assemble import CorpusError

SCRIPT = """<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<FinalDraft DocumentType="Script" Template="No" Version="5">
  <Content>
    <Paragraph Type="Scene Heading"><Text>INT. KITCHEN</Text></Paragraph>
    <Paragraph Type="Action"><Text>Rain.</Text></Paragraph>
    <Paragraph Type="Character"><Text>ANNA</Text></Paragraph>
    <Paragraph Type="Parenthetical"><Text>(softly)</Text></Paragraph>
    <Paragraph Type="Dialogue"><Text>You are </Text><Text Style="Italic">late</Text><Text>.</Text></Paragraph>
    <Paragraph><DualDialogue>
      <Paragraph Type="Character"><Text>BO (V.O.)</Text></Paragraph>
      <Paragraph Type="Dialogue"><Text>The boat was.</Text></Paragraph>
      <Paragraph Type="Character"><Text>CY</Text></Paragraph>
      <Paragraph Type="Dialogue"><Text>And I.</Text></Paragraph>
    </DualDialogue></Paragraph>
    <Paragraph Type="Transition"><Text>CUT TO:</Text></Paragraph>
  </Content>
  <TitlePage><Content><Paragraph Type="Dialogue"><Text>By nobody</Text></Paragraph></Content></TitlePage>
</FinalDraft>
"""


def test_a_script(tmp_path):
    (tmp_path / "The Long Pier (1995).fdx").write_text(SCRIPT)
    read = sources.read(tmp_path / "The Long Pier (1995).fdx")
    ((film, lines),) = read.talks()
    assert lines == ["You are late.", "The boat was.", "And I."]
    assert (film.id, film.title, film.year) == ("The Long Pier (1995).fdx", "The Long Pier", 1995)
    assert [speaker["name"] for speaker in read.lines["speaker"].to_pylist()] == ["ANNA", "BO", "CY"]
    kinds = Counter({name: n for name, n in read.counts.items() if name.startswith("screenplay: ")})
    assert kinds == {
        "screenplay: scene heading": 1,
        "screenplay: action": 2,
        "screenplay: character": 3,
        "screenplay: parenthetical": 1,
        "screenplay: dialogue": 3,
    }


def test_a_script_with_entities_is_refused(tmp_path):
    bomb = SCRIPT.replace("<FinalDraft", '<!DOCTYPE FinalDraft [<!ENTITY a "ha">]><FinalDraft', 1)
    (tmp_path / "bomb.fdx").write_text(bomb)
    with pytest.raises(CorpusError, match=r"bomb.fdx: it declares a document type") as caught:
        sources.read(tmp_path)
    assert "\n" not in str(caught.value)
