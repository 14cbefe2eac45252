"""Corpus readers: Cornell, ConvoKit and tables of conversations, all to the same columns."""
