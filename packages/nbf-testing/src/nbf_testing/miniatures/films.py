"""Data sets of films: 3DPW, Human3.6M and MPI-INF-3DHP, each as it is distributed, with frames taken out of videos."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from nbf_testing.miniatures.people import Crowd, Person, draw

PW3D_SEQUENCES = {
    "train": {"courtyard_backpack_00": (1, 2), "courtyard_arguing_00": (2, 2)},
    "validation": {"outdoors_parcours_00": (1, 1)},
    "test": {"downtown_arguing_00": (2, 32), "flat_guitar_01": (1, 2)},
}
"""3DPW's miniature: people and frames of each sequence."""


def pw3d(folder: Path, crowd: Crowd) -> None:
    """3DPW: one frame's camera is unknown in the longest sequence, and its second person is unseen in another."""
    for split, sequences in PW3D_SEQUENCES.items():
        for name, (people, frames) in sequences.items():
            _pw3d_sequence(folder, split, name, (people, frames), crowd)


def _pw3d_sequence(folder: Path, split: str, name: str, count: tuple[int, int], crowd: Crowd) -> None:
    people, frames = count
    seen = [[crowd.person() for _ in range(people)] for _ in range(frames)]
    inner = seen[0][0].inner
    cameras = [crowd.camera() for _ in range(frames)]
    world = np.tile(np.eye(4), (frames, 1, 1))
    for frame, (rotation, shift) in enumerate(cameras):
        world[frame, :3, :3], world[frame, :3, 3] = rotation, shift
        draw(seen[frame], folder / "imageFiles" / name / f"image_{frame:05d}.jpg", frame)
    held = {"sequence": name, "cam_intrinsics": inner, "cam_poses": world, "img_frame_ids": 2 * np.arange(frames)}
    fields = ("betas", "poses", "trans", "jointPositions", "poses2d", "campose_valid", "genders", "v_template_clothed")
    held |= {field: [] for field in fields}
    for person in range(people):
        own = [seen[frame][person] for frame in range(frames)]
        there = [one.world(*camera) for one, camera in zip(own, cameras, strict=True)]
        points = np.stack([_certain(one.pixels("pw3d")).T for one in own])
        valid = np.ones(frames, np.uint8)
        if frames > 30:
            points[1], valid[2] = 0, 0
        held["betas"].append(own[0].betas)
        held["poses"].append(np.stack([pose.reshape(72) for _, pose, _ in there]))
        held["trans"].append(np.stack([transl for *_, transl in there]))
        held["jointPositions"].append(np.stack([joints.reshape(72) for joints, *_ in there]))
        held["poses2d"].append(points)
        held["campose_valid"].append(valid)
        held["genders"].append("mf"[person])
        held["v_template_clothed"].append(np.zeros((5, 3)))
    path = folder / "sequenceFiles" / split / f"{name}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(held, protocol=2))


H36M_CAMERAS = ("54138969", "60457274")
H36M_ACTIONS = {"S1": "Directions 1", "S9": "Directions"}
H36M_FRAMES = 11


def h36m(folder: Path, crowd: Crowd, fits: bool = True) -> None:
    """Human3.6M: CDF poses of 32 joints, extracted frames, the table of actions, and SMPL fits beside (``fits``)."""
    table = {}
    for subject, action in H36M_ACTIONS.items():
        people = [crowd.person() for _ in range(H36M_FRAMES)]
        for number, camera in enumerate(H36M_CAMERAS):
            # The people are those before the first camera; the others see them from elsewhere, further away.
            place = (np.eye(3), np.zeros(3)) if number == 0 else (_about_y(0.4), np.array([-1.1, 0.0, 0.3]))
            shots = [_seen(person, place) for person in people]
            _h36m_view(folder / subject, f"{action}.{camera}", f"{subject}_{action.replace(' ', '_')}.{camera}", shots)
        world = [person.world(_TO_FIRST, np.zeros(3)) for person in people]
        joints = np.stack([_joints_32(one, places) for one, (places, *_) in zip(people, world, strict=True)])
        _cdf(folder / subject / "MyPoseFeatures" / "D3_Positions" / f"{action}.cdf", joints * 1000)
        table[subject] = {
            str(frame): {"pose": pose.reshape(72).tolist(), "shape": person.betas.tolist(), "trans": transl.tolist()}
            for frame, (person, (_, pose, transl)) in enumerate(zip(people, world, strict=True))
        }
    _metadata(folder / "metadata.xml")
    if fits:
        for subject, frames in table.items():
            _json(folder / "fits" / f"Human36M_subject{subject[1:]}_smpl_param.json", {"2": {"1": frames}})


_TO_FIRST = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # Human3.6M's world has z up


def _h36m_view(folder: Path, name: str, sequence: str, shots: list[Person]) -> None:
    features = folder / "MyPoseFeatures"
    _cdf(
        features / "D3_Positions_mono" / f"{name}.cdf", np.stack([_joints_32(one, one.joints) for one in shots]) * 1000
    )
    flat = np.stack([_joints_32(one, one.joints) @ one.inner.T for one in shots])
    _cdf(features / "D2_Positions" / f"{name}.cdf", flat[..., :2] / flat[..., 2:])
    for frame, person in enumerate(shots, 1):
        person.draw(folder / "images" / sequence / f"{sequence}_{frame:06d}.jpg")


# The 32 joints of the files; those that repeat another, or that nobody uses, hold the pelvis.
_OF_32 = {
    0: "pelvis_extra", 1: "right_hip_extra", 2: "right_knee", 3: "right_ankle", 6: "left_hip_extra", 7: "left_knee",
    8: "left_ankle", 12: "spine_extra", 13: "neck_extra", 14: "head_extra", 15: "headtop", 17: "left_shoulder",
    18: "left_elbow", 19: "left_wrist", 25: "right_shoulder", 26: "right_elbow", 27: "right_wrist",
}  # fmt: skip


