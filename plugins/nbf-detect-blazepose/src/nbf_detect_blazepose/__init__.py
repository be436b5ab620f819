"""BlazePose as an nbf detector: people and their keypoints in a whole photo."""

__version__ = "0.1.0"
