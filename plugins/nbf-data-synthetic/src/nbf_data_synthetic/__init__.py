"""Rendered people with exact labels, deterministic by seed. Imports nothing."""
