"""A visitor's share of the queue: so many requests may wait for one address, and for one session, that others get in.

It stands in Gradio's own `push`, through which every way into the queue leads: the page, the endpoints and MCP.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from gradio.queueing import Queue
from starlette.exceptions import HTTPException

from space.session_owners import network_of

MAX_WAITING = 3  # requests of one address or session that wait at one time; those that are being answered are no part
SHARE_TAKEN = f"You have {MAX_WAITING} requests waiting already. Please wait for an answer, and ask again."


class QueueShare:
    """Counts who waits in a queue, and lets in who waits for fewer than `MAX_WAITING` answers."""

    def __init__(self, queue: Queue) -> None:
        self._queue, self._push = queue, queue.push
        self._joining = Counter[str]()  # let in, and not yet in the queue

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        """`Queue.push`. Raises HTTPException 429 where the address or the session has its share already."""
        names = names_of(request.client, body.session_hash)
        if any(self.waiting(name) >= MAX_WAITING for name in names):
            raise HTTPException(429, SHARE_TAKEN)
        self._joining.update(names)
        try:
            return await self._push(body, request, username)
        finally:
            self._joining.subtract(names)
            self._joining += Counter()  # forgets those at nought

    def waiting(self, name: str) -> int:
        """How many requests of an address or a session are waiting, or are about to."""
        queues = self._queue.event_queue_per_concurrency_id.values()
        events = (event for queue in queues for event in queue.queue)
        return sum(name in names_of(one.request.client, one.session_hash) for one in events) + self._joining[name]


def names_of(client: Any, session: str | None) -> set[str]:
    """Whose share a request is of: its address's, and its session's."""
    return {f"address {network_of(client)}"} | ({f"session {session}"} if session else set())


def share_queue(queue: Queue) -> None:
    """From now on nobody has more than his share of this queue."""
    queue.push = QueueShare(queue).push  # type: ignore[method-assign]
