"""Regressors: an image to a first estimate and a feature map."""
