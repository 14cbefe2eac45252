"""Cost before it is spent: what the stages of a recipe compute, ask and move, and how long devices take for it."""
