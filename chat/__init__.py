"""Chat models: prompt template, sampling, model variants (base, sft, dpo), generation, likelihoods."""

from chat import openmp  # noqa: F401 - before torch, whatever started the process
