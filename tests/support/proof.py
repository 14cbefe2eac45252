"""How often a simulation is repeated: in full under REPARTEE_PROOF=1 (`make proof`), less in `make test`."""

from __future__ import annotations

import os

PROOF = bool(os.environ.get("REPARTEE_PROOF"))


def repetitions(full: int, quick: int) -> int:
    """The full count in a proof, else the quick one."""
    return full if PROOF else quick
