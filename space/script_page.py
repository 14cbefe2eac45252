"""What is said on the page, as HTML: the conversation set like a film script, compared replies, and bars.

Whatever a visitor or a model has said is escaped here, and nowhere else becomes HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from space.conversation import VARIANT_LABELS, DraftReply, Exchange

TEMPLATE_SIGNS = {ord(sign): f"&#{ord(sign)};" for sign in "{}$`"}
"""gr.HTML's value passes through templates, in which these signs have a meaning."""


class Bar(NamedTuple):
    """One bar of a panel, in the panel's own unit."""

    label: str
    value: float
    low: float
    high: float
    text: str
    """The figure and its interval."""


def as_text(words: str) -> str:
    """Words as HTML that shows them as they are."""
    return escape(words).translate(TEMPLATE_SIGNS)


def turn(cue: str, words: str, kind: str, note: str = "", attributes: str = "", after: str = "") -> str:
    """One turn: the speaker's cue, what is said, and a quiet note; words in any script run their own way."""
    quiet = f'<p class="ended">{as_text(note)}</p>' if note else ""
    return (
        f'<article class="turn {kind}"{attributes}><p class="cue">{as_text(cue)}</p>'
        f'<p class="message-content" dir="auto">{as_text(words)}</p>{quiet}{after}</article>'
    )


def actions(of: str, *names: str) -> str:
    """Buttons under a turn; the browser does what they say, to the turn or by the buttons of the page."""
    buttons = (
        f'<button type="button" data-act="{name.lower()}" aria-label="{name}: {of}">{name}</button>' for name in names
    )
    return f'<p class="acts">{"".join(buttons)}</p>'


def past_turns(history: list[Exchange]) -> str:
    """The conversation before its latest line: every line with the reply that was shown."""
    return "".join(
        turn("You", exchange.line, "user", after=actions("your line", "Copy"))
        + (
            turn(VARIANT_LABELS[exchange.chosen], exchange.drafts[-1][exchange.chosen].text, "bot",
                 after=actions(f"{VARIANT_LABELS[exchange.chosen]}'s reply", "Copy"))
            if exchange.drafts and exchange.chosen
            else ""
        )
        for exchange in history[:-1]
    )  # fmt: skip


def latest_turn(history: list[Exchange]) -> str:
    """The latest line and all its replies; the browser shows that of the variant that is chosen there."""
    if not history:
        return ""
    exchange = history[-1]
    drafts = [
        turn(VARIANT_LABELS[variant], reply.text, f"bot draft{' current' if n == len(exchange.drafts) else ''}",
             reply.note, f' data-variant="{variant}"', steps(n, len(exchange.drafts))
             + actions(f"{VARIANT_LABELS[variant]}'s reply", "Again", "Copy"))
        for n, draft in enumerate(exchange.drafts, start=1)
        for variant, reply in draft.items()
    ]  # fmt: skip
    unanswered = [] if drafts else ["Again"]
    line = turn("You", exchange.line, "user", after=actions("your line", "Edit", "Copy", *unanswered))
    return line + "".join(drafts)


def steps(number: int, of: int) -> str:
    """Buttons to leaf through several drafts; nothing where there is one."""
    if of == 1:
        return ""
    earlier, later = (
        f'<button type="button" data-step="{step}"{end}><span aria-hidden="true">{sign}</span>'
        f'<span class="unseen">{name} draft</span></button>'
        for step, name, sign, end in (
            (-1, "Earlier", "&lsaquo;", " disabled" if number == 1 else ""),
            (1, "Later", "&rsaquo;", " disabled" if number == of else ""),
        )
    )
    return f'<p class="steps">{earlier} {number}/{of} {later}</p>'


def column_reply(cue: str, words: str, note: str, named: bool) -> str:
    """A reply of a comparison under its letter, and under its name when that is told."""
    return turn(cue, words, "bot revealed" if named else "bot", note)


def remark(words: str, quiet: bool = False) -> str:
    """Something that the page says itself."""
    kind = ' class="small"' if quiet else ""
    return f"<p{kind}>{as_text(words)}</p>"


def panel(title: str, bars: Sequence[Bar], note: str = "", top: float | None = None) -> str:
    """Bars with their intervals, from nought to the largest end of one (or to `top`), under a title."""
    most = top or max((bar.high for bar in bars), default=0) or 1
    rows = "".join(
        f'<li><span class="label">{as_text(bar.label)}</span><span class="track" aria-hidden="true">'
        f'<span class="bar" style="width:{percent(bar.value, most)}"></span><span class="whisker" style="left:'
        f'{percent(bar.low, most)};width:{percent(bar.high - bar.low, most)}"></span></span>'
        f'<span class="figure">{as_text(bar.text)}</span></li>'
        for bar in bars
    )
    below = f'<p class="small">{as_text(note)}</p>' if note else ""
    return f'<figure class="panel"><figcaption>{as_text(title)}</figcaption><ul>{rows}</ul>{below}</figure>'


def percent(part: float, whole: float) -> str:
    """A length in a track."""
    return f"{max(0.0, min(100.0, 100 * part / whole)):.1f}%"


def whole_draft(draft: Mapping[str, DraftReply]) -> bool:
    """Whether every reply of a draft has ended."""
    return bool(draft) and all(reply.note for reply in draft.values())
