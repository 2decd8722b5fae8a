"""Kernels for processors: fused layers, attention, packed weights."""
