"""Results are looked at again: read as they were, drawn, written as meshes and videos; damage is one line."""

from __future__ import annotations

import json
import struct
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nbf_run
from nbf_core.errors import ConfigError, InputError
from nbf_run.cli.main import run
from nbf_run.report.side import Stage, side_view
from nbf_run.results import FittedImage
from nbf_run.stored import open_run, read_result
from nbf_run.tasks import fit_to
from nbf_run.view import scene
from nbf_run.view.canvas import Canvas
from nbf_run.view.layers import LAYERS, draw
from nbf_run.view.meshes import write_glb_sequence, write_meshes
from nbf_run.view.moving import film_stage, video_frames, write_video
from nbf_run.view.pictures import person_pictures, write_pictures

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def fitted(pipeline: Path, bright: np.ndarray) -> FittedImage:
    """A result with everything that a result can hold."""
    image = nbf_run.load(pipeline).fit(bright)[0]
    person = image.people[0]
    maps = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    history = {0: person.start.vertices + 0.5, 5: person.start.vertices + 0.25}
    parts = np.full((14, 14), -1, np.int16)
    parts[4:10, 5:9] = 3
    person = replace(
        person, object_score=maps, clutter_score=1 - maps, history=history, parts=parts, stages=(0, 3),
        confidence=np.linspace(0, 1, 24, dtype=np.float32), track=1,
    )  # fmt: skip
    return replace(image, people=(person,), vertex_parts=np.arange(8), frame=4)


@pytest.fixture
def stored(fitted: FittedImage, pipeline: Path, tmp_path: Path) -> Path:
    """Its folder, beside a report."""
    from nbf_run.options import FIT_NEEDS, read_pipeline
    from nbf_run.report.run import RunDirectory

    directory = RunDirectory(tmp_path / "run", read_pipeline(pipeline, needs=FIT_NEEDS))
    directory.add(replace(fitted, name="one.png"))
    directory.add(replace(fitted, name="two.png"))
    return tmp_path / "run"


def test_a_result_is_read_as_it_was(fitted: FittedImage, stored: Path):
    again = open_run(stored)[0]
    person, before = again.people[0], fitted.people[0]
    assert again.frame == 4 and person.track == 1 and person.stages == (0, 3)
    assert again.camera.size == fitted.camera.size
    assert np.allclose(again.camera.focal, fitted.camera.focal)
    for role in ("start", "fitted"):
        one, other = getattr(person, role), getattr(before, role)
        assert np.array_equal(one.vertices, other.vertices)
        assert np.allclose(one.keypoints, other.keypoints)
        assert np.array_equal(one.params.body_pose, other.params.body_pose)
    for name in ("object_score", "clutter_score", "silhouette", "confidence", "parts", "occlusion", "keypoints"):
        assert np.allclose(getattr(person, name), getattr(before, name), atol=1e-3), name
    assert {step: pytest.approx(v, abs=1e-3) for step, v in before.history.items()} == dict(person.history)
    assert np.array_equal(again.vertex_parts, fitted.vertex_parts)
    assert np.abs(again.image.astype(int) - fitted.image).mean() < 12  # JPEG
    assert person.keypoint_errors == pytest.approx(before.keypoint_errors, rel=1e-3)


def test_runs_are_opened_from_folder_or_file(stored: Path, tmp_path: Path):
    assert open_run(stored).names == ["one", "two"]
    assert len(open_run(stored / "one")) == 1
    assert len(open_run(stored / "two" / "result.json")) == 1
    assert len(open_run(tmp_path)) == 2  # a folder that holds runs


def test_only_the_last_run_of_a_folder_counts(pipeline: Path, photo: Path, tmp_path: Path, bright: np.ndarray):
    other = tmp_path / "other.png"
    Image.fromarray(bright).save(other)
    out = tmp_path / "run"
    fit_to(out, pipeline, [photo, other])
    assert open_run(out).names == ["photo-one", "other"]
    fit_to(out, pipeline, [other])
    assert open_run(out).names == ["other"]
    (out / "report.json").unlink()
    assert open_run(out).names == ["other"]


