"""Files of a folder or zip: by name and size, never unpacked; a bomb is refused before anything is read."""

import zipfile

import pytest

from training.data.corpus.assemble import CorpusError
from training.data.corpus.members import ALWAYS_ALLOWED, members_of


def test_folder_and_zip_are_alike(tmp_path):
    folder = tmp_path / "films"
    (folder / "a").mkdir(parents=True)
    (folder / "b.srt").write_bytes(b"two")
    (folder / "a" / "b.srt").write_bytes(b"one!")
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        for path in ("b.srt", "a/b.srt"):
            archive.write(folder / path, path)
        archive.writestr("__MACOSX/b.srt", b"no")
        archive.mkdir("empty")
    for path in (folder, tmp_path / "films.zip"):
        members = members_of(path)
        assert [(member.name, member.size, member.read()) for member in members] == [
            ("a/b.srt", 4, b"one!"),
            ("b.srt", 3, b"two"),
        ]


def test_names_in_a_zip_are_names_only(tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../../evil.srt", b"x")
        archive.writestr("/etc/evil.srt", b"y")
    assert [member.read() for member in members_of(tmp_path / "evil.zip")] == [b"x", b"y"]
    assert {path.name for path in tmp_path.iterdir()} == {"evil.zip"}


def test_a_bomb_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for place in range(2):
            with archive.open(f"{place}.srt", "w") as file:
                for _ in range(ALWAYS_ALLOWED >> 20):
                    file.write(bytes(1 << 20))
    with pytest.raises(CorpusError, match="would unpack to 134,217,728"):
        members_of(tmp_path / "bomb.zip")
