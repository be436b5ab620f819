"""Configuration of HumanData sets. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from nbf_core.config import Config

Label = Literal["params", "keypoints", "joints"]


class HumanDataConfig(Config):
    """People of a HumanData file (npz), a square crop each.

    ``path``: the file. ``images``: the folder its image paths start from; found by itself in the published tree.
    ``image_size``, ``map_size``: pixels along the crop, cells along maps of it. ``room``: side of the crop in longer
    sides of the box. ``focal``: focal length of the camera that samples are taken to be seen by, in pixels of the
    crop, where the file has no cameras of its own. ``approximate``: a keypoint that is not annotated is taken from
    the same joint of another convention. ``detected``: the field of keypoints that a detector found.

    ``needs``: labels without which a sample is left out ("params", "keypoints", "joints"). ``skip``: leave out
    samples with something wrong too, as ``nbf-run data check`` lists them, and say how many; by default only
    where ``augment`` is on or ``split`` is "val", so that benchmarks keep the file's numbering.

    ``held_out``: this share of the images (of the folders, where they are many: films) is kept apart, to measure on
    while training; chosen by ``seed``. ``split``: "train" is the others, "val" those: nobody where ``held_out`` is 0.

    ``augment``: disturb each sample, anew in each epoch: ``flip``: how often it is mirrored. ``rotation``: turned by
    up to so many degrees (normal, standard deviation half of it), ``rotation_probability`` of the time. ``scale``:
    its box made larger or smaller by up to this share (normal, the same standard deviation). ``channel_noise``:
    each colour multiplied by 1 -+ up to this. ``background_textures``: texture where the crop reaches over the
    image's edge, otherwise black. ``occluder_patches``: a square of texture at a random position of the grid
    (``patch_size``, ``patch_stride`` on the reference grid of 224), ``patch_probability`` of the time. ``textures``:
    a folder of pictures for both, such as DTD; made up without it. ``seed``: of all this.
    """

    path: Path
    images: Path | None = None
    image_size: int = Field(default=224, ge=32)
    map_size: int = Field(default=56, ge=8)
    room: float = Field(default=1.0, ge=0.5, le=4)
    focal: float = Field(default=5000.0, gt=0)
    approximate: bool = True
    detected: str | None = None
    needs: tuple[Label, ...] = ()
    skip: bool | None = None
    held_out: float = Field(default=0.0, ge=0, lt=1)
    split: Literal["train", "val"] = "train"
    augment: bool = False
    seed: int = Field(default=0, ge=0)
    flip: float = Field(default=0.5, ge=0, le=1)
    rotation: float = Field(default=30.0, ge=0, le=180)
    rotation_probability: float = Field(default=0.6, ge=0, le=1)
    scale: float = Field(default=0.25, ge=0, lt=1)
    channel_noise: float = Field(default=0.4, ge=0, lt=1)
    background_textures: bool = False
    occluder_patches: bool = False
    patch_size: float = Field(default=40.0, gt=0, le=224)
    patch_stride: float = Field(default=20.0, ge=1, le=224)
    patch_probability: float = Field(default=0.5, ge=0, le=1)
    textures: Path | None = None
