"""Results as files: JSON for programs, arrays, meshes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nbf_core.types import BodyParams
from nbf_raster import vertex_normals
from nbf_run.results import FittedImage, FittedPerson, Posed
from nbf_run.stored import extra_arrays

_PARAMETERS = ("global_orient", "body_pose", "betas", "transl")


def person_record(person: FittedPerson) -> dict[str, Any]:
    """All small numbers of a person: what ``result.json`` and ``report.json`` hold."""
    before, after = person.keypoint_errors
    return {
        "box": person.box,
        "crop": person.square,
        "score": person.score,
        "keypoint_set": person.keypoint_set,
        "keypoints": person.keypoints,
        "track": person.track,
        "kept": person.kept,
        "loss": {"start": person.start_loss, "fit": person.loss},
        "keypoint_error_percent": {"start": before, "fit": after},
        "occluded_share": person.occluded,
        "errors_mm": {name: {"start": a, "fit": b} for name, (a, b) in person.errors.items()},
        "start": _posed(person.start),
        "fit": _posed(person.fitted),
    }


def image_record(image: FittedImage) -> dict[str, Any]:
    """A photo, its camera and its people."""
    return {
        "image": image.name,
        "status": "ok",
        "synthetic": image.synthetic,
        "frame": image.frame,
        "seconds": round(image.seconds, 3),
        "camera": {
            "focal": image.camera.focal,
            "center": image.camera.center,
            "size": image.camera.size,
            "convention": "pixels, pixel centres at +0.5; x right, y down, z forward",
        },
        "people": [person_record(person) for person in image.people],
    }


def write_person(
    folder: Path, number: int, image: FittedImage, person: FittedPerson, mesh: bool = True
) -> dict[str, str]:
    """Arrays (npz) and, unless without ``mesh``, the fitted body (GLB) of a person; the names of the files by kind."""
    stem = f"person-{number}"
    arrays = {f"{role}_{key}": value for role in ("start", "fit") for key, value in _arrays(person, role).items()}
    np.savez_compressed(
        folder / f"{stem}.npz",
        faces=image.faces,
        keypoints=person.keypoints,
        focal=image.camera.focal.numpy(),
        center=image.camera.center.numpy(),
        size=np.array(image.camera.size),
        crop=person.square,
        silhouette=person.silhouette.astype(np.float16),
        occlusion=person.occlusion,
        **arrays,
        **{f"trace_{name}": steps for name, steps in person.trace.items()},
        **extra_arrays(image, person),
    )
    if not mesh:
        return {"arrays": f"{stem}.npz"}
    write_glb(folder / f"{stem}.glb", person.fitted.vertices, image.faces)
    return {"arrays": f"{stem}.npz", "mesh": f"{stem}.glb"}


def write_glb(path: Path, vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]) -> None:
    """A mesh in camera coordinates as glTF.

    Y up and z towards the viewer, metres, at the pelvis' distance.
    """
    import trimesh

    vertices = vertices * np.array([1.0, -1.0, -1.0])
    # Normals are written too, so that viewers shade smoothly.
    mesh = trimesh.Trimesh(vertices, faces, vertex_normals=vertex_normals(vertices, faces), process=False)
    mesh.visual = trimesh.visual.TextureVisuals(
        material=trimesh.visual.material.PBRMaterial(
            baseColorFactor=(74, 140, 226, 255), metallicFactor=0.0, roughnessFactor=0.7
        )
    )
    path.write_bytes(mesh.export(file_type="glb", include_normals=True))


def _posed(posed: Posed) -> dict[str, Any]:
    return {**_parameters(posed.params), "joints": posed.joints, "keypoints": posed.keypoints}


def _parameters(params: BodyParams) -> dict[str, np.ndarray]:
    return {name: getattr(params, name).numpy() for name in _PARAMETERS}


def _arrays(person: FittedPerson, role: str) -> dict[str, np.ndarray]:
    posed = person.start if role == "start" else person.fitted
    return {
        **_parameters(posed.params),
        "vertices": posed.vertices.astype(np.float32),
        "joints": posed.joints,
        **({} if posed.h36m is None else {"h36m": posed.h36m}),
    }
