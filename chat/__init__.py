"""Chat models: prompt template, sampling, model variants (base, sft, dpo), generation, likelihoods."""
