"""Blind votes of the page: the typed row, the ballot that it is given on, and the log that brings it to the Hub.

`hub.votes.votes(repo, revision)` reads the published dataset; `hub.votes.log.VoteLog` writes it.
"""

from hub.votes.vote import Vote, votes

__all__ = ["Vote", "votes"]
