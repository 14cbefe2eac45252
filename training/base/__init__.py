"""Base model: the recipe's own, pinned and published, or the starter, pretrained here."""
