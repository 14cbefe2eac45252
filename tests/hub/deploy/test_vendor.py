"""npm packages: the pinned archive or none."""

import io
import tarfile

import pytest

from hub.deploy import vendor
from hub.deploy.vendor import NpmPackage, is_pinned, vendored
from hub.errors import UserError


@pytest.fixture
def package(monkeypatch):
    """A package that the registry has, and how often it was asked."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, content in {"package/dist/a.js": b"1", "package/LICENSE": b"MIT"}.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    content, asked = out.getvalue(), []
    monkeypatch.setattr(vendor, "_download", lambda package: asked.append(package) or content)
    import base64
    import hashlib

    integrity = f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"
    return NpmPackage("@some/thing", "1.2.3", integrity, {"dist/a.js": "a.js"}), asked


def test_files_come_by_their_place_in_the_page(package, tmp_path):
    one, asked = package
    assert vendored(one, tmp_path) == {"vendor/thing-1.2.3/a.js": b"1"}
    assert vendored(one, tmp_path)
    assert len(asked) == 1


def test_another_archive_is_refused_and_not_kept(package, tmp_path):
    one, _ = package
    wrong = NpmPackage(one.name, one.version, "sha512-AAAA", one.files)
    with pytest.raises(UserError, match="is not the archive that is pinned"):
        vendored(wrong, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not is_pinned(one, b"")


def test_a_spoilt_cache_is_downloaded_again(package, tmp_path):
    one, asked = package
    vendored(one, tmp_path)
    next(tmp_path.iterdir()).write_bytes(b"spoilt")
    assert vendored(one, tmp_path)
    assert len(asked) == 2


def test_a_file_that_is_gone_is_told(package, tmp_path):
    one, _ = package
    with pytest.raises(UserError, match=r"holds no dist/b\.js"):
        vendored(NpmPackage(one.name, one.version, one.integrity, {"dist/b.js": "b.js"}), tmp_path)


def test_a_registry_that_does_not_answer_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"hash-wasm@4\.12\.0 cannot be had from http://127\.0\.0\.1:9"):
        vendored(vendor.PACKAGES[2], tmp_path)
