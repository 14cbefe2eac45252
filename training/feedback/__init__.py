"""Preference data: prompts, sampled replies, their judgements, and the pairs that DPO reads."""
