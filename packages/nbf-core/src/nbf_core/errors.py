"""The errors nbf raises on purpose: one clear line each, naming the file, key or tensor at fault."""

from __future__ import annotations


class NbfError(Exception):
    """Base of all errors that a user can cause and mend."""


class ConfigError(NbfError):
    """A pipeline or component configuration is wrong; the message names the file and the key."""


class PluginError(NbfError):
    """A component is unknown, broken, or what it needs is not installed."""


class InputError(NbfError):
    """One input (an image, an annotation) cannot be used; the message names it. Other inputs go on."""


class AssetError(NbfError):
    """A data or weights file is missing, cut short or does not fit; the message names it."""


class ShapeError(NbfError, ValueError):
    """A tensor has the wrong shape; the message names the tensor, what came and what was expected."""
