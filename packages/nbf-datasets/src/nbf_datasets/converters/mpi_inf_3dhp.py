"""MPI-INF-3DHP (Mehta et al., 3DV 2017).

Training set: ``S1/Seq1/annot.mat``, ``S1/Seq1/camera.calibration`` and frames that were taken out of the videos,
``S1/Seq1/imageFrames/video_0/frame_000001.jpg``. Test set: ``mpi_inf_3dhp_test_set/TS1/annot_data.mat`` and
``.../imageSequence/img_000001.jpg``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nbf_core.conventions import convention
from nbf_core.errors import AssetError
from nbf_datasets.converters.boxes import around, inside, with_confidence
from nbf_datasets.converters.config import MpiInf3dhpOptions
from nbf_datasets.converters.neuralannot import Fits
from nbf_datasets.converters.poses import Body
from nbf_datasets.converters.rows import Rows, Step
from nbf_datasets.converters.source import entry, find_file, numbers, read_hdf, read_json, read_mat

LEAST = 6
"""Keypoints that must be inside the image."""


def convert(source: Path, options: MpiInf3dhpOptions, rows: Rows, step: Step) -> None:
    """Joints in the camera and keypoints of every ``every``-th frame; keypoints outside the image count as unknown."""
    (_train if options.split == "train" else _test)(source, options, rows, step)


def _train(source: Path, options: MpiInf3dhpOptions, rows: Rows, step: Step) -> None:
    joints = convention("mpi_inf_3dhp").joints
    rows.joints("keypoints2d", joints)
    rows.joints("keypoints3d", joints)
    files = sorted(source.glob("S[0-9]*/Seq[0-9]*/annot.mat"))
    if not files:
        raise AssetError(f"{source}: no S1/Seq1/annot.mat or others like it")
    fits = None if options.fits is None else read_json(find_file(source, options.fits))
    for done, path in enumerate(files, 1):
        with rows.part():
            _sequence(source, path, options, fits, rows)
        step("sequences", done, len(files))


def _sequence(source: Path, path: Path, options: MpiInf3dhpOptions, fits, rows: Rows) -> None:
    held = read_mat(path)
    folder = path.parent.relative_to(source).as_posix()
    cameras = _calibration(path.parent / "camera.calibration") if fits is not None else {}
    own = None
    if fits is not None:
        subject, sequence = (part.lstrip("Seq") for part in folder.split("/"))
        own = Fits.of(fits, (subject, sequence), find_file(source, options.fits))
    without: list[int] = []
    for camera in options.cameras:
        frames = rows.images.numbered(f"{folder}/imageFrames/video_{camera}")
        if not frames:
            without.append(camera)
            continue
        flat = {name: _cell(held, name, camera, path) for name in ("annot2", "annot3")}
        points, joints = flat["annot2"].reshape(-1, 28, 2), flat["annot3"].reshape(-1, 28, 3) / 1000
        if len(points) != len(joints):
            raise AssetError(f"{path}: annot3: {len(joints)} frames, annot2 has {len(points)}")
        wanted = [number for number in sorted(frames) if (number - 1) % (options.every or 10) == 0]
        rows.skip("frame without labels", sum(not 1 <= number <= len(points) for number in wanted))
        wanted = [number for number in wanted if 1 <= number <= len(points)]
        if not wanted:
            continue
        at = np.array(wanted) - 1
        body = None
        if own is not None:
            if camera not in cameras:
                raise AssetError(f"{path.parent / 'camera.calibration'}: name {camera}: this camera is missing")
            body = own.body(wanted, cameras[camera])
        size = rows.images.size(frames[wanted[0]])
        _add(rows, [frames[number] for number in wanted], points[at], joints[at], size, body)
    if len(without) == len(options.cameras):
        place = path.parent / "imageFrames" / f"video_{without[0] if without else 0}"
        raise AssetError(f"{place}: no frame_000001.jpg or others like it, nor of the other cameras")
    rows.skip("camera of a sequence without extracted frames", len(without))


def _test(source: Path, options: MpiInf3dhpOptions, rows: Rows, step: Step) -> None:
    joints = convention("mpi_inf_3dhp_test").joints
    rows.joints("keypoints2d", joints)
    rows.joints("keypoints3d", joints)
    files = sorted(
        [*source.glob("mpi_inf_3dhp_test_set/TS[0-9]*/annot_data.mat"), *source.glob("TS[0-9]*/annot_data.mat")]
    )
    if not files:
        raise AssetError(f"{source}: no mpi_inf_3dhp_test_set/TS1/annot_data.mat or others like it")
    for done, path in enumerate(files, 1):
        with rows.part():
            held = read_hdf(path, "annot2", "annot3", "valid_frame")
            points = numbers(held["annot2"], (-1, 1, 17, 2), path, "annot2")[:, 0]
            places = numbers(held["annot3"], (len(points), 1, 17, 3), path, "annot3")[:, 0] / 1000
            valid = numbers(np.ravel(held["valid_frame"]), (len(points),), path, "valid_frame") > 0
            at = np.flatnonzero(valid & (np.arange(len(points)) % (options.every or 1) == 0))
            folder = path.parent.relative_to(source).as_posix()
            images = [f"{folder}/imageSequence/img_{number + 1:06d}.jpg" for number in at]
            there = next((image for image in images if not rows.images.wrong(image)), None)
            if there is None:
                raise AssetError(f"{path.parent / 'imageSequence'}: no img_000001.jpg or others like it")
            _add(rows, images, points[at], places[at], rows.images.size(there), None)
        step("sequences", done, len(files))


def _add(rows: Rows, images: list[str], points, joints, size: tuple[int, int], body: Body | None) -> None:
    points = inside(with_confidence(points), size)
    keep = (points[..., 2] > 0).sum(1) >= LEAST
    rows.skip(f"fewer than {LEAST} keypoints inside the image", int((~keep).sum()))
    if body is not None:
        body = Body(body.pose[keep], body.betas[keep], None, body.known[keep])
    labels = {"keypoints2d": points[keep], "keypoints3d": with_confidence(joints[keep])}
    rows.add([image for image, kept in zip(images, keep, strict=True) if kept], around(points[keep]), labels, body)


def _cell(held: Mapping, name: str, camera: int, path: Path) -> np.ndarray:
    """An entry of a cell array with one a camera."""
    cells = np.asarray(entry(held, name, path)).reshape(-1)
    if camera >= len(cells):
        raise AssetError(f"{path}: {name}: {len(cells)} cameras, number {camera} is asked for")
    return numbers(cells[camera], (-1, 56 if name == "annot2" else 84), path, f"{name}[{camera}]")


def _calibration(path: Path) -> dict[int, np.ndarray]:
    """The rotation [3, 3] from the world into each camera."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError as error:
        raise AssetError(f"{path}: no such file") from error
    found, name = {}, None
    for line in lines:
        word, *rest = line.split() or [""]
        if word == "name" and rest and rest[0].isdigit():
            name = int(rest[0])
        if word == "extrinsic" and name is not None:
            if len(rest) != 16:
                raise AssetError(f"{path}: extrinsic of camera {name}: expected 16 numbers, got {len(rest)}")
            found[name] = numbers(rest, (16,), path, f"extrinsic of camera {name}").reshape(4, 4)[:3, :3]
    return found