def test_runs_from_before_pictures_were_stored(stored: Path, bright: np.ndarray, tmp_path: Path):
    """Their picture is where it was; maps and parts are not known."""
    (stored / "one" / "input.jpg").unlink()
    original = tmp_path / "original.png"
    Image.fromarray(bright).save(original)
    file = stored / "one" / "result.json"
    record = json.loads(file.read_text())
    record["image"] = str(original)
    del record["frame"], record["people"][0]["track"]
    file.write_text(json.dumps(record))
    arrays = dict(np.load(stored / "one" / "person-1.npz"))
    new = ("parts", "vertex_parts", "object_score", "clutter_score", "confidence", "history_steps", "history_offsets")
    np.savez(stored / "one" / "person-1.npz", **{k: v for k, v in arrays.items() if k not in (*new, "stages")})
    image = read_result(file)
    assert np.array_equal(image.image, bright)
    assert set(LAYERS) - set(person_pictures(image, 0, side=64)) == {
        "parts", "body-parts", "object-score", "clutter-score", "score-difference"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda f: (f / "result.json").write_text("{"), "result.json: damaged: not JSON"),
        (lambda f: (f / "result.json").write_text("[]"), "result.json: damaged: a JSON object was expected"),
        (lambda f: (f / "result.json").write_text("{}"), "result.json: not a result of nbf-run fit"),
        (lambda f: (f / "person-1.npz").unlink(), "person-1.npz: missing"),
        (lambda f: (f / "person-1.npz").write_bytes(b"PK nonsense"), "person-1.npz: damaged or cut short"),
        (lambda f: (f / "person-1.npz").write_bytes((f / "person-1.npz").read_bytes()[:900]), "person-1.npz: damaged"),
        (lambda f: np.savez(f / "person-1.npz", faces=np.zeros((1, 3), int)), "result.json: damaged.*is missing"),
        (lambda f: (f / "input.jpg").write_bytes(b"\xff\xd8\xff nothing"), "input.jpg: "),
        (lambda f: (f / "input.jpg").unlink(), "result.json: the picture is gone"),
        (lambda f: Image.new("RGB", (200, 50)).save(f / "input.jpg"), "input.jpg has 200 x 50 pixels"),
    ],
)
def test_damage_is_one_line_and_the_others_go_on(stored: Path, harm, words: str, tmp_path: Path, capsys: Capture):
    harm(stored / "one")
    with pytest.raises(InputError, match=words):
        open_run(stored)[0]
    out = tmp_path / "pictures"
    assert run(["view", str(stored), "--pictures", str(out), "--layers", "fit"]) == 3
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and str(stored / "one") in lines[0]
    assert (out / "two" / "person-1-fit.jpg").is_file()


def test_folders_without_results(tmp_path: Path, capsys: Capture):
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "report.json").write_text('{"kind": "bench"}')
    (tmp_path / "empty").mkdir()
    for path, words in (("gone", "no such file or folder"), ("empty", "no results"), ("bench", "a benchmark")):
        assert run(["view", str(tmp_path / path), "--pictures", str(tmp_path / "out")]) == 1
        line = capsys.readouterr().err.strip()
        assert words in line and str(tmp_path / path) in line and "\n" not in line


def test_every_layer_shows_something(fitted: FittedImage):
    plain = draw(fitted, "photo", 0, side=96)
    for layer in LAYERS:
        picture = draw(fitted, layer, 0, side=96)
        assert picture.shape == (96, 96, 3) and picture.dtype == np.uint8, layer
        if layer != "photo":
            assert np.abs(picture.astype(int) - plain).mean() > 2, layer
        assert draw(fitted, layer, side=96) is not None, layer


def test_layers_that_are_not_there(fitted: FittedImage):
    with pytest.raises(ConfigError, match="no layer named 'depth'; there are: photo"):
        draw(fitted, "depth")
    with pytest.raises(InputError, match="has no person 1"):
        draw(fitted, "fit", 1)


