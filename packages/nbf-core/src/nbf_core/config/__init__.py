"""Configuration: pydantic models, TOML pipelines, ``--set`` overrides. Imports no torch."""

from nbf_core.config.base import Config
from nbf_core.config.overrides import apply_overrides, parse_override
from nbf_core.config.pipeline import Pipeline, load_pipeline

__all__ = ["Config", "Pipeline", "apply_overrides", "load_pipeline", "parse_override"]
