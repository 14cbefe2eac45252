"""Deploying the page: what it is made of, and a Hub that really runs it."""

import os
import subprocess
import sys

import pytest
from huggingface_hub import HfApi, SpaceCard

from hub.deploy import bundle
from hub.deploy.space import Deployment, check_public, deploy, secret_from_environment
from hub.errors import UserError
from hub.lineage import Input, Lineage
from hub.local import client_environment
from hub.local.tokens import token_of
from hub.names import Names
from tests.support.warm_hub import running

NAMES = Names("films", "starter")
SECRET = "value-never-to-be-printed"
ZERO_GPU_PYTHON = "3.12.12"  # what ZeroGPU runs; the code runs on 3.11 and later


# ---- what it is made of


def test_the_space_has_what_the_app_needs_and_nothing_else():
    files = bundle.shipped()
    assert {name.split("/")[0] for name in files} == {"app.py", "chat", "hub", "space", "stats"}
    assert {"space/page.css", "chat/engine/local.py", "hub/errors.py", "hub/votes/vote.py"} <= set(files)
    assert all(path.is_file() for path in files.values())
    assert all(f"{folder}/__init__.py" in files for folder in ("chat", "chat/engine", "hub", "hub/votes", "stats"))
    assert [name for name in files if name.endswith(".jinja")] == ["hub/templates/votes.md.jinja"]
    assert not {"hub/publish.py", "chat/likelihood.py", "hub/deploy/space.py"} & set(files)


def test_the_requirements_name_every_import_and_suit_zero_gpu():
    named = {line.split("==")[0].split(">=")[0].lower() for line in bundle.requirements(bundle.shipped()).splitlines()}
    assert bundle.third_party_imports(bundle.shipped()) - named == {"gradio", *bundle.OPTIONAL}
    assert {"torch", "transformers", "peft", "spaces", "accelerate"} <= named
    assert not named & {"trl", "datasets", "bitsandbytes", "dulwich"}
    assert bundle.TORCH in bundle.requirements(bundle.shipped())


def test_what_an_app_imports_is_found(tmp_path):
    (tmp_path / "room").mkdir()
    for name, code in {
        "app.py": "import os\ndef f():\n    from room import deep\n    import torch.nn\n",
        "room/__init__.py": "",
        "room/deep.py": "from room.deeper import x\nfrom json import loads\n",
        "room/deeper.py": "import peft as p\n",
        "room/other.py": "import trl\n",
        "room/look.css": "",
    }.items():
        (tmp_path / name).write_text(code)
    files = bundle.shipped(tmp_path)
    assert list(files) == ["app.py", "room/__init__.py", "room/deep.py", "room/deeper.py", "room/look.css"]
    assert bundle.third_party_imports(files) == {"torch", "peft"}
    (tmp_path / "requirements.txt").write_text("peft==1  # for adapters\n")
    with pytest.raises(KeyError):
        bundle.requirements(files, tmp_path)


def test_a_card_rendered_by_name_comes_with_its_template(tmp_path):
    (tmp_path / "app.py").write_text('from hub.cards import dataset_card\ndataset_card("votes", {}, repo="a/b")\n')
    assert list(bundle.card_templates(tmp_path / "app.py")) == ["votes"]
    assert list(bundle.shipped(tmp_path)) == ["app.py", "hub/templates/votes.md.jinja"]


def test_its_readme_is_one_that_the_hub_takes(hub_url):
    variants = {
        name: bundle.PreloadedModel(f"films/{name}", name[0] * 40, ["config.json", "a.safetensors"])
        for name in ("base", "sft", "dpo")
    }
    lineage = Lineage("space", {}, (Input("films/sft", "model", "s" * 40, "c"),))
    files = bundle.space_files("films/repartee", variants, ["films/repartee-dialogue"], lineage)
    card = SpaceCard(files["README.md"].decode())
    card.validate(repo_type="space")
    data = card.data.to_dict()
    assert data["preload_from_hub"][1] == f"films/sft config.json,a.safetensors {'s' * 40}"
    assert data["models"] == ["films/base", "films/sft", "films/dpo"]
    assert data["datasets"] == ["films/repartee-dialogue"]
    given = bundle.front_matter()
    assert {key: value for key, value in data.items() if key not in ("preload_from_hub", "models", "datasets")} == given
    assert "s" * 40 in card.text


def test_its_metadata_are_the_front_matter_of_our_readme(tmp_path):
    given = bundle.front_matter()
    assert set(given) == {
        "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "license",
        "short_description", "tags",
    }  # fmt: skip
    assert f"{given['sdk']}=={given['sdk_version']}" == bundle.pins()["gradio"]
    assert given["python_version"] == ZERO_GPU_PYTHON
    assert given["app_file"] == bundle.APP
    assert len(given["short_description"]) <= 60  # the Hub refuses a longer one
    with pytest.raises(UserError, match="deploy from a clone") as caught:
        bundle.front_matter(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "README.md").write_text("# Somebody else's\n")
    with pytest.raises(UserError, match="deploy from a clone"):
        bundle.front_matter(tmp_path)


def test_a_secret_is_no_variable_and_comes_from_the_environment(monkeypatch, hub_url):
    assert check_public({"A": "films/mask-language_1"}, {"KEY": SECRET}) == {"A": "films/mask-language_1"}
    for value in (f"x{SECRET}", "hf_abcdefgh1234", os.environ["HF_TOKEN"]):
        with pytest.raises(UserError, match="public variable") as caught:
            check_public({"A": value}, {"KEY": SECRET})
        assert value not in str(caught.value)
    monkeypatch.delenv("NOT_THERE", raising=False)
    with pytest.raises(UserError, match="export it"):
        secret_from_environment("NOT_THERE")