def test_a_map_lies_where_its_square_is(fitted: FittedImage):
    square = np.array([20.0, 30.0, 60.0, 70.0])
    values = np.zeros((4, 4), np.float32)
    values[1, 2] = 1
    canvas = Canvas.of_photo(fitted, 120)
    assert canvas.size == (120, 90)
    placed = canvas.place(values, square, smooth=False)
    inside = np.isfinite(placed)
    assert inside[30:70, 20:60].all() and inside.sum() == 40 * 40
    assert np.nan_to_num(placed).sum() == 100 and (placed[40:50, 40:50] == 1).all()
    half = Canvas.of_photo(fitted, 60).place(values, square, smooth=False)
    assert np.nan_to_num(half).sum() == 25 and (half[20:25, 20:25] == 1).all()
    near = Canvas.of_square(fitted, square, 80).place(values, square, smooth=False)
    assert (near[20:40, 40:60] == 1).all() and np.nan_to_num(near).sum() == 400


def test_turned_views(fitted: FittedImage):
    vertices, faces = fitted.people[0].fitted.vertices, fitted.faces
    front, side, back = (side_view(vertices, faces, (70, 140, 230), 64, turn) for turn in (0, 90, 180))
    assert not np.array_equal(front, side) and not np.array_equal(front, back)
    stage = Stage.of(vertices)
    assert np.array_equal(side, side_view(vertices, faces, (70, 140, 230), 64, 90, stage))
    moved = side_view(vertices + [0, 0, 0.5], faces, (70, 140, 230), 64, 90, stage)
    blue = [(p[..., 2].astype(int) - p[..., 0] > 40).nonzero()[1].mean() for p in (side, moved)]
    assert blue[1] > blue[0] + 3  # what is farther from the camera is farther to the right


def test_pictures_of_everybody(stored: Path, tmp_path: Path):
    written = write_pictures(open_run(stored), tmp_path / "out", side=64)
    assert len(written) == len(set(written)) == 2 * (len(LAYERS) + 1 + sum(not x.stands for x in LAYERS.values()))
    assert all(path.is_file() for path in written)
    sheet = Image.open(tmp_path / "out" / "one" / "person-1-sheet.jpg")
    assert sheet.size[0] > 5 * 300


def test_results_need_not_be_stored(fitted: FittedImage, tmp_path: Path):
    written = write_pictures([fitted, fitted], tmp_path, ["fit"], side=64)
    assert {path.parent.name for path in written} == {"image-1", "image-1-2"}


def test_meshes(stored: Path, tmp_path: Path, fitted: FittedImage):
    import trimesh

    out = tmp_path / "out"
    written = write_meshes(open_run(stored), out, ["glb", "obj", "glb-film", "glb-fit"], rate=10)
    assert {str(path.relative_to(out)) for path in written} == {
        *(f"{f}/person-1{s}" for f in ("one", "two") for s in (".glb", ".obj", "-fit.glb")), "track-2.glb"
    }  # fmt: skip
    vertices = fitted.people[0].fitted.vertices * [1, -1, -1]
    for name in ("person-1.glb", "person-1.obj"):
        mesh = trimesh.load(out / "one" / name, force="mesh")
        assert np.allclose(mesh.bounds, [vertices.min(0), vertices.max(0)], atol=1e-4)
        assert mesh.volume > 0  # faces look outward
    with pytest.raises(ConfigError, match="no kind of mesh named 'stl'"):
        write_meshes(open_run(stored), out, ["stl"])


def gltf(path: Path) -> tuple[dict, bytes]:
    """The JSON and the binary of a GLB."""
    data = path.read_bytes()
    magic, version, length, size, kind = struct.unpack("<4sIII4s", data[:20])
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def test_an_animated_mesh_shows_one_pose_at_a_time(fitted: FittedImage, tmp_path: Path):
    person = fitted.people[0]
    poses = [person.fitted.vertices + 0.1 * n for n in range(3)]
    times = [0.0, 0.5, 1.25]
    write_glb_sequence(tmp_path / "a.glb", poses, fitted.faces, times, 0.25)
    tree, binary = gltf(tmp_path / "a.glb")

    def values(index: int) -> np.ndarray:
        accessor = tree["accessors"][index]
        view = tree["bufferViews"][accessor["bufferView"]]
        width = {"SCALAR": 1, "VEC3": 3}[accessor["type"]]
        flat = np.frombuffer(binary, "<f4", accessor["count"] * width, view.get("byteOffset", 0))
        found = flat.reshape(-1, width)
        assert np.allclose(found.min(0), accessor["min"]) and np.allclose(found.max(0), accessor["max"])
        return found

    animation = tree["animations"][0]
    assert len(animation["channels"]) == 3
    for moment, shown in ((0.0, 0), (0.4, 0), (0.5, 1), (1.2, 1), (1.3, 2), (1.5, 2)):
        scales = {}
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            assert sampler["interpolation"] == "STEP" and channel["target"]["path"] == "scale"
            keys, scale = values(sampler["input"])[:, 0], values(sampler["output"])
            assert (np.diff(keys) > 0).all()
            scales[channel["target"]["node"]] = scale[max(np.searchsorted(keys, moment, side="right") - 1, 0), 0]
        names = [tree["nodes"][node]["name"] for node, scale in scales.items() if scale == 1]
        assert names == [f"pose-{shown}"] and sorted(scales.values()) == [0, 0, 1]
    meshes = [tree["meshes"][node["mesh"]] for node in tree["nodes"] if "mesh" in node]
    assert len({mesh["primitives"][0]["indices"] for mesh in meshes}) == 1  # triangles are stored once
    assert "matrix" not in json.dumps([node for node in tree["nodes"] if node.get("name", "").startswith("pose")])


