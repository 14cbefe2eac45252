"""The Gradio page: tabs, handlers, request guard, ballots, settings."""

import chat  # noqa: F401 - before torch: how its threads wait
