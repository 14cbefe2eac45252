"""The page without a server: `python -m hub.deploy.static --namespace NAMESPACE --size SIZE [--dry-run]`.

A static Space whose models run in the visitor's browser: free, and for any number of visitors. The base and the two
adapters are the GGUF files of `hub.gguf`, pinned to commits and hashes. A browser tries the page before it is declared
good; where it does not answer, the commit before it is put back.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.cards import space_card
from hub.deploy.browser_check import check_in_browser
from hub.deploy.bundle import README, ROOT, front_matter
from hub.deploy.smoke_test import wait_until_running
from hub.deploy.space import roll_back, undone_on_error
from hub.deploy.static_settings import adapter_facts, allowed_hosts, colours_css, published_sha256, published_text
from hub.deploy.vendor import PACKAGES, vendored
from hub.errors import UserError, one_line_errors
from hub.lineage import Input, Lineage, pin
from hub.names import Names, published_address
from hub.publish import preview_publish, publish
from hub.write_access import require_write_access

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PAGE = ROOT / "space" / "static"
DOWNLOAD_ORDER = ("base", "dpo", "sft")
"""In the order in which a browser downloads them: the base answers alone until the adapters are there."""
TYPE = "q4_0"
CONTEXT_TOKENS = 2048  # tokens that a conversation may have in the browser
CHATML = (
    "<|im_start|>system\n{{ .System }}<|im_end|>\n<|im_start|>user\n{{ .Prompt }}<|im_end|>\n<|im_start|>assistant\n"
)
README_FIELDS = ("title", "emoji", "colorFrom", "colorTo", "license", "tags")
"""What the page has of the front matter of this repository's README."""
ISOLATION = {
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "cross-origin",
}
"""A browser gives threads to a page alone that shares its process with nobody."""


@dataclass(frozen=True)
class StaticDeployment:
    """What is deployed."""

    names: Names
    type: str = TYPE
    votes: bool = False
    """Whether a choice may be sent to the votes dataset, by a link to a discussion that is filled in."""

    def files(self) -> tuple[dict[str, bytes | Path], Lineage]:
        """Everything that the Space holds but its lineage, by path, and the lineage.

        Raises:
            UserError: a GGUF repository or file is not there, they are not of one base, or the base has another chat
                format than ChatML.
        """
        inputs = {variant: self._gguf(variant) for variant in DOWNLOAD_ORDER}
        models = [self._model(variant, inputs[variant]) for variant in DOWNLOAD_ORDER]
        packages = {path: content for package in PACKAGES for path, content in vendored(package).items()}
        own = {path.name: path for path in sorted(PAGE.iterdir()) if path.suffix in (".html", ".css", ".js")}
        files: dict[str, bytes | Path] = {**packages, **own, "look.css": PAGE.parent / "look.css"}
        files["colours.css"] = colours_css(json.loads((PAGE.parent / "colours.json").read_text("utf-8"))).encode()
        files["index.html"] = (PAGE / "index.html").read_text("utf-8").replace("%CONNECT%", allowed_hosts()).encode()
        kept = ["./", "settings.json", *(path for path in files if "compat" not in path and path != "sw.js")]
        settings = {**self._settings(inputs), "models": models, "files": {"own": kept}}
        files["settings.json"] = json.dumps(settings, indent=1).encode()
        known = {model["path"]: model["sha256"] for model in models}
        versions = {package.name: package.integrity for package in PACKAGES}
        lineage = Lineage("static", {"size": self.names.size, "files": known, "npm": versions}, tuple(inputs.values()))
        metadata = {key: value for key, value in front_matter().items() if key in README_FIELDS} | {
            "sdk": "static",
            "app_file": "index.html",
            "short_description": "Film dialogue by three models in your browser",
            "custom_headers": ISOLATION,
            "models": [source.repo for source in inputs.values()],
        }
        card = space_card(metadata, "static", models=models, packages=PACKAGES, lineage=lineage)
        return {**files, README: card.encode()}, lineage

    def _gguf(self, variant: str) -> Input:
        from huggingface_hub.errors import RepositoryNotFoundError

        repo = self.names.adapter(f"{variant}-gguf")
        try:
            return pin(repo, "model")
        except RepositoryNotFoundError as error:
            raise UserError(f"there is no {repo}; {self._cure()}") from error

    def _cure(self) -> str:
        return f"run python -m hub.gguf --namespace {self.names.namespace} --size {self.names.size} --types {self.type}"

    def _model(self, variant: str, source: Input) -> dict[str, Any]:
        """What a browser needs of a variant's file: the base's weights, or an adapter alone."""
        from huggingface_hub import HfApi

        ending = f"{self.type.upper()}.gguf" if variant == "base" else "lora.gguf"
        path = f"{self.names.adapter(variant).split('/')[1]}-{ending}"
        found: list[Any] = HfApi().get_paths_info(source.repo, [path], revision=source.revision)
        if not found:
            raise UserError(f"{source.repo}@{source.revision} has no {path}; {self._cure()}")
        large = found[0].lfs  # none of a small file, whose sha256 the Hub does not know
        sha256 = large.sha256 if large else published_sha256(source, path)
        where = {"variant": variant, "repo": source.repo, "revision": source.revision, "path": path}
        return {**where, "sha256": sha256, "size": found[0].size}

    def _settings(self, inputs: Mapping[str, Input]) -> dict[str, Any]:
        """What the page reads: prompt and sampling as the GGUF files are published with them."""
        from huggingface_hub import constants

        # a local Hub without its port, which is another tomorrow: the page adds its own
        facts = {variant: adapter_facts(source) for variant, source in inputs.items()}
        if len({one.base for one in facts.values()}) > 1:
            raise UserError(f"{', '.join(source.repo for source in inputs.values())} are of two bases; {self._cure()}")
        dpo = inputs["dpo"]
        if published_text(dpo, "template") != CHATML:
            raise UserError(f"{dpo.repo} is not asked in ChatML, and the page in a browser knows no other chat format")
        params = json.loads(published_text(dpo, "params"))
        lines = json.loads((PAGE.parent / "examples.json").read_text("utf-8"))
        runtime, *_ = PACKAGES
        return {
            "hub": published_address(constants.ENDPOINT),
            "system": published_text(dpo, "system"),
            "stop": [stop] if isinstance(stop := params["stop"], str) else stop,
            "normalize": facts["dpo"].normalization,
            "context_turns": min(one.context_turns for one in facts.values()),
            "context": CONTEXT_TOKENS,
            "sampling": {name: params[name] for name in ("temperature", "top_k", "top_p")}
            | {"max_new_tokens": params["num_predict"]},
            "examples": lines,
            "votes": self.names.votes if self.votes else None,
            "runtime": f"llama.cpp in WebAssembly ({runtime.name} {runtime.version})",
        }


