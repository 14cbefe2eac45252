"""What a visitor does on the page without a server. Its policy forbids to evaluate code in it: selectors alone."""

from __future__ import annotations


def until(page, state: str, rest: str = "") -> None:
    """Waits for a state of the page, and an element."""
    page.locator(f"body[data-state={state}] {rest}".strip()).first.wait_for(state="attached", timeout=60_000)


def ask(page, line: str) -> None:
    """Says a line, and waits for all three replies."""
    answered = int(page.locator("body").get_attribute("data-answered") or 0)
    page.fill("#line", line)
    page.press("#line", "Enter")
    page.locator(f'body[data-answered="{answered + 1}"]').wait_for(state="attached", timeout=60_000)
