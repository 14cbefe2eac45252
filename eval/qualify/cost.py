"""Cost of a qualification, and of the labels that are planned after it: said and checked before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence

from eval.judge.comparison import Comparison, Judge
from eval.judge.pairwise import LLMJudge
from eval.judge.prices import Price
from eval.judge.protocol import prompt_tokens_bound
from hub.errors import UserError


def announce_cost(judge: Judge, items: Sequence[Comparison], labels: int) -> str | None:
    """Upper bound of what a qualification and the planned labels cost, printed; None for a judge that costs nothing.

    Args:
        judge: an LLM, or another.
        items: every comparison of the qualification.
        labels: pairs to be labelled afterwards, each in both orders.

    Raises:
        UserError: the qualification alone could pass the budget.
    """
    if not isinstance(judge, LLMJudge) or not items:
        return None
    requests = [judge.request(*item) for item in items]
    prompt_tokens = sum(map(prompt_tokens_bound, requests))
    answer_tokens = sum(request.max_tokens for request in requests)
    price, limit = judge.client.budget.price, judge.client.budget.limit
    part = 2 * labels / len(requests)
    own = bound(len(requests), prompt_tokens, answer_tokens, price)
    planned = bound(2 * labels, round(prompt_tokens * part), round(answer_tokens * part), price)
    text = f"at most {own} for the qualification, then {planned} for {labels:,} labels"
    print(f"[qualify] {judge.name}: {text}", flush=True)
    if price and limit is not None and price.of(prompt_tokens, answer_tokens) > limit:
        raise UserError(
            f"the qualification of {judge.name} could cost ${price.of(prompt_tokens, answer_tokens):.4f}, "
            f"more than the budget of ${limit:.2f}; raise judge.budget, or qualify on fewer pairs"
        )
    return text


def bound(calls: int, prompt_tokens: int, answer_tokens: int, price: Price | None) -> str:
    """Calls, tokens and US dollars, in words."""
    dollars = f"${price.of(prompt_tokens, answer_tokens):.4f}" if price else "price unknown"
    return f"{calls:,} calls, {prompt_tokens:,} + {answer_tokens:,} tokens, {dollars}"
