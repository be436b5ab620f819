"""Keeping the start, or parts of it, where the evidence does not support a fit."""
