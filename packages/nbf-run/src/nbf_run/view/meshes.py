"""Bodies as mesh files: glTF, animated where there are several poses, and OBJ."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from nbf_core.errors import ConfigError
from nbf_raster import vertex_normals
from nbf_run.report.files import write_glb
from nbf_run.results import FittedImage, FittedPerson
from nbf_run.stored import StoredRun
from nbf_run.view.layers import colour_of
from nbf_run.view.moving import RATE
from nbf_run.view.pictures import OnError, Step, each

KINDS = ("glb", "obj", "glb-film", "glb-fit")

_TO_GLTF = np.array([1.0, -1.0, -1.0], np.float32)
"""OpenCV's axes to glTF's: y up, z towards the viewer."""

_COURSE_RATE = 10.0


def write_meshes(
    results: StoredRun | Sequence[FittedImage],
    out: str | Path,
    kinds: Iterable[str] = ("glb",),
    rate: float | None = None,
    on_error: OnError | None = None,
    step: Step | None = None,
) -> list[Path]:
    """Write the fitted bodies of all results as meshes into ``out``; the files written. Metres, in the photo's camera.

    ``glb``, ``obj``: each person as ``FOLDER/person-N``; ``glb-film``: each person of a film as one animated
    ``track-N.glb``; ``glb-fit``: each person's way from the estimate to the fit as one animated
    ``FOLDER/person-N-fit.glb``, where the run kept it (``--trace``). All but OBJ have glTF's axes (y up, z towards the
    viewer); OBJ has them too. Raises ConfigError for another kind.
    """
    kinds, out, written = list(kinds), Path(out), []
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"no kind of mesh named {kind!r}; there are: {', '.join(KINDS)}")
    rate = rate or (results.rate if isinstance(results, StoredRun) else None) or RATE
    tracks: OrderedDict[int, list[tuple[int, np.ndarray]]] = OrderedDict()
    faces = None
    for position, (folder, image) in enumerate(each(results, on_error), start=1):
        faces = image.faces
        for number, person in enumerate(image.people, start=1):
            frame = position - 1 if image.frame is None else image.frame
            if "glb-film" in kinds and person.track is not None:
                tracks.setdefault(person.track, []).append((frame, person.fitted.vertices))
            written += _one(out / folder / f"person-{number}", image, person, kinds)
        if step is not None:
            step("results", position, len(results))
    for track, poses in tracks.items():
        written.append(out / f"track-{track + 1}.glb")
        first = poses[0][0]
        times = [(frame - first) / rate for frame, _ in poses]
        write_glb_sequence(written[-1], [v for _, v in poses], faces, times, 1 / rate)
    return written


def write_obj(path: Path, vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]) -> None:
    """A mesh as OBJ with normals, in glTF's axes, metres."""
    import trimesh

    mesh = trimesh.Trimesh(
        vertices * _TO_GLTF, faces, vertex_normals=vertex_normals(vertices, faces) * _TO_GLTF, process=False
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    text = mesh.export(file_type="obj", include_normals=True, include_color=False, header="nbf-run")
    path.write_text(text, encoding="utf-8")


def write_glb_sequence(
    path: Path,
    poses: Sequence[Float[np.ndarray, "V 3"]],
    faces: Int[np.ndarray, "F 3"],
    times: Sequence[float],
    last: float,
    colour: tuple[int, int, int] | None = None,
) -> None:
    """Several poses of one mesh as an animation: pose ``i`` is shown from ``times[i]`` seconds until the next one's.

    The last one is shown for ``last`` seconds. Every pose is a node of its own that the animation scales to nothing
    outside its time, which every reader of glTF understands; all share one list of triangles.
    """
    import trimesh

    # The colour of the bodies in pictures; glTF wants it linear, trimesh leaves that to us.
    red, green, blue = colour or (74, 140, 226)
    material = trimesh.visual.material.PBRMaterial(
        baseColorFactor=(red, green, blue, 255), metallicFactor=0.0, roughnessFactor=0.7
    )
    scene = trimesh.Scene()
    for number, vertices in enumerate(poses):
        mesh = trimesh.Trimesh(
            vertices * _TO_GLTF, faces, vertex_normals=vertex_normals(vertices, faces) * _TO_GLTF, process=False
        )
        mesh.visual = trimesh.visual.TextureVisuals(material=material)
        scene.add_geometry(mesh, node_name=f"pose-{number}", geom_name=f"pose-{number}")

    def animate(buffers: OrderedDict, tree: dict) -> None:
        _add_animation(buffers, tree, times, last)

    from trimesh.exchange.gltf import export_glb

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(export_glb(scene, include_normals=True, buffer_postprocessor=animate))


def _add_animation(buffers: OrderedDict, tree: dict, times: Sequence[float], last: float) -> None:
    """Add the channels that show pose ``i`` in its time, in place."""
    ends = [*times[1:], times[-1] + last]
    samplers, channels = [], []
    nodes = {node.get("name"): index for index, node in enumerate(tree["nodes"])}
    for number, (begin, end) in enumerate(zip(times, ends, strict=True)):
        keys = [(0.0, 1.0)] if begin <= 0 else [(0.0, 0.0), (begin, 1.0)]
        keys.append((end, 0.0 if number < len(times) - 1 else 1.0))
        when = np.array([time for time, _ in keys], np.float32)
        scale = np.array([[value] * 3 for _, value in keys], np.float32)
        inputs = _accessor(buffers, tree, f"time-{number}", when, "SCALAR")
        outputs = _accessor(buffers, tree, f"scale-{number}", scale, "VEC3")
        samplers.append({"input": inputs, "output": outputs, "interpolation": "STEP"})
        node = nodes[f"pose-{number}"]
        channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": "scale"}})
        # Readers that play no animations show one pose, not all at once.
        tree["nodes"][node].pop("matrix", None)
        tree["nodes"][node]["scale"] = [1.0 if number == 0 else 0.0] * 3
    tree["animations"] = [{"name": "film", "samplers": samplers, "channels": channels}]


def _accessor(buffers: OrderedDict, tree: dict, name: str, values: np.ndarray, kind: str) -> int:
    buffers[name] = values.astype("<f4").tobytes()
    tree["accessors"][name] = {
        "bufferView": len(buffers) - 1,
        "componentType": 5126,
        "count": len(values),
        "type": kind,
        "min": np.atleast_1d(values.min(0)).tolist(),
        "max": np.atleast_1d(values.max(0)).tolist(),
    }
    return len(tree["accessors"]) - 1


def _one(stem: Path, image: FittedImage, person: FittedPerson, kinds: Sequence[str]) -> list[Path]:
    """The files of one person in one picture."""
    written = []
    if "glb" in kinds:
        written.append(stem.with_name(f"{stem.name}.glb"))
        written[-1].parent.mkdir(parents=True, exist_ok=True)
        write_glb(written[-1], person.fitted.vertices, image.faces)
    if "obj" in kinds:
        written.append(stem.with_name(f"{stem.name}.obj"))
        write_obj(written[-1], person.fitted.vertices, image.faces)
    if "glb-fit" in kinds and person.history:
        poses = [person.start.vertices, *(v for _, v in sorted(person.history.items())), person.fitted.vertices]
        written.append(stem.with_name(f"{stem.name}-fit.glb"))
        times = [number / _COURSE_RATE for number in range(len(poses))]
        write_glb_sequence(written[-1], poses, image.faces, times, 1.0, colour_of(person))
    return written
