"""Fine-tuning with TRL: SFT, DPO, reward model and online RL on LoRA adapters; merge and sweep."""
