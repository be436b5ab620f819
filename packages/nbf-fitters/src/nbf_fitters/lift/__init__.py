"""A learned guess of the body from keypoints and matched pixels: a better start than a regressor's."""
