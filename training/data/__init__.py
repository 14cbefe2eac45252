"""Dialogue data: corpora to pairs, splits, token ids and packed rows."""
