"""Training, from corpus to adapters, a folder for each part: `data`, `base`, `finetune`, `feedback`.

Every stage is a command, whatever folder it lies in: `python -m training.sft` runs `training/finetune/sft.py`.
"""

import chat  # noqa: F401 - before torch: how its threads wait

FOLDERS = ("data", "base", "finetune", "feedback")
__path__.extend([f"{__path__[0]}/{room}" for room in FOLDERS])
