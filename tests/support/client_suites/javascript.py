"""The tests of @huggingface/hub, which its npm package holds as `src/lib/*.spec.ts`; vitest runs them.

They name their Hub in one file, which is written anew here; what they ask of another fails (`javascript_guard.mjs`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.support.conformance.javascript import HUB_JS

NAME, VERSION = HUB_JS.rsplit("@", 1)
TOKEN, USER = "hf_hub.js", "hub.js"
VITEST = "vitest@3.2.7"  # the last line of versions that runs on Node 20
GUARD = Path(__file__).with_name("javascript_guard.mjs")


def fetch(work: Path) -> Path:
    """The folder of the client's npm package with its tests and vitest, ready to be run; fetched once."""
    if not shutil.which("npm") or not shutil.which("node"):
        raise SystemExit(f"{NAME} needs npm and node: apt-get install npm")
    folder = work / f"huggingface-hub-js-{VERSION}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=work) as draft:
            subprocess.run(["npm", "pack", "--silent", "--pack-destination", draft, HUB_JS], check=True)
            (packed,) = Path(draft).glob("*.tgz")
            with tarfile.open(packed) as archive:
                archive.extractall(draft, filter="data")
            options = ["--silent", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(["npm", "install", *options, VITEST], cwd=f"{draft}/package", check=True)
            Path(draft, "package").rename(folder)
    shutil.copy(GUARD, folder)
    return folder


def run(folder: Path, url: str, report: Path, words: str | None) -> None:
    """Runs the tests, or those whose names match `words`, against the local Hub at `url`; writes a JUnit report.

    One after the other, for they count what is there.
    """
    constants = {"HUB_URL": url, "USER": USER, "ACCESS_TOKEN": TOKEN, "COOKIE": "none"}
    lines = [f"export const TEST_{name} = {json.dumps(value)};\n" for name, value in constants.items()]
    (folder / "src" / "test" / "consts.ts").write_text("".join(lines))
    options = ["--root=.", "--dir=src/lib", "--no-file-parallelism", "--test-timeout=60000", "--reporter=junit"]
    options += [f"--outputFile={report}", *(["-t", words] if words else [])]
    config = folder / "vitest.config.mjs"
    config.write_text(f'export default {{ test: {{ setupFiles: ["./{GUARD.name}"] }} }};\n')
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    command = ["node", "node_modules/vitest/vitest.mjs", "run", *options]
    subprocess.run(command, cwd=folder, env=environment | {"HF_ENDPOINT": url}, check=False)
