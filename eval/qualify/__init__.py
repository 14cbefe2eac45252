"""Qualification: a judge prefers the film's own reply to replies that are known to be worse, before it labels."""