def _joints_32(person: Person, joints: np.ndarray) -> np.ndarray:
    """Their places [32, 3], where the person's joints are those given."""
    found = np.tile(joints[0], (32, 1))
    here = person.places(tuple(_OF_32.values()))
    # A rigid motion takes the person's own joints to those given.
    first, second = person.joints - person.joints.mean(0), joints - joints.mean(0)
    u, _, v = np.linalg.svd(first.T @ second)
    turn = (u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v).T
    found[list(_OF_32)] = (here - person.joints.mean(0)) @ turn.T + joints.mean(0)
    return found


def _cdf(path: Path, values: np.ndarray) -> None:
    from cdflib.cdfwrite import CDF

    path.parent.mkdir(parents=True, exist_ok=True)
    flat = values.reshape(1, len(values), -1).astype(np.float32)
    with CDF(path, cdf_spec={"Compressed": 0}, delete=True) as file:
        spec = {
            "Variable": "Pose", "Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True,
            "Dim_Sizes": list(flat.shape[1:]), "Compress": 6,
        }  # fmt: skip
        file.write_var(spec, var_data=flat)


def _metadata(path: Path) -> None:
    root = ElementTree.Element("metadata")
    mapping = ElementTree.SubElement(root, "mapping")
    rows = [["action", "subaction", *H36M_ACTIONS], ["1", "1", *("_ALL 1" for _ in H36M_ACTIONS)]]
    for row in [*rows, ["2", "1", *H36M_ACTIONS.values()]]:
        line = ElementTree.SubElement(mapping, "tr")
        for text in row:
            ElementTree.SubElement(line, "td").text = text
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(root).write(path)


def mpi_inf_3dhp(folder: Path, crowd: Crowd, fits: bool = True) -> None:
    """MPI-INF-3DHP: a training sequence, frames of two cameras, and a test sequence; SMPL fits beside (``fits``)."""
    from scipy.io import savemat

    sequence, frames, cameras = folder / "S1" / "Seq1", 12, 14
    people = [crowd.person() for _ in range(frames)]
    placed = [
        (np.eye(3), np.zeros(3)) if camera == 0 else (_about_y(0.03 * camera), np.zeros(3)) for camera in range(cameras)
    ]
    flat, deep = np.empty((cameras, 1), object), np.empty((cameras, 1), object)
    for camera, place in enumerate(placed):
        shots = [_seen(person, place) for person in people]
        flat[camera, 0] = np.stack([one.pixels("mpi_inf_3dhp").reshape(-1) for one in shots])
        deep[camera, 0] = 1000 * np.stack([one.places("mpi_inf_3dhp").reshape(-1) for one in shots])
        if camera in (0, 2):
            for frame, person in enumerate(shots, 1):
                person.draw(sequence / "imageFrames" / f"video_{camera}" / f"frame_{frame:06d}.jpg")
    cells = {"annot2": flat, "annot3": deep, "univ_annot3": deep, "frames": np.arange(frames)[:, None]}
    savemat(sequence / "annot.mat", cells | {"cameras": np.arange(cameras)[None]})
    _calibration(sequence / "camera.calibration", placed, people[0])
    world = {
        str(frame): {"pose": one.pose.reshape(72).tolist(), "shape": one.betas.tolist(), "trans": one.transl.tolist()}
        for frame, one in enumerate(people, 1)
    }
    if fits:
        _json(folder / "MPI-INF-3DHP_SMPL_NeuralAnnot.json", {"1": {"1": world}})
    _mpi_test(folder / "mpi_inf_3dhp_test_set" / "TS1", crowd)


def _calibration(path: Path, placed: list, person: Person) -> None:
    lines = ["Skeletool Camera Calibration File V1.0"]
    for camera, (rotation, shift) in enumerate(placed):
        outer, inner = np.eye(4), np.eye(4)
        outer[:3, :3], outer[:3, 3], inner[:3, :3] = rotation, 1000 * np.asarray(shift), person.inner
        texts = [" ".join(f"{value:.7g}" for value in matrix.ravel()) for matrix in (inner, outer)]
        lines += [f"name          {camera}", "  sensor      10 10", f"  size        {person.size[0]} {person.size[1]}"]
        lines += ["  animated    0", f"  intrinsic   {texts[0]} ", f"  extrinsic   {texts[1]} ", "  radial      0"]
    path.write_text("\n".join(lines) + "\n")


def _mpi_test(folder: Path, crowd: Crowd) -> None:
    import h5py

    people = [crowd.person() for _ in range(4)]
    for frame, person in enumerate(people, 1):
        person.draw(folder / "imageSequence" / f"img_{frame:06d}.jpg")
    with h5py.File(folder / "annot_data.mat", "w") as file:
        file["annot2"] = np.stack([one.pixels("mpi_inf_3dhp_test") for one in people])[:, None]
        file["annot3"] = 1000 * np.stack([one.places("mpi_inf_3dhp_test") for one in people])[:, None]
        file["univ_annot3"] = file["annot3"][...]
        file["valid_frame"] = np.array([[1.0], [1], [0], [1]])
        file["activity_annotation"] = np.ones((4, 1))


def _seen(person: Person, place: tuple[np.ndarray, np.ndarray]) -> Person:
    """The same person before another camera, to which ``place`` leads."""
    rotation, shift = place
    joints, pose, transl = person.world(rotation.T, -rotation.T @ shift)
    return Person(pose, person.betas, transl, joints, person.rest, person.inner, person.size)


def _about_y(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _certain(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points, np.full((len(points), 1), 0.9)], 1)


def _json(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