def test_frames_side_by_side_stand_on_one_ground(stored: Path):
    results = open_run(stored)
    frames = list(video_frames(results, ["fit", "side"], height=64, stage=film_stage(results)))
    assert len(frames) == 2 and frames[0].shape == (64, 48 + 64, 3)
    assert np.array_equal(frames[0], frames[1])


def test_a_video_of_results(stored: Path, tmp_path: Path, capsys: Capture):
    pytest.importorskip("av", reason="PyAV (nbf-run[video]) is not installed")
    from nbf_run.video import VideoReader

    path = write_video(open_run(stored), tmp_path / "new" / "out.mp4", ["photo", "occlusion"], rate=12, height=64)
    reader = VideoReader(path)
    assert reader.rate == pytest.approx(12) and [f.shape for f in reader.frames()] == [(64, 96, 3)] * 2
    assert run(["view", str(stored), "--video", str(tmp_path / "film.avi.txt")]) == 1
    assert "not a name of a video" in capsys.readouterr().err


def test_pictures_of_different_sizes_are_no_film(fitted: FittedImage, pipeline: Path, bright: np.ndarray):
    other = nbf_run.load(pipeline).fit(bright[:100])[0]
    with pytest.raises(InputError, match="90 x 100 pixels, the first has 90 x 120"):
        list(video_frames([fitted, other], ["fit"], 64))


def test_the_command_lists_layers_and_names_what_it_wrote(stored: Path, tmp_path: Path, capsys: Capture):
    assert run(["view", str(stored), "--layers", "help"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(LAYERS)
    arguments = ["view", str(stored), "--meshes", str(tmp_path / "m"), "--kinds", "obj", "--json"]
    assert run(arguments) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert [Path(path).name for path in written] == ["person-1.obj"] * 2
    assert run(["view", str(stored), "--layers", "fti"]) == 2
    assert "no layer named 'fti'" in capsys.readouterr().err


def test_without_viser_a_line_says_what_to_install(stored: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "viser", None)
    assert run(["view", str(stored)]) == 2
    assert "pip install 'nbf-run[viewer]'" in capsys.readouterr().err


def test_the_photo_stands_where_the_camera_sees_it(fitted: FittedImage):
    plane = scene.photo_plane(fitted, depth=4.0)
    corner = plane.middle + [plane.width / 2, plane.height / 2, 0]
    seen = corner[:2] / corner[2] * fitted.camera.focal.numpy() + fitted.camera.center.numpy()
    assert np.allclose(seen, (90, 120), atol=1e-3)
    assert scene.photo_plane(fitted).middle[2] > fitted.people[0].fitted.vertices[:, 2].max()


def test_the_course_of_a_fit(fitted: FittedImage):
    person, steps = fitted.people[0], scene.steps_of(fitted)
    assert steps == [0, 5]
    assert scene.pose_at(person, 0, steps) is person.start.vertices
    assert scene.pose_at(person, 2, steps) is person.history[5]
    assert scene.pose_at(person, 3, steps) is person.fitted.vertices
    assert [scene.words_at(place, steps) for place in range(4)] == [
        "the network's estimate", "step 0", "step 5", "the fit"
    ]  # fmt: skip
