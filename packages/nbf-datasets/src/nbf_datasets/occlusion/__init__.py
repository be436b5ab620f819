"""Occlusion protocols: square patches over the people of a benchmark.

``places`` (where), ``textures`` (what they look like), ``paint`` (samples behind them), ``protocols`` (which of
them), ``lists`` (published occluder lists), ``visibility`` (kernels behind them).
"""
