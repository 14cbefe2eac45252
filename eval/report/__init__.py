"""The report of an evaluation: everything that is published of it and everything people said, on one page."""
