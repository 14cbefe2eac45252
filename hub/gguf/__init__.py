"""GGUF export for llama.cpp and Ollama: `python -m hub.gguf`."""
