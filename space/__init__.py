"""The Gradio page: tabs, handlers, request guard, ballots, settings."""
