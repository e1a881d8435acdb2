"""Models in this process: PyTorch and vLLM."""
