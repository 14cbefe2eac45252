"""Readers of tables: a row, or several, is a conversation."""