def deploy_static(deployment: StaticDeployment, minutes: float = 10, interval: float = 2) -> str:
    """Publishes and tries the page; returns the full sha of the commit that is good.

    Raises UserError where it cannot be made, or does not answer in a browser: then what was there is put back.
    """
    from huggingface_hub import HfApi

    api, repo = HfApi(), deployment.names.static_space
    require_write_access(repo, "space", False)
    files, lineage = deployment.files()
    api.create_repo(repo, repo_type="space", space_sdk="static", exist_ok=True)
    before = str(api.space_info(repo).sha)
    with undone_on_error(lambda: put_back(api, repo, before)):
        commit = publish(repo, "space", files, lineage, "Deploy", space_sdk="static")
        wait_until_running(api, repo, commit, minutes, interval)
        url = page_address(api, repo)
        check_in_browser(url, minutes)
    print(f"{repo}@{commit} is at {url}", flush=True)
    return commit


def put_back(api: HfApi, repo: str, before: str) -> str:
    """Makes the Space hold what it held before, of a first deployment nothing; says what it did."""
    restored = before if str(api.space_info(repo).sha) == before else roll_back(api, repo, before)
    return f"Put back what was there before: {repo}@{restored}"


def page_address(api: HfApi, repo: str) -> str:
    """Where visitors find the page. Raises UserError where the Hub does not say."""
    host = api.space_info(repo).host
    if not host:
        raise UserError(f"the Hub does not say where {repo} is served")
    return str(host).rstrip("/") + "/"


def main() -> None:
    """The command line of `python -m hub.deploy.static`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--size", default="starter", help="of the models: part of their names (default: %(default)s)")
    parser.add_argument("--type", default=TYPE, help="of the base's weights, as published (default: %(default)s)")
    parser.add_argument("--votes", action="store_true", help="offer to send a choice to the votes dataset, by hand")
    parser.add_argument("--minutes", type=float, default=10, help="to wait for the page (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
    given = parser.parse_args()
    with one_line_errors():
        deployment = StaticDeployment(Names(given.namespace, given.size), given.type, given.votes)
        if given.dry_run:
            files, lineage = deployment.files()
            preview_publish(deployment.names.static_space, "space", files, lineage)
        else:
            deploy_static(deployment, given.minutes)


if __name__ == "__main__":
    main()
