"""From corpus to adapters, a room for each part of the story: `data`, `base`, `finetune`, `feedback`.

Every stage is a command, whatever room it lies in: `python -m training.sft` runs `training/finetune/sft.py`.
"""

ROOMS = ("data", "base", "finetune", "feedback")
__path__.extend([f"{__path__[0]}/{room}" for room in ROOMS])
