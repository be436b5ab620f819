"""Renderer ``discs`` for nbf. Imports no torch."""
