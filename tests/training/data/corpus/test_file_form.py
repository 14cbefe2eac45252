"""Forms of files: told by their first bytes; what is not read is named."""

import gzip
import json
import zipfile

import pytest

from training.data.corpus import sources
from training.data.corpus.assemble import CorpusError
from training.data.corpus.file_form import check_file, form_of_file


def test_the_content_decides_not_the_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "download", "w") as file:
        file.writestr("a", "b")
    (tmp_path / "rows").write_text('\n {"dialog": []}\n')
    (tmp_path / "wide").write_bytes('[{"dialog": []}]'.encode("utf-16"))
    (tmp_path / "table.zip").write_bytes(b"PAR1 and PAR1")
    (tmp_path / "upper.JSONL").write_text("")
    names = ("download", "rows", "wide", "table.zip", "upper.JSONL")
    assert [form_of_file(tmp_path / name) for name in names] == ["zip", "json", "json", "parquet", "json"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "talks.jsonl.gz",
            gzip.compress(b'{"dialog": ["a", "b"]}\n', mtime=0),
            "a gzip file, which is not read; unpack it",
        ),
        ("talks.jsonl", gzip.compress(b"x", mtime=0), "a gzip file"),
        ("talks.csv", b"id,text\n", "a .csv file, which is not read; write a row a line as .jsonl"),
        ("talks.tar", bytes(257) + b"ustar" + bytes(250), "a tar archive"),
        ("talks.jsonl", b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        ("talks.jsonl", b"\n<!DOCTYPE html><html>", "a web page"),
        ("talks.zip", b"no zip", "not a readable zip: it begins with b'no zip'"),
        ("talks.parquet", b"no table", "it does not begin as parquet does"),
        ("talks.bin", b"\x00\x01", r"a file that begins with b'\\x00\\x01'"),
    ],
)
def test_what_is_not_read_is_named(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=says) as caught:
        sources.read(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_zip_of_other_files_names_them(tmp_path):
    with zipfile.ZipFile(tmp_path / "talks.zip", "w") as file:
        file.writestr("data/talks.csv", "a")
    with pytest.raises(CorpusError, match=r"no utterances.jsonl in it, but talks.csv; give the Cornell"):
        sources.read(tmp_path / "talks.zip")


@pytest.mark.parametrize("content", [b"PK\x03\x04 cut off", b"PAR1 cut off", b"<html>"])
def test_a_file_that_was_cut_off_is_found_out(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CorpusError):
        check_file(tmp_path / "file")
    (tmp_path / "file").write_text(json.dumps({"dialog": []}))
    check_file(tmp_path / "file")
