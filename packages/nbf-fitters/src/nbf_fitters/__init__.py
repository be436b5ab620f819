"""Fitters and priors. Public: ``staged``, ``likelihood``, ``terms``, ``priors``, ``starts``."""
