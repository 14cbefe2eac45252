"""The Hugging Face Hub: names, publishing, lineage, cards, votes, deployment, and a Hub on this machine.

The commands of `hub/deploy` are found without naming it: `python -m hub.release`, `python -m hub.space`.
"""

__path__.extend([f"{__path__[0]}/deploy"])
