"""Backbones: images to feature maps, each half as large as the one before; ``finest`` is the first one's stride."""

from nbf_regressors.backbones.base import Backbone
from nbf_regressors.backbones.blazepose import BlazePose, load_blazepose
from nbf_regressors.backbones.hrnet import hrnet_w32
from nbf_regressors.backbones.resnet import resnet50
from nbf_regressors.backbones.small import efficientnet_lite0, load_imagenet_lite0, plain

BACKBONES = {
    "plain": plain,
    "efficientnet-lite0": efficientnet_lite0,
    "resnet50": resnet50,
    "hrnet-w32": hrnet_w32,
    "blazepose": BlazePose,
}

PRETRAINED = {"efficientnet-lite0": load_imagenet_lite0, "blazepose": load_blazepose}
"""What fills a backbone with free weights, for those that have some."""

__all__ = ["BACKBONES", "PRETRAINED", "Backbone"]
