"""Deploying the page without a server: what it holds, what it refuses, and that a page that does not answer goes."""

import json
import re
import sys
from pathlib import Path

import pytest
from huggingface_hub import HfApi, SpaceCard, hf_hub_download

from hub.deploy import static
from hub.deploy.static import PAGE, StaticDeployment, deploy_static
from hub.deploy.static_settings import SENDERS, allowed_hosts, colours_css
from hub.deploy.vendor import PACKAGES
from hub.errors import UserError
from hub.names import HUB, Names
from tests.hub.deploy.conftest import TYPE
from tests.support.fault_proxy import FaultProxy
from tests.support.in_process import run_main


def command(monkeypatch, *arguments):
    def main(given):
        monkeypatch.setattr(sys, "argv", ["static", *given])
        static.main()

    return run_main(main, *arguments)


def test_everything_is_pinned(static_page, gguf_family):
    space = gguf_family.static_space
    settings = json.loads(Path(hf_hub_download(space, "settings.json", repo_type="space")).read_text())
    lineage = json.loads(Path(hf_hub_download(space, "lineage.json", repo_type="space")).read_text())
    assert [model["variant"] for model in settings["models"]] == ["base", "dpo", "sft"]
    for model, source in zip(settings["models"], lineage["inputs"], strict=True):
        assert model["revision"] == source["revision"] == HfApi().model_info(model["repo"]).sha
        assert lineage["settings"]["files"][model["path"]] == model["sha256"]
    assert settings["sampling"] == {"temperature": 0.9, "top_k": 25, "top_p": 0.95, "max_new_tokens": 64}
    assert settings["stop"] == ["<|im_end|>", "<|endoftext|>"]
    there = HfApi().list_repo_files(space, repo_type="space")
    assert set(settings["files"]["own"]) - {"./"} <= set(there)
    card = SpaceCard.load(space).data.to_dict()
    assert card["sdk"] == "static"
    assert card["custom_headers"]["cross-origin-embedder-policy"] == "require-corp"


def test_the_page_asks_for_what_it_holds(static_page, gguf_family):
    there = set(HfApi().list_repo_files(gguf_family.static_space, repo_type="space"))
    named = set()
    for path in PAGE.glob("*.js"):
        text = path.read_text("utf-8")
        named |= {name.removeprefix("./") for name in re.findall(r'"((?:\./)?[\w./-]+\.(?:js|wasm|json))"', text)}
    named |= set(re.findall(r'(?:href|src)="([\w.]+)"', (PAGE / "index.html").read_text("utf-8")))
    assert named <= there
    assert {package.folder for package in PACKAGES} == {path.rpartition("/")[0] for path in there if "vendor/" in path}


def test_a_dry_run_sends_nothing(static_page, gguf_family, monkeypatch):
    before = HfApi().space_info(gguf_family.static_space).sha
    done = command(monkeypatch, "--namespace", "static", "--type", TYPE, "--dry-run")
    assert done.returncode == 0
    assert f"space {gguf_family.static_space}: would be one commit" in done.stdout  # without --votes it is another page
    assert HfApi().space_info(gguf_family.static_space).sha == before


def test_what_is_not_there_is_told_with_its_cure(static_page, monkeypatch, namespace):
    for arguments in (("--namespace", namespace), ("--namespace", "static", "--type", "q8_0")):
        done = command(monkeypatch, *arguments, "--dry-run")
        assert done.returncode == 1
        assert "run python -m hub.gguf --namespace" in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_page_that_does_not_answer_goes(static_page, gguf_family, monkeypatch):
    def refuse(url, minutes):
        raise UserError(f"{url} does not answer")

    api, space = HfApi(), gguf_family.static_space
    before = {file.rfilename: file.blob_id for file in api.space_info(space, files_metadata=True).siblings}
    monkeypatch.setattr(static, "check_in_browser", refuse)
    with pytest.raises(UserError, match=r"does not answer.*Put back what was there before"):
        deploy_static(StaticDeployment(gguf_family, TYPE), minutes=1, interval=0.1)
    assert before == {file.rfilename: file.blob_id for file in api.space_info(space, files_metadata=True).siblings}


def test_the_real_hub_sends_files_from_hosts_of_its_own(monkeypatch):
    from huggingface_hub import constants

    hosts = {"http://127.0.0.1:8765": "http://localhost:*", "https://hub.example": "https://hub.example"}
    for address, allowed in {**hosts, HUB: " ".join(SENDERS)}.items():
        monkeypatch.setattr(constants, "ENDPOINT", address)
        assert allowed_hosts() == allowed


def test_a_page_of_a_local_hub_is_the_same_on_every_port(static_page, gguf_family, monkeypatch):
    from huggingface_hub import constants

    deployment = StaticDeployment(gguf_family, TYPE)
    made, _ = deployment.files()
    with FaultProxy(constants.ENDPOINT) as proxy:
        monkeypatch.setattr(constants, "ENDPOINT", proxy.url)
        assert deployment.files()[0] == made
    assert json.loads(made["settings.json"])["hub"] == "http://localhost"
    assert not [path for path in ("index.html", "settings.json", "README.md") if b"127.0.0.1" in made[path]]


def test_the_colours_are_those_of_the_gradio_page():
    css = colours_css({"body_text_color": ["#111", "#eee"]})
    assert css.index("--body-text-color: #111") < css.index("prefers-color-scheme: dark") < css.index("#eee")


def test_it_has_a_name_of_its_own():
    assert Names("me", "starter").static_space == "me/repartee-static"
