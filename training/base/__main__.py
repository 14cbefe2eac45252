"""`python -m training.base --recipe FILE`: publishes a recipe's base model."""

from training.base import publish
from training.stage import command

if __name__ == "__main__":
    command(publish.STAGE.run, publish.__doc__, publish.STAGE.preview)
