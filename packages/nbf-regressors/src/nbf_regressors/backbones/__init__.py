"""Backbones: images to feature maps at strides 2, 4, 8, 16 and 32."""

from nbf_regressors.backbones.base import Backbone
from nbf_regressors.backbones.hrnet import hrnet_w32
from nbf_regressors.backbones.resnet import resnet50
from nbf_regressors.backbones.small import efficientnet_lite0, load_imagenet_lite0, plain

BACKBONES = {
    "plain": plain,
    "efficientnet-lite0": efficientnet_lite0,
    "resnet50": resnet50,
    "hrnet-w32": hrnet_w32,
}

__all__ = ["BACKBONES", "Backbone", "load_imagenet_lite0"]