def test_a_plan_that_does_not_allow_it_is_explained(namespace, monkeypatch):
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    names = Names(namespace, "starter")
    for repo in (f"{namespace}/base", names.adapter("sft"), names.adapter("dpo")):
        HfApi().create_repo(repo)

    def refused(self, *arguments, **options):
        raise HfHubHTTPError("no", response=httpx2.Response(402, request=httpx2.Request("POST", "http://hub/x")))

    monkeypatch.setattr(HfApi, "create_repo", refused)
    with pytest.raises(UserError, match="zero-a10g"):
        deploy(Deployment(names, f"{namespace}/base"))


# ---- a Hub that runs it


@pytest.fixture(scope="module")
def hub(starter, adapters, tmp_path_factory):
    """A local Hub of its own that runs Spaces, with a family of models on it."""
    data = tmp_path_factory.mktemp("deploy")
    with running(data, run_spaces=True) as url:
        api = HfApi(url, token_of(data))
        for repo, folder in {
            NAMES.base: starter,
            **{NAMES.adapter(kind): adapters[kind] for kind in adapters},
        }.items():
            api.create_repo(repo)
            api.upload_folder(repo_id=repo, folder_path=str(folder), ignore_patterns=["checkpoint.pt"])
        yield api, os.environ | client_environment(url, data) | {"HF_TOKEN": token_of(data), "MY_KEY": SECRET}


def run(hub, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hub.space", "--namespace", "films", "--base", NAMES.base, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=hub[1])


def tree(api: HfApi) -> dict[str, str]:
    return {file.rfilename: file.blob_id for file in api.space_info(NAMES.space, files_metadata=True).siblings}


@pytest.mark.slow
def test_a_deployment_runs_answers_and_a_bad_one_is_rolled_back(hub):
    api, _ = hub
    dry = run(hub, "--dry-run", "--secret", "MY_KEY")
    assert dry.returncode == 0, dry.stderr
    assert "  variable REPARTEE_SIZE=starter" in dry.stdout
    assert "  new       app.py" in dry.stdout
    assert not api.repo_exists(NAMES.space, repo_type="space")

    adapter, good = NAMES.adapter("dpo"), "adapter_config.json"
    config = api.hf_hub_download(adapter, good)
    with open(config, "rb") as file:
        whole = file.read()
    api.upload_file(path_or_fileobj=b"{}", path_in_repo=good, repo_id=adapter)
    first = run(hub)
    assert first.returncode == 1
    assert "names no base" in first.stdout  # the log of the app that did not start
    assert "It was the first deployment: the Space is paused" in first.stderr
    assert api.get_space_runtime(NAMES.space).stage == "PAUSED"
    api.delete_repo(NAMES.space, repo_type="space")

    api.upload_file(path_or_fileobj=whole, path_in_repo=good, repo_id=adapter)
    done = run(hub, "--secret", "MY_KEY")
    assert done.returncode == 0, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert f"{NAMES.space}/chat answers" in done.stdout
    commit = done.stdout.splitlines()[-1].split("@")[1].split()[0]
    assert api.space_info(NAMES.space).sha == commit
    assert set(tree(api)) == {".gitattributes", "README.md", "requirements.txt", "lineage.json", *bundle.shipped()}
    variables = {name: one.value for name, one in api.get_space_variables(NAMES.space).items()}
    assert variables["REPARTEE_DPO_REVISION"] == api.model_info(adapter).sha

    before = tree(api)
    api.upload_file(path_or_fileobj=b"{}", path_in_repo=good, repo_id=adapter)
    bad = run(hub)
    assert bad.returncode == 1
    assert len(bad.stderr.strip().splitlines()) == 1, bad.stderr
    assert "Put back what ran before" in bad.stderr
    assert tree(api) == before
    assert {name: one.value for name, one in api.get_space_variables(NAMES.space).items()} == variables
    assert api.wait_for_space(NAMES.space, timeout=60).stage == "RUNNING"


def test_a_hub_in_trouble_leaves_nothing_half_deployed(hub):
    """Somebody else's commit gets in: ours is refused, and the variables are those of the code that stays."""
    api, environment = hub
    adapter = NAMES.adapter("sft")
    if not api.repo_exists(NAMES.space, repo_type="space"):
        assert run(hub).returncode == 0
    variables = {name: one.value for name, one in api.get_space_variables(NAMES.space).items()}
    api.upload_file(path_or_fileobj=b"note", path_in_repo="note.txt", repo_id=adapter)  # another revision to pin
    code = (
        "import hub.space, hub.errors\n"
        "def refused(*a, **k): raise hub.errors.UserError('changed meanwhile')\n"
        "hub.space.publish = refused\nhub.space.main()\n"
    )
    arguments = ["--namespace", "films", "--base", NAMES.base]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 1
    assert "changed meanwhile. Put back what ran before" in done.stderr
    assert {name: one.value for name, one in api.get_space_variables(NAMES.space).items()} == variables


def test_the_zero_gpu_engine_answers_as_the_local_one(variants):
    from chat.engine.local import LocalEngine
    from chat.engine.zerogpu import ZeroEngine
    from chat.sampling import Sampling

    prompt, sampling = [{"role": "user", "content": "Who is it?"}], Sampling(temperature=0, max_new_tokens=6)
    said = []
    for kind in (LocalEngine, ZeroEngine):
        engine = kind(variants)
        said.append([row.text for row in list(engine.stream([prompt] * 2, ["base", "dpo"], sampling))[-1]])
        engine.close()
    assert said[0] == said[1]
