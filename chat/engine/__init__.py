"""Serving engines: continuous batching and multi-LoRA on this machine, OpenAI-compatible servers, ZeroGPU."""
