"""Blind human choice among the voices: sheets for raters, what they chose, and how many of them it takes."""
