"""Qualification card as Markdown, for the console and for the card of a preference set."""

from __future__ import annotations

from eval.qualify.card import (
    BIAS_CONTROLS,
    MAX_POSITION_BIAS,
    MAX_UNSCORED,
    MIN_BIAS_CONTROL,
    MIN_SHUFFLED,
    QualificationCard,
)
from eval.qualify.measured import Measured

BIAS_TITLES = {
    "position": "the reply shown first wins",
    "length": "the longer reply wins",
    "echo": "the reply that repeats more of the prompt wins",
}


def qualification_table(card: QualificationCard) -> str:
    """The card as Markdown tables, with the verdict at its end."""
    floors = {"shuffled": MIN_SHUFFLED, **dict.fromkeys(BIAS_CONTROLS, MIN_BIAS_CONTROL)}
    lines = [f"Judge: {card.judge}, on {card.data}.", ""]
    lines += ["| the film's reply over | accuracy | floor | pairs | films |", "|---|---:|---:|---:|---:|"]
    for name, found in card.controls.items():
        floor = f"{floors[name]:.0%}" if name in floors else ""
        lines.append(f"| {name} | {found.describe()} | {floor} | {found.n:,} | {found.films:,} |")
    lines += ["", "| bias | share (one half is none) | allowed | n | films |", "|---|---:|---:|---:|---:|"]
    allowed = {"position": f"{0.5 - MAX_POSITION_BIAS:.0%} to {0.5 + MAX_POSITION_BIAS:.0%}"}
    lines += [_row(BIAS_TITLES[name], found, allowed.get(name, "")) for name, found in card.biases.items()]
    lines += [_row("unscored or refused (none is none)", card.unscored, f"{MAX_UNSCORED:.0%}"), ""]
    if card.echo:
        lines.append(
            f"Words that repeat the prompt (control `echoing` left out): {card.echo['chosen']:.1%} of the chosen "
            f"replies', {card.echo['rejected']:.1%} of the rejected ones'."
        )
    if card.self_preference:
        lines += ["", *_self_preference(card), ""]
    if card.people:
        people = "; ".join(f"{name} {value.describe('.3f')}, n {value.n:,}" for name, value in card.people.items())
        lines.append(f"Correlation with people's scores: {people}.")
    if card.cost:
        lines.append(f"Cost: {card.cost}.")
    return "\n".join([*lines, "", f"**{card.verdict}**"])


def _row(title: str, found: Measured, allowed: str) -> str:
    return f"| {title} | {found.describe()} | {allowed} | {found.n:,} | {found.films:,} |"


def _self_preference(card: QualificationCard) -> list[str]:
    lines = [f"| own reply preferred to | judge | {card.reference} | difference |", "|---|---:|---:|---:|"]
    for rival, found in card.self_preference.items():
        cells = " | ".join(part.describe() for part in (found.judge, found.reference))
        lines.append(f"| {rival} | {cells} | {found.difference.describe('+.1%')} |")
    return lines
