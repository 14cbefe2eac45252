"""`python -m tests.support.client_suites [huggingface_hub] [datasets] [@huggingface/hub] [-k WORDS]`: their own tests.

Each client's sdist is fetched from the package index, at the version that is installed, or its npm package, and its
tests run against a local Hub. What fails is held to `UNSUPPORTED` of the table of client calls: any other failure is
printed and is an error. Fixtures that an sdist leaves out are ours (`hub_conftest.py`, `datasets_conftest.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from hub.local import client_environment, running
from tests.support.client_suites import javascript
from tests.support.client_suites.known import reason

HERE = Path(__file__).parent
WORK = Path(".repartee/client_suites")
USERS = {
    "hf_HubCITokenXXXXXXXXXXXXXXXXXXXXX": "__DUMMY_HUB_USER__",
    "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": "DVUser",
    "hf_enterprise_admin_token": "EnterpriseAdmin",
    javascript.TOKEN: javascript.USER,
}
"""Tokens that the clients' tests hold, which open nothing but the local Hub of this run."""
_OF_HUB = (
    "hf_api repocard commit_api commit_scheduler copy_files file_download hf_file_system hub_mixin lfs "
    "snapshot_download tree_cache upload_pipeline verification cache_layout cache_no_symlinks"
)
SUITES = {"huggingface_hub": _OF_HUB.split(), "datasets": ["upstream_hub", "hub"], javascript.NAME: []}
"""The files of each, `test_NAME.py`, that talk to a Hub; of the npm package all files are run."""
HELPERS = ("pytest-mock", "jedi", "parso")
FIXTURES = {
    "huggingface_hub": {"conftest.py": "hub_conftest.py"},
    "datasets": {"conftest.py": "datasets_conftest.py", "utils.py": "datasets_utils.py"},
}
HUB_OF_DATASETS = """import os
CI_HUB_ENDPOINT, CI_HUB_USER = os.environ["HF_ENDPOINT"], "__DUMMY_HUB_USER__"
CI_HUB_USER_TOKEN = "hf_HubCITokenXXXXXXXXXXXXXXXXXXXXX"
"""


def fetch(name: str) -> Path:
    """The folder of a client's sdist with its tests, ready to be run; fetched once."""
    folder = WORK / f"{name}-{version(name)}"
    if not folder.exists():
        options = ["-q", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", str(WORK)]
        command = [sys.executable, "-m", "pip", "download", *options, f"{name}=={version(name)}"]
        subprocess.run(command, check=True)
        with tarfile.open(WORK / f"{name}-{version(name)}.tar.gz") as archive:
            archive.extractall(WORK, filter="data")
        shutil.rmtree(folder / "src")  # the installed client is tried, and no other
    for target, source in FIXTURES[name].items():
        shutil.copy(HERE / source, folder / "tests" / target)
    (folder / "tests" / "__init__.py").touch()
    if name == "datasets":
        (folder / "tests" / "fixtures").mkdir(exist_ok=True)
        (folder / "tests" / "fixtures" / "hub.py").write_text(HUB_OF_DATASETS)
    return folder


def helpers() -> str:
    """A folder with the packages that only the clients' tests use."""
    folder = WORK / "helpers"
    if not folder.exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), *HELPERS]
        subprocess.run(command, check=True)
    return str(folder.resolve())


def run(name: str, words: str | None) -> bool:
    """Runs a client's tests and prints what came of them; whether nothing failed that is supported."""
    report = (WORK / f"{name.replace('/', '-')}.xml").resolve()
    report.unlink(missing_ok=True)
    folder = javascript.fetch(WORK) if name == javascript.NAME else fetch(name)
    with tempfile.TemporaryDirectory() as data:
        tokens = {token: {"user": user, "role": "write"} for token, user in USERS.items()}
        (Path(data) / "tokens.json").write_text(json.dumps(tokens))
        with running(Path(data)) as url:
            if name == javascript.NAME:
                javascript.run(folder, url, report, words)
            else:
                run_pytest(name, folder, client_environment(url, Path(data)), Path(data), report, words)
    return show(name, list(outcomes(report)))


def run_pytest(name: str, folder: Path, settings: dict[str, str], data: Path, report: Path, words: str | None) -> None:
    """Runs the tests of a Python client, in the folder of its sdist; writes a report as JUnit has it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    environment = kept | settings | {"HF_HOME": f"{data}/home", "PYTHONPATH": helpers()}
    del environment["HF_TOKEN"]
    files = [f"tests/test_{file}.py" for file in SUITES[name]]
    quiet = ["-q", "-p", "no:cacheprovider", "--no-header", "--continue-on-collection-errors"]
    quiet += ["--timeout=900", "-c", os.devnull, *(["-k", words] if words else [])]
    command = [sys.executable, "-m", "pytest", *quiet, f"--rootdir={folder.resolve()}", f"--junitxml={report}"]
    subprocess.run([*command, *files], cwd=folder, env=environment, check=False)


def outcomes(report: Path) -> Iterator[tuple[str, str, str]]:
    """Test, outcome (passed, skipped, failed) and message, of a report as JUnit has it."""
    for case in ElementTree.parse(report).iter("testcase"):
        test = f"{case.get('classname', '').split('.', 1)[-1]}::{case.get('name')}"
        found = [(kind, part) for kind in ("failure", "error", "skipped") if (part := case.find(kind)) is not None]
        if not found:
            yield test, "passed", ""
        for kind, part in found[:1]:
            yield test, "skipped" if kind == "skipped" else "failed", f"{part.get('message')}\n{part.text}"


def show(name: str, found: list[tuple[str, str, str]]) -> bool:
    """Prints counts, failures by what is not supported, and those that are not; whether there is none of these."""
    counts, known, others = Counter(outcome for _, outcome, _ in found), Counter[str](), []
    for test, outcome, message in found:
        if outcome == "failed":
            because = reason(test, message)
            known[because or ""] += 1
            others += [] if because else [f"{test}: {message.strip().splitlines()[0][:200]}"]
    tried = f"{name} {javascript.VERSION if name == javascript.NAME else version(name)}"
    print(f"\n{tried}: " + ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items())))
    for because, count in sorted(known.items()):
        print(f"  {count:4} {because or 'NOT IN THE TABLE'}")
    print("\n".join(f"    {line}" for line in others))
    return bool(counts["passed"]) and not others


def main() -> None:
    """Runs the suites that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "suites", nargs="*", choices=[*SUITES, []], metavar="SUITE", help=f"default: {' '.join(SUITES)}"
    )
    parser.add_argument("-k", metavar="WORDS", help="of these tests, as pytest has it, or vitest a pattern")
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    done = [run(name, arguments.k) for name in arguments.suites or SUITES]
    sys.exit(not all(done))


if __name__ == "__main__":
    main()
