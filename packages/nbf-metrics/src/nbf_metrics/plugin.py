"""What this package offers to nbf. Imports no torch."""

from __future__ import annotations

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1

_ENTRIES = (
    ("mpjpe", "distance:Mpjpe", "MpjpeConfig", "mean distance of the joints, mm"),
    ("pa-mpjpe", "distance:PaMpjpe", "PaMpjpeConfig", "MPJPE after the best rotation, scale and shift, mm"),
    ("pve", "distance:Pve", "PveConfig", "mean distance of the vertices, mm"),
    ("3dpck", "pck:Pck3d", "Pck3dConfig", "share of joints within 150 mm, %"),
    ("3dpck-auc", "pck:Auc3d", "Auc3dConfig", "mean 3DPCK over thresholds from 0 to 150 mm, %"),
    ("pa-3dpck", "pck:PaPck3d", "PaPck3dConfig", "3DPCK after the best rotation, scale and shift, %"),
    ("pa-3dpck-auc", "pck:PaAuc3d", "PaAuc3dConfig", "mean PA-3DPCK over thresholds from 0 to 150 mm, %"),
    ("acceleration", "film:Acceleration", "AccelerationConfig", "error of the joints' acceleration, mm/frame^2"),
    ("occlusion-iou", "occlusion:OcclusionIou", "OcclusionIouConfig", "hidden pixels found: overlap by union, %"),
    ("pckh", "pck:Pckh", "PckhConfig", "share of 2D joints within half the head segment, %"),
)


@hookimpl
def nbf_metrics():
    """One value a sample each; points in 3D come centred by the caller."""
    for name, target, config, summary in _ENTRIES:
        yield ComponentEntry(
            name=name, target=f"nbf_metrics.{target}", config=f"nbf_metrics.config:{config}", summary=summary
        )
