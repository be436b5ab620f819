"""Configurations of the built-in data sets. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nbf_core.config import Config
from nbf_core.config.pipeline import check
from nbf_core.errors import ConfigError, PluginError
from nbf_core.plugins import get_plugin_manager


class ImageFolderConfig(Config):
    """A folder of images, each taken as one crop of one person.

    ``path``: the folder. ``image_size``: pictures are scaled to this square, padded with black (px).
    ``focal``: focal length assumed, in image sizes. ``recursive``: look into sub-folders.
    """

    path: Path
    image_size: int = Field(default=128, ge=8)
    focal: float = Field(default=4.0, gt=0)
    recursive: bool = False


class Part(BaseModel):
    """One data set of a mixture: ``use`` names it, ``ratio`` is its share; the rest are its own options."""

    model_config = ConfigDict(extra="allow", frozen=True)
    use: str
    ratio: float = Field(gt=0)

    @property
    def options(self) -> dict[str, Any]:
        """What was written beside ``use`` and ``ratio``."""
        return dict(self.model_extra or {})


class MixedConfig(Config):
    """Several data sets in fixed proportions.

    ``parts``: tables by name, each with ``use``, ``ratio`` (they need not add up to one) and the options of that
    data set. ``shared``: options that every part is given unless it has its own. ``length``: samples an epoch.
    ``seed``: of the order in which each part is gone through. ``split`` and ``augment`` override the parts'
    own, in those that have such an option.
    """

    parts: dict[str, Part] = Field(min_length=1)
    shared: dict[str, Any] = {}
    length: int = Field(default=100_000, ge=1)
    seed: int = Field(default=0, ge=0)
    split: str | None = None
    augment: bool | None = None

    @model_validator(mode="after")
    def _check_parts(self) -> MixedConfig:
        for name in self.parts:
            self.config_of(name)
        return self

    def config_of(self, name: str) -> Config:
        """The configuration of a part. Raises ConfigError or PluginError naming the part and the key."""
        part = self.parts[name]
        try:
            model = get_plugin_manager().get("datasets", part.use).load_config()
        except PluginError as error:
            raise PluginError(f"parts.{name}.use: {error}") from error
        options = {**self.shared, **part.options}
        for key in ("split", "augment"):
            value = getattr(self, key)
            if value is not None and key in model.model_fields:
                options[key] = value
        try:
            return check(model, options, f"parts.{name}", "data")
        except ConfigError as error:  # the reader of the pipeline says which section and file
            raise ConfigError(str(error).removeprefix("data: ")) from error
