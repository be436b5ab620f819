"""Data sets of single pictures: COCO, MPII, LSP, LSPET and 3DOH50K as they are distributed, and EFT's fits to some."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import roma
import torch

from nbf_testing.miniatures.people import Crowd, Person

COUNT = 4
"""People in each of them."""


def coco(folder: Path, crowd: Crowd) -> None:
    """COCO 2014: a crowd and someone with few keypoints beside the others. EFT has fits for two of them."""
    people = [crowd.person() for _ in range(COUNT)]
    images, annotations = [], []
    for number, person in enumerate(people):
        name = f"COCO_train2014_{number + 9:012d}.jpg"
        person.draw(folder / "train2014" / name)
        images.append({"id": number + 9, "file_name": name, "width": person.size[0], "height": person.size[1]})
        points = np.concatenate([person.pixels("coco"), np.full((17, 1), 2.0)], 1)
        points[number, 2] = 1  # annotated, though hidden
        if number == 3:
            points[5:] = 0
        annotations.append(
            {
                "id": 100 + number, "image_id": number + 9, "category_id": 1, "iscrowd": int(number == 2),
                "bbox": person.box().tolist(), "keypoints": points.ravel().tolist(),
                "num_keypoints": int((points[:, 2] > 0).sum()), "area": 900.0,
            }
        )  # fmt: skip
    _json(folder / "annotations" / "person_keypoints_train2014.json", {"images": images, "annotations": annotations})
    names = [image["file_name"] for image in images]
    _eft(folder / "eft_fit" / "COCO2014-All-ver01.json", people[:2], names, lambda number: 100 + number)


def mpii(folder: Path, crowd: Crowd) -> None:
    """MPII: the MATLAB file of the release, one image of it for testing; the JSON release; EFT's fits."""
    from scipy.io import savemat

    people = [crowd.person() for _ in range(COUNT)]
    names = [f"{number + 15601864:09d}.jpg" for number in range(COUNT)]
    annolist = np.empty((1, COUNT), dtype=[("image", object), ("annorect", object)])
    released = []
    for number, (person, name) in enumerate(zip(people, names, strict=True)):
        person.draw(folder / "images" / name)
        points, box = person.pixels("mpii"), person.box()
        scale, center = box[3] / 200 / 1.25, box[:2] + box[2:] / 2
        annolist[0, number] = ({"name": name}, _rect(points, scale, center, number))
        released.append(
            {
                "image": name, "scale": scale, "center": center.tolist(), "joints": points.tolist(),
                "joints_vis": [1] * 16,
            }
        )  # fmt: skip
    release = {"annolist": annolist, "img_train": np.array([[1, 1, 1, 0]]), "version": "12"}
    savemat(folder / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": release})
    _json(folder / "annot" / "train.json", released)
    _eft(folder / "eft_fit" / "MPII_ver01.json", people[:3], names)


def _rect(points: np.ndarray, scale: float, center: np.ndarray, number: int) -> np.ndarray:
    """The people of one image as MATLAB keeps them; in the second image there is one without joints, too."""
    joints = np.empty((1, 16), dtype=[("x", object), ("y", object), ("id", object), ("is_visible", object)])
    for row, (x, y) in enumerate(points):
        joints[0, row] = (x, y, float(row), np.zeros((0, 0)) if row in (8, 9) else row % 2)
    fields = [("x1", object), ("annopoints", object), ("scale", object), ("objpos", object)]
    found = np.empty((1, 1 + (number == 1)), dtype=fields)
    found[0, 0] = (1.0, {"point": joints}, scale, {"x": center[0], "y": center[1] - 15 * scale})
    if number == 1:
        found[0, 1] = (1.0, np.zeros((0, 0)), scale, {"x": 3.0, "y": 4.0})
    return found


def lsp(folder: Path, crowd: Crowd) -> None:
    """LSP: [3, 14, n], the third number 1 for hidden joints."""
    from scipy.io import savemat

    people = [crowd.person() for _ in range(COUNT)]
    joints = np.stack([np.concatenate([one.pixels("lsp"), np.zeros((14, 1))], 1).T for one in people], -1)
    joints[2, 3] = 1
    for number, person in enumerate(people, 1):
        person.draw(folder / "images" / f"im{number:04d}.jpg")
    savemat(folder / "joints.mat", {"joints": joints})


def lspet(folder: Path, crowd: Crowd) -> None:
    """LSPET in high resolution: [14, 3, n], the third number 1 for annotated joints; the last person has few. EFT."""
    from scipy.io import savemat

    people = [crowd.person() for _ in range(COUNT)]
    joints = np.stack([np.concatenate([one.pixels("lsp"), np.ones((14, 1))], 1) for one in people], -1)
    joints[5, :, 0] = [-20.0, -30.0, 0.0]
    joints[4:, 2, 3] = 0
    for number, person in enumerate(people, 1):
        person.draw(folder / f"im{number:05d}.png")
    savemat(folder / "joints.mat", {"joints": joints})
    _eft(folder / "eft_fit" / "LSPet_ver01.json", people[:3], [f"im{number:05d}.png" for number in range(1, COUNT + 1)])


def oh50k(folder: Path, crowd: Crowd) -> None:
    """3DOH50K: in the last sample of the test set the 3D joints belong to another picture."""
    for split in ("trainset", "testset"):
        people, table = [crowd.person() for _ in range(COUNT)], {}
        for number, person in enumerate(people):
            person.draw(folder / split / "images" / f"{number:05d}.jpg")
            table[f"{number:05d}"] = _oh50k_person(person, number, crowd)
        if split == "testset":
            table["00003"]["smpl_joints_2d"] = (people[3].pixels("smpl") + 40).tolist()
        _json(folder / split / "annots.json", table)


def _oh50k_person(person: Person, number: int, crowd: Crowd) -> dict:
    rotation, shift = crowd.camera()
    joints, pose, transl = person.world(rotation, shift)
    outer, box = np.eye(4), person.box()
    outer[:3, :3], outer[:3, 3] = rotation, shift
    return {
        "img_path": f"/images/{number:05d}.jpg" if number % 2 else f"\\images\\{number:05d}.jpg",
        "mask_path": f"/masks/{number:05d}.jpg",
        "bbox": [box[:2].tolist(), (box[:2] + box[2:]).tolist()],
        "betas": [person.betas.tolist()],
        "pose": [pose.ravel().tolist()],
        "trans": [transl.tolist()],
        "scale": [1.0],
        "smpl_joints_2d": person.pixels("smpl").tolist(),
        "smpl_joints_3d": joints.tolist(),
        "lsp_joints_2d": person.pixels("lsp").tolist(),
        "lsp_joints_3d": person.places("lsp").tolist(),
        "intri": person.inner.tolist(),
        "extri": outer.tolist(),
    }


def _eft(path: Path, people: list[Person], names: list[str], number: Callable[[int], int] = lambda _: 0) -> None:
    data = []
    for row, person in enumerate(people):
        rotations = roma.rotvec_to_rotmat(torch.from_numpy(person.pose)).tolist()
        box = person.box()
        points = np.concatenate([person.pixels("smpl_49"), np.ones((49, 1))], 1)
        data.append(
            {
                "parm_pose": rotations, "parm_shape": person.betas.tolist(), "parm_cam": [0.9, 0.0, 0.0],
                "bbox_scale": float(max(box[2:]) * 1.2 / 200), "bbox_center": (box[:2] + box[2:] / 2).tolist(),
                "gt_keypoint_2d": points.tolist(), "joint_validity_openpose18": [True] * 18, "smpltype": "smpl",
                "annotId": number(row), "imageName": names[row],
            }
        )  # fmt: skip
        if row == 1 and number(row):
            del data[-1]["gt_keypoint_2d"]
    _json(path, {"ver": 0.1, "data": data, "meta": {}})


def _json(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
