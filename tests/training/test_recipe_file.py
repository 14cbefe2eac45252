"""Recipe files: a key stands once, an empty section is its defaults, any certain encoding is read."""

import pytest

from hub.errors import UserError
from training.recipe import load
from training.recipe_file import read_recipe_file, set_key
from training.recipe_schema import Dpo, Lora


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sft:\n  seed: 1\ndpo: {}\nsft:\n  pairs: 2\n", "sft twice, in line 1 and in line 4"),
        ("model:\n  lora:\n    r: 4\n    alpha: 8\n    'r': 16\n", "model.lora.r twice, in line 3 and in line 5"),
        ("data:\n  sources:\n    - path: a\n      path: b\n", "data.sources.path twice, in line 3 and in line 4"),
        ("sft: {seed: 1, seed: 2}\n", "sft.seed twice, in line 1 and in line 1"),
    ],
)
def test_a_key_that_stands_twice_is_one_line_with_both_places(tmp_path, text, says):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_twice_in_an_override_is_told_too(tmp_path):
    (tmp_path / "recipe.yaml").write_text("")
    with pytest.raises(UserError, match=r"override 'dpo=\{beta: 1, beta: 2\}' has beta twice"):
        load(tmp_path / "recipe.yaml", ["dpo={beta: 1, beta: 2}"])


def test_the_same_key_in_two_sections_and_an_alias_are_fine(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("sft: &both\n  seed: 1\ndpo: *both\nrl:\n  <<: *both\n  seed: 2\n")
    recipe = load(path)
    assert [recipe.sft.trl, recipe.dpo.trl, recipe.rl.trl] == [{"seed": 1}, {"seed": 1}, {"seed": 2}]


def test_an_empty_section_is_its_defaults_also_under_overrides(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("sft:\n  # seed: 1\ndpo:\nmodel:\n  lora:\n  size: x\njudge:\n")
    recipe = load(path)
    assert recipe.sft.trl == {}
    assert recipe.dpo == Dpo()
    assert recipe.model.lora == Lora()
    recipe = load(path, ["sft.seed=7", "model.lora.r=4", "judge.model=m"])
    assert recipe.sft.trl == {"seed": 7}
    assert (recipe.model.lora.r, recipe.judge.model) == (4, "m")
    path.write_text("# nothing yet\n")
    assert load(path) == load(path, ["sft={}"])
    path.write_text("[]\n")
    with pytest.raises(UserError, match="takes a mapping"):
        load(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path, encoding):
    path = tmp_path / "recipe.yaml"
    path.write_bytes("model:\r\n  size: caf\u00e9\r\n".encode(encoding))
    assert load(path).model.size == "caf\u00e9"
    path.write_bytes("model:\n  size: caf\u00e9\n".encode("cp1252"))
    with pytest.raises(UserError, match=r"no UTF-8 \(byte 0xe9 in line 2\)"):
        load(path)


def test_content_is_read_and_set_as_yaml_has_it(tmp_path):
    (tmp_path / "recipe.yaml").write_text("sft:\nmodel: {size: x}\n")
    content = read_recipe_file(tmp_path / "recipe.yaml", ["sft.learning_rate=1e-4"])
    assert content == {"sft": {"learning_rate": "1e-4"}, "model": {"size": "x"}}
    set_key(content, "dpo.beta", 0.3)
    assert content["dpo"] == {"beta": 0.3}
    with pytest.raises(UserError, match="no such file"):
        read_recipe_file(tmp_path / "none.yaml")
