"""The ``[swap]`` section of a pipeline. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nbf_core.config import Config


class SwapOptions(Config):
    """``[swap]``: every installed component of ``sections`` takes the place of the pipeline's own, one at a time.

    With ``stand_ins`` a body model whose files are missing is tried with files made from the pipeline's own body,
    where that body can be exported in its layout.
    """

    sections: tuple[Literal["renderer", "fitter", "body"], ...] = Field(("renderer", "fitter", "body"), min_length=1)
    stand_ins: bool = True
