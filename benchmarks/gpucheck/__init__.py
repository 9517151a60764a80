"""The parts of ``benchmarks/gpu_check.py``: what runs them, and one module a step."""
