"""Which models answer, pinned to full commits; from this machine's cache where the Hub is down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chat.variants import ModelRef, revisions_of
from hub.errors import UserError, explain
from hub.names import Names
from space.settings import Settings


@dataclass(frozen=True)
class PinnedModels:
    """One base and the LoRA adapters on it, each with its full commit."""

    base: ModelRef
    adapters: dict[str, ModelRef]
    """By variant."""
    hub_is_down: str = ""
    """Why they come from the cache of this machine; "" where the Hub has answered."""

    @property
    def refs(self) -> dict[str, ModelRef]:
        """By variant, the base first."""
        return {"base": self.base, **self.adapters}

    @property
    def revisions(self) -> dict[str, str]:
        """Full commit by variant, the base's first."""
        return revisions_of(self.refs)


def find_models(settings: Settings) -> PinnedModels:
    """Pins the base and its adapters to the commits that they are at now, or were when the Hub last answered.

    A family that has no DPO adapter yet is served without it, unless one of a given revision is asked for. Raises
    UserError when the adapters name different bases and REPARTEE_BASE does not decide, or when the Hub is down and a
    model is not on this disk.
    """
    names = Names(settings.namespace, settings.size)
    adapters = {kind: names.adapter(kind) for kind in ("sft", "dpo")}
    wanted = {"sft": settings.sft_revision, "dpo": settings.dpo_revision}
    down = hub_problem(adapters["sft"])
    if not wanted["dpo"] and not is_there(adapters["dpo"], "adapter_config.json", down):
        print(f"{adapters.pop('dpo')} is not there: the page has base and fine-tuned model alone", flush=True)
    paths = {kind: find(repo, "adapter_config.json", wanted[kind], down) for kind, repo in adapters.items()}
    configs = {kind: read_adapter_config(adapters[kind], path) for kind, path in paths.items()}
    bases = {config["base_model_name_or_path"] for config in configs.values()}
    if len(bases) > 1 and not settings.base:
        raise UserError(f"the adapters stand on different bases ({', '.join(sorted(bases))}): set REPARTEE_BASE to one")
    base = settings.base or bases.pop()
    revision = settings.base_revision or (None if settings.base else configs.get("dpo", configs["sft"]).get("revision"))
    paths = {"base": find(base, "config.json", revision, down), **paths}
    repos = {"base": base, **adapters}
    refs = {variant: ModelRef(repo, paths[variant].parent.name) for variant, repo in repos.items()}
    return PinnedModels(refs.pop("base"), refs, down)


def is_there(repo: str, file: str, down: str) -> bool:
    """Whether the Hub has a repository, or while it is down, this machine's cache a file of it.

    Where the Hub answers it alone decides: the cache may hold what another Hub of this machine had.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repo, file), str) if down else HfApi().repo_exists(repo)


def read_adapter_config(repo: str, path: Path) -> dict[str, Any]:
    """The file of an adapter, which names its base. Raises UserError for one that is none."""
    try:
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))
        assert config["base_model_name_or_path"]
    except (ValueError, TypeError, KeyError, AssertionError):
        raise UserError(
            f"{repo}'s adapter_config.json names no base; save it again with PEFT, or set base_model_name_or_path in it"
        ) from None
    return config


def find(repo: str, file: str, revision: str | None, down: str) -> Path:
    """A file in the cache, whose folder is named by the full commit; it is brought there unless the Hub is down."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repo, file, revision=revision, local_files_only=bool(down)))
    except LocalEntryNotFoundError:
        if not down:
            raise
        raise UserError(f"{down}; and {repo} is not in the cache of this machine") from None


def hub_problem(repo: str) -> str:
    """Why the Hub cannot be asked at all, in one line; "" where it answers, be it that there is no such repository."""
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        HfApi().model_info(repo)
    except (httpx2.TransportError, OfflineModeIsEnabled) as error:
        return explain(error) or type(error).__name__
    except HfHubHTTPError as error:
        return (explain(error) or "") if error.response.status_code >= 500 else ""
    return ""


@contextmanager
def without_hub(down: str) -> Iterator[None]:
    """While models are loaded from the cache nobody asks the Hub, which would be waited for with every file."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = bool(down) or before
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
