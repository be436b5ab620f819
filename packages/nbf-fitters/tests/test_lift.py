"""The lift: evidence that means the same at any size, guesses for whom it can tell, and fits that begin there."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import roma
import torch
import torch.nn.functional as F
from correspondence_fakes import BANK, TubeBody, scene
from fitting_fakes import DenseRenderer
from odd_people import ODD, UNUSABLE, all_hidden, finite, spoiled

from nbf_core.contracts import SequenceFitter
from nbf_core.conventions import OPENPOSE_25, mirror_permutation
from nbf_core.errors import AssetError
from nbf_core.types import Camera, Observation
from nbf_core.weights import save_weights
from nbf_fitters import build
from nbf_fitters.build_config import BuiltCorrespondenceConfig, BuiltSmplifyConfig, BuiltStagedConfig
from nbf_fitters.lift.evidence import (
    KEYPOINTS,
    MOMENTS,
    Surface,
    in_crop,
    matched,
    mirrored,
    moments,
    read_keypoints,
    view_of,
)
from nbf_fitters.lift.fitter import lifted
from nbf_fitters.lift.lifter import Lifter, read_lifter
from nbf_fitters.lift.network import LiftNetwork, views
from nbf_fitters.records import unfitted


def body() -> TubeBody:
    """The tubes, whose kernels are the vertices of their parts."""
    made = TubeBody()
    made.spec = replace(made.spec, vertex_parts=made.owner, vertex_kernels=made.spec.kernel_vertices)
    return made


BODY = body()
JOINTS = len(BODY.spec.parents)
SHORT = {"parameters": ["orientation", "translation", "body_pose"], "steps": 2}
QUICK = {"priors": {}, "start_stage": SHORT, "stages": [SHORT]}


def surface(normals: torch.Tensor | None = None) -> Surface:
    """Two kernels on each of two parts."""
    place = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [0.0, 0, 0], [0.0, 1, 0]])
    normal = torch.tensor([[0.0, 0, 1]] * 4) if normals is None else normals
    return Surface(torch.tensor([0, 0, 1, 1]), place, normal, torch.ones(4))


def network(seed: int = 0) -> LiftNetwork:
    torch.manual_seed(seed)
    made = LiftNetwork(BODY.spec.parents, BODY.spec.shapes, width=32, blocks=1)
    torch.nn.init.normal_(made.turns, std=0.02)
    torch.nn.init.normal_(made.out.weight, std=0.02)
    return made


def lifter(bank=BANK) -> Lifter:
    return Lifter(network(), BODY, bank)


class Leaves:
    """A fitter that leaves everybody where they are."""

    def fit(self, observation, start):
        return unfitted(observation, start)


def test_moments_tell_where_and_from_which_side_a_part_is_seen():
    kernel, place = torch.tensor([0, 1]), torch.tensor([[0.1, 0.2], [0.3, 0.2]])
    found = moments(surface(), 2, 1, torch.zeros(2, dtype=torch.long), kernel, place, torch.full((2,), 0.01))
    assert found.shape == (1, 2, MOMENTS) and not found[0, 1].any()
    area, at, rest, toward, x_rest, y_rest, spread, solid = found[0, 0].split([1, 2, 3, 3, 3, 3, 3, 6])
    assert area.item() == pytest.approx(4 * math.sqrt(0.02), rel=1e-4)
    torch.testing.assert_close(at, torch.tensor([0.2, 0.2]))
    torch.testing.assert_close(rest, torch.tensor([0.5, 0, 0]))
    torch.testing.assert_close(toward, torch.tensor([0.0, 0, 1]))
    # One unit at rest is .2 of the crop along x: the covariance is .05, tenfold.
    torch.testing.assert_close(x_rest, torch.tensor([0.5, 0, 0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(y_rest, torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(spread, torch.tensor([0.3, 0, 0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(solid, torch.tensor([1.25, 0, 0, 0, 0, 0]), atol=1e-4, rtol=0)


def test_a_parts_view_is_read_off_its_moments():
    """Many points of a part, turned and seen from afar: two rows of the rotation, the third, the joint and the end."""
    rng = torch.Generator().manual_seed(0)
    turn = roma.rotvec_to_rotmat(torch.tensor([0.4, -0.7, 1.1]))
    rest = torch.randn(200, 3, generator=rng)
    table = Surface(torch.zeros(200, dtype=torch.long), rest, F.normalize(rest, dim=-1), torch.ones(200))
    joint, scale = torch.tensor([0.2, -0.1]), 0.25
    place = joint + scale * (rest @ turn.mT)[:, :2]
    nobody, every = torch.zeros(200, dtype=torch.long), torch.arange(200)
    found = moments(table, 2, 1, nobody, every, place, torch.full((200,), 0.01))
    end = torch.tensor([0.0, 1.0, 0.5])
    seen = views(found, torch.stack([end, end]))
    rows, third, at, stop = seen[0, 0].split([6, 3, 2, 2])
    close = {"atol": 0.03, "rtol": 0}  # the ridge takes a hundredth
    torch.testing.assert_close(rows.view(2, 3), turn[:2], **close)
    torch.testing.assert_close(third, turn[2], **close)
    torch.testing.assert_close(at, joint, **close)
    torch.testing.assert_close(stop, joint + scale * (turn @ end)[:2], **close)
    assert not seen[0, 1].any()


def test_moments_do_not_depend_on_the_order_nor_on_who_stands_beside():
    rng = torch.Generator().manual_seed(0)
    person, kernel = torch.randint(3, (50,), generator=rng), torch.randint(4, (50,), generator=rng)
    place, weight = torch.rand(50, 2, generator=rng) * 2 - 1, torch.rand(50, generator=rng) * 0.01
    whole = moments(surface(), 2, 3, person, kernel, place, weight)
    order = torch.randperm(50, generator=rng)
    torch.testing.assert_close(
        whole, moments(surface(), 2, 3, person[order], kernel[order], place[order], weight[order]), atol=1e-4, rtol=1e-4
    )
    one = person == 1
    alone = moments(surface(), 2, 1, person[one] * 0, kernel[one], place[one], weight[one])
    torch.testing.assert_close(whole[1], alone[0], atol=1e-4, rtol=1e-4)


def test_the_surface_of_a_body_looks_outwards():
    """A closed surface: the kernels of an octahedron."""
    corners = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]).double()
    faces = torch.tensor([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]])
    index = torch.arange(6)
    spec = replace(
        BODY.spec,
        faces=faces,
        vertex_parts=index * 0,
        vertex_kernels=index,
        kernel_vertices=index,
        kernel_limbs=index * 0,
        kernel_mirror=index,
        kernel_adjacency=torch.ones(6, 6, dtype=torch.bool),
        kernel_rest=corners,
    )
    found = Surface.of(spec, torch.zeros(JOINTS, 3))
    torch.testing.assert_close(found.normal, corners.float(), atol=1e-6, rtol=0)
    assert found.area.sum().item() == pytest.approx(8 * math.sqrt(3) / 2, rel=1e-5)
    torch.testing.assert_close(found.place, corners.float() * 5)


def test_keypoints_count_where_the_detector_is_sure():
    given = torch.tensor([[[0.1, 0.2, 0.9], [0.3, 0.4, 0.1], [9.0, -9.0, 0.5]]])
    expected = torch.tensor([[[0.1, 0.2, 1.0], [0.0, 0.0, 0.0], [2.0, -2.0, 1.0]]])
    torch.testing.assert_close(read_keypoints(given), expected)


def test_evidence_is_the_same_at_any_size_of_the_map():
    small = Camera(torch.full((1, 2), 90.0), torch.full((1, 2), 20.0), (40, 40))
    large = small.resized((80, 80))
    torch.testing.assert_close(view_of(small), view_of(large))
    points = torch.tensor([[[10.0, 30.0]]])
    torch.testing.assert_close(in_crop(points, (40, 40)), in_crop(2 * points, (80, 80)))


def test_pixels_are_matched_where_they_look_like_body():
    """Three pixels: a kernel's feature, clutter, and a kernel's where no body is thought to be."""
    rows = F.normalize(BANK.features.detach().float(), dim=-1)
    clutter = F.normalize(BANK.clutter().detach().float(), dim=-1)
    features = torch.stack([rows[5, 1], clutter[0], rows[7, 0], clutter[0]], -1).view(1, -1, 2, 2)
    camera = Camera(torch.full((1, 2), 5.0), torch.ones(1, 2), (2, 2))
    silhouette = torch.tensor([[[0.5, 1.0], [0.0, 1.0]]])
    seen = Observation(features=features, camera=camera, silhouette=silhouette)
    person, kernel, place, weight = matched(seen, BANK.features, BANK.clutter())
    assert person.tolist() == [0] and kernel.tolist() == [5]
    torch.testing.assert_close(place, torch.tensor([[-0.5, -0.5]]))
    torch.testing.assert_close(weight, torch.tensor([0.5]))


def test_a_guess_stands_before_the_camera_and_says_for_whom_it_is_one():
    _, observation, _ = scene(3)
    keypoints = observation.keypoints.clone()
    keypoints[1, :, 2] = 0
    keypoints[2] = torch.nan
    observation = replace(observation, keypoints=keypoints)
    guess, usable = lifter(bank=None)(observation)
    assert usable.tolist() == [True, False, False]
    assert (guess.transl[:, 2] > 0).all() and all(getattr(guess, name).isfinite().all() for name in vars(guess))
    assert lifter()(observation)[1].tolist() == [True, True, True]  # pixels are evidence too


def test_pixels_and_keypoints_both_change_the_guess():
    _, observation, _ = scene(1)
    both, alone = lifter()(observation)[0], lifter(bank=None)(observation)[0]
    assert not torch.allclose(both.body_pose, alone.body_pose)
    without = lifter()(replace(observation, keypoints=None))[0]
    assert not torch.allclose(both.body_pose, without.body_pose)
    names = lifter()(replace(observation, keypoint_set="coco-17", keypoints=observation.keypoints[:, :17]))[0]
    torch.testing.assert_close(names.body_pose, without.body_pose)  # places of other keypoints are not read


def test_fits_begin_at_the_guess_and_tell_the_start_that_was_given():
    _, observation, start = scene(2)
    guess, usable = lifter()(observation)
    assert usable.all()
    result = lifted(Leaves(), lifter()).fit(observation, start)
    torch.testing.assert_close(result.params.body_pose, guess.body_pose.to(result.params.body_pose))
    torch.testing.assert_close(result.start.body_pose, start.body_pose.to(result.start.body_pose))
    torch.testing.assert_close(result.params.betas, start.betas.to(result.params.betas))
    assert result.kept.all()


@pytest.mark.parametrize(
    ("make", "config"),
    [(build.staged, BuiltStagedConfig), (build.correspondence, BuiltCorrespondenceConfig)],
    ids=["staged", "correspondence"],
)
def test_odd_people_spoil_nobody_else(make, config):
    _, observation, start = scene(len(ODD), degrees=10)
    observation, start = spoiled(observation, start, BANK)
    settings = QUICK if config is BuiltStagedConfig else {"priors": {}}
    inner = make(config(**settings), BODY, DenseRenderer(), BANK, {}, 1.0)
    result = lifted(inner, lifter()).fit(observation, start)
    assert finite(result)
    for i, spoil in enumerate(ODD):
        if spoil in (*UNUSABLE, all_hidden):
            assert not result.kept[i], spoil.__name__
            assert torch.equal(result.params.body_pose[i], result.start.body_pose[i]), spoil.__name__
    alone = lifted(inner, lifter()).fit(observation[[0]], start[[0]])
    torch.testing.assert_close(result.params.body_pose[0], alone.params.body_pose[0], atol=1e-4, rtol=0)


def test_films_are_lifted_frame_by_frame():
    _, observation, start = scene(3)
    inner = build.staged(BuiltStagedConfig(**QUICK), BODY, DenseRenderer(), BANK, {}, 1.0)
    film = lifted(inner, lifter())
    assert isinstance(film, SequenceFitter) and not isinstance(lifted(Leaves(), lifter()), SequenceFitter)
    result = film.fit_sequence(observation, start)
    guess, _ = lifter()(observation)
    told = inner.fit_sequence(observation, replace(guess.to(start.transl), betas=start.betas))
    torch.testing.assert_close(result.params.body_pose, told.params.body_pose)


def weights(path, **changes):
    made = {"body": BODY.spec.name, "width": 32, "blocks": 1, **changes}
    save_weights(path, {f"lift.{name}": value for name, value in network().state_dict().items()}, {"lift": made})
    return str(path)


def test_weights_are_read_from_a_file(tmp_path):
    file = weights(tmp_path / "lift.safetensors")
    _, observation, start = scene(1)
    one, other = read_lifter(file, BODY, BANK)(observation)[0], lifter()(observation)[0]
    torch.testing.assert_close(one.body_pose, other.body_pose)
    config = BuiltStagedConfig(**QUICK, lift=file)
    assert build.staged(config, BODY, DenseRenderer(), BANK, {}, 1.0).fit(observation, start).kept.all()
    # SMPLify, and a fitter whose features deserve nothing, take keypoints alone.
    for tool in (
        build.smplify(
            BuiltSmplifyConfig(priors={}, start_stage=SHORT, stages=[SHORT], lift=file), BODY, DenseRenderer(), BANK
        ),
        build.staged(config, BODY, DenseRenderer(), BANK, {}, 0.0),
    ):
        assert tool.lifter.bank is None


def test_weights_of_something_else_are_refused(tmp_path):
    save_weights(tmp_path / "net.safetensors", {"regressor.x": torch.zeros(1)}, {"pipeline": "small"})
    with pytest.raises(AssetError, match=r"net\.safetensors.*not those of a lift"):
        read_lifter(str(tmp_path / "net.safetensors"), BODY, BANK)
    with pytest.raises(AssetError, match=r"none\.safetensors: no such model file"):
        read_lifter(str(tmp_path / "none.safetensors"), BODY, BANK)
    with pytest.raises(
        AssetError, match=r"made for 'stick': .*wide\.safetensors: does not fit the lift.*fitter\.lift = 'off'"
    ):
        read_lifter(weights(tmp_path / "wide.safetensors", width=64), BODY, BANK)


def test_the_network_learns_what_its_evidence_shows():
    """A root's turn about the vertical, told by one number, is found after a few steps."""
    torch.manual_seed(0)
    made = LiftNetwork((-1, 0), 1, width=64, blocks=1)
    angle = torch.rand(64) * 3 - 1.5
    found = torch.zeros(64, 2, MOMENTS)
    found[:, 0, 0], found[:, 0, 1] = angle.sin(), angle.cos()
    keypoints, view = torch.zeros(64, KEYPOINTS, 3), torch.zeros(64, 1)
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = [angle.cos(), zero, angle.sin(), zero, -one, zero, angle.sin(), zero, -angle.cos()]
    truth = torch.stack(rows, -1).view(-1, 3, 3)
    optimiser = torch.optim.Adam(made.parameters(), lr=3e-3)
    for _ in range(150):
        error = (made(found, keypoints, view)[0][:, 0] - truth).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    assert error < 1e-3


