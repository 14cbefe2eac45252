"""The Hugging Face Hub: names, publishing, lineage, cards, votes, deployment, and a Hub on this machine.

The commands of `hub/deploy` are found without naming it: `python -m hub.release`, `python -m hub.space`.
"""

import os

if "HF_ENDPOINT" in os.environ:  # pasted, it may end in a line break; huggingface_hub reads it when it is imported
    os.environ["HF_ENDPOINT"] = os.environ["HF_ENDPOINT"].strip()
__path__.extend([f"{__path__[0]}/deploy"])
