"""Blind human choice among the variants: sheets for raters, what they chose, and how many of them it takes."""
