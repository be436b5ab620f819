"""Lists of occluders as published: what is written can be read, and what is wrong is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from nbf_core.contracts import Chosen, Occluder
from nbf_core.errors import AssetError, InputError
from nbf_core.types import Camera, Sample
from nbf_datasets.occlusion.config import AdversarialConfig, FileConfig
from nbf_datasets.occlusion.lists import read_occluders
from nbf_datasets.occlusion.protocols import Adversarial, FromFile

IMAGE = (320, 320)
PUBLISHED = {
    "occ_idx_argmax": [35, 0],
    "occ_idx": [[2, 3], [0, 0]],
    "occ_size": [80, 80],
    "occ_stride": [10, 10],
    "texture_file": ["/data/dtd/banded/banded_0002.jpg", "/data/dtd/dotted/dotted_0001.jpg"],
    "texture_crop_tl": [[5, 7], [0, 0]],
}


def put(folder, table, metric="mpjpe"):
    path = folder / f"result_occ_info_{metric}.json"
    path.write_text(json.dumps(table))
    return path


def test_a_published_list_puts_everybody_s_occluder_where_it_was(tmp_path):
    put(tmp_path, PUBLISHED)
    protocol = FromFile(FileConfig(folder=tmp_path, metrics=("mpjpe",)))
    (case,) = protocol.cases
    assert (case.name, case.size, case.choose) == ("mpjpe", 80, ("mpjpe",))
    (first,), (second,) = (protocol.occluders(case, IMAGE, index) for index in range(2))
    assert (first.y0, first.x0, first.y1, first.x1) == (28, 42, 142, 156)
    assert (second.y0, second.x0) == (0, 0)
    with pytest.raises(InputError, match="mpjpe.json: holds no occluder for sample 2"):
        protocol.occluders(case, IMAGE, 2)


def test_what_was_chosen_is_read_back(tmp_path):
    adversarial = Adversarial(AdversarialConfig(sizes=(40,)))
    (case,) = adversarial.cases
    places = adversarial.occluders(case, IMAGE, 0)
    chosen = {0: Chosen(places[17], 91.5), 2: Chosen(places[399], float("nan"))}
    path = adversarial.write(tmp_path / "40", case, "pa-mpjpe", chosen, {0: "a.jpg"})
    assert path.name == "result_occ_info_pa-mpjpe.json"
    table = json.loads(path.read_text())
    assert table["occ_idx_argmax"] == [17, 0, 399] and table["occ_idx"] == [[0, 17], [0, 0], [19, 19]]
    assert table["occ_size"] == [40, 0, 40] and table["name"] == ["a.jpg", None, None]
    assert table["value"] == [91.5, None, None]
    listed = FromFile(FileConfig(folder=tmp_path / "40", metrics=("pa-mpjpe",)))
    assert listed.occluders(listed.cases[0], IMAGE, 0) == (places[17],)
    assert listed.occluders(listed.cases[0], IMAGE, 2) == (places[399],)
    with pytest.raises(InputError, match="sample 1"):  # nothing was looked for
        listed.occluders(listed.cases[0], IMAGE, 1)
    assert list(path.parent.iterdir()) == [path]


def test_the_named_picture_is_cut_at_its_corner(tmp_path):
    put(tmp_path, PUBLISHED)
    ramp = np.zeros((200, 200, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.mgrid[:200, :200]
    (tmp_path / "textures" / "banded").mkdir(parents=True)
    Image.fromarray(ramp).save(tmp_path / "textures" / "banded" / "banded_0002.jpg", quality=100, subsampling=0)
    options = {"folder": tmp_path, "metrics": ("mpjpe",)}
    protocol = FromFile(FileConfig(**options, textures=tmp_path / "textures"))
    sample = Sample(
        image=torch.zeros(1, 3, *IMAGE, dtype=torch.uint8),
        camera=Camera.from_field(IMAGE, 300.0, 1),
        index=torch.tensor([0]),
    )
    drawn = protocol.apply(sample, protocol.occluders(protocol.cases[0], IMAGE, 0)).image[0]
    assert abs(int(drawn[0, 28, 42]) - 5) < 6 and abs(int(drawn[1, 28, 42]) - 7) < 6
    assert abs(int(drawn[0, 128, 142]) - 105) < 6
    with pytest.raises(AssetError, match="dotted_0001.jpg"):
        protocol.apply(sample, protocol.occluders(protocol.cases[0], IMAGE, 1))
    made_up = FromFile(FileConfig(**options))
    assert made_up.apply(sample, made_up.occluders(made_up.cases[0], IMAGE, 1)).image.any()


@pytest.mark.parametrize(
    ("change", "key", "problem"),
    [
        ({"occ_size": None}, "occ_size", "missing"),
        ({"occ_stride": [10]}, "occ_stride", "expected 2 entries"),
        ({"occ_stride": [10, 0]}, r"occ_stride\[1\]", "from 1"),
        ({"occ_stride": [1e-320, 10]}, r"occ_stride\[0\]", "from 1"),
        ({"occ_stride": [10, True]}, r"occ_stride\[1\]", "True"),
        ({"occ_size": [300, 80]}, r"occ_size\[0\]", "224"),
        ({"occ_size": ["80", 80]}, r"occ_size\[0\]", "'80'"),
        ({"occ_size": [float("nan"), 80]}, r"occ_size\[0\]", "nan"),
        ({"occ_idx": [[2], [0, 0]]}, r"occ_idx\[0\]", "row, column"),
        ({"occ_idx": [[16, 2], [0, 0]]}, r"occ_idx\[0\]", "below the 16 positions"),
        ({"occ_idx": [[-1, 2], [0, 0]]}, r"occ_idx\[0\]", "row, column"),
        ({"occ_idx": 4}, "occ_idx", "expected a list"),
        ({"texture_crop_tl": [[1, 2, 3], [0, 0]]}, r"texture_crop_tl\[0\]", "row, column"),
        ({"texture_file": [1, "b"]}, r"texture_file\[0\]", "text"),
    ],
)
def test_what_is_wrong_in_a_list_is_named(tmp_path, change, key, problem):
    table = {name: value for name, value in (PUBLISHED | change).items() if value is not None}
    path = put(tmp_path, table)
    with pytest.raises(AssetError, match=f"{path}: {key}: .*{problem}"):
        read_occluders(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_what_is_no_list_is_named(tmp_path, content):
    path = tmp_path / "result_occ_info_pckh.json"
    path.write_bytes(content)
    with pytest.raises(AssetError, match="result_occ_info_pckh.json: "):
        FromFile(FileConfig(folder=tmp_path, metrics=("pckh",)))


def test_a_list_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AssetError, match="result_occ_info_pckh.json: cannot be read"):
        FromFile(FileConfig(folder=tmp_path, metrics=("pckh",)))


def test_only_places_of_a_grid_can_be_written(tmp_path):
    adversarial = Adversarial()
    with pytest.raises(InputError, match="no grid"):
        adversarial.write(tmp_path, adversarial.cases[0], "mpjpe", {0: Chosen(Occluder(0, 0, 9, 9), 1.0)}, {})
    assert not list(tmp_path.iterdir())
