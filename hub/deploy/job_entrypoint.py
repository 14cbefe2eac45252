# /// script
# requires-python = ">=3.11"
# dependencies = ["huggingface_hub==2.4.0"]
# ///
"""What HF Jobs runs: fetches the code at its commit and runs one module of it. `hub.jobs` sends it there.

REPARTEE_JOB holds JSON: `code` and `revision` (a dataset of the Hub), `module`, `arguments` and `recipe`, whose text is
written to the recipe.yaml that the arguments name.
"""

import json
import os
import runpy
import shutil
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Fetches the code, writes the recipe and runs the module of REPARTEE_JOB."""
    from huggingface_hub import snapshot_download

    job = json.loads(os.environ["REPARTEE_JOB"])
    folder = Path(tempfile.mkdtemp()) / "repartee"
    shutil.copytree(snapshot_download(job["code"], repo_type="dataset", revision=job["revision"]), folder)
    os.chdir(folder)
    Path("recipe.yaml").write_text(job["recipe"], "utf-8")
    sys.path.insert(0, str(folder))
    sys.argv = [job["module"], *job["arguments"]]
    runpy.run_module(job["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