def test_the_mirror_images_evidence_is_that_of_the_picture_mirrored():
    """Points of a body that is its own mirror image, seen from the other side of the mirror."""
    rng = torch.Generator().manual_seed(1)
    place = torch.randn(6, 3, generator=rng)
    normal = F.normalize(torch.randn(6, 3, generator=rng), dim=-1)
    flip, other = torch.tensor([-1.0, 1, 1]), torch.tensor([3, 4, 5, 0, 1, 2])
    place[3:], normal[3:] = place[:3] * flip, normal[:3] * flip
    table = Surface(torch.tensor([0, 0, 0, 1, 1, 1]), place, normal, torch.ones(6))
    kernel, where = torch.randint(6, (40,), generator=rng), torch.rand(40, 2, generator=rng) * 2 - 1
    person, weight = torch.zeros(40, dtype=torch.long), torch.full((40,), 0.01)
    keypoints = torch.rand(1, KEYPOINTS, 3, generator=rng)
    seen, points = mirrored(moments(table, 2, 1, person, kernel, where, weight), keypoints, (1, 0))
    expected = moments(table, 2, 1, person, other[kernel], where * flip[:2], weight)
    torch.testing.assert_close(seen, expected, atol=1e-4, rtol=1e-4)
    back = mirrored(seen, points, (1, 0))
    torch.testing.assert_close(back[1], keypoints)


def test_a_guess_of_the_mirror_image_is_the_mirrored_guess():
    """The tubes are not quite their own mirror image, keypoints are."""
    _, observation, _ = scene(2)
    tool = lifter(bank=None)
    guess = tool(observation)[0]
    order = list(mirror_permutation(OPENPOSE_25))
    width = observation.camera.size[1]
    keypoints = observation.keypoints[:, order].clone()
    keypoints[..., 0] = width - keypoints[..., 0]
    other = tool(replace(observation, keypoints=keypoints))[0]
    joints = [joint - 1 for joint in BODY.spec.mirror_joints[1:]]
    flip = torch.tensor([1.0, -1.0, -1.0])
    torch.testing.assert_close(
        other.body_pose, guess.body_pose[:, joints] * flip.to(guess.body_pose), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(other.betas, guess.betas, atol=1e-5, rtol=0)
