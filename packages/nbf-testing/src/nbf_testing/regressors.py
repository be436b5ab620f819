"""The conformance suite of regressors: subclass :class:`RegressorConformance` in a test file, pytest does the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
import roma
import torch
from torch import Tensor, nn

from nbf_core.contracts import BodyModel, Regressor
from nbf_core.errors import ShapeError
from nbf_core.geometry.camera import central_ray_rotation, translation_to_weak
from nbf_core.types import BodySpec, RegressorOutput, Sample, collate
from nbf_testing.claims import Suite, one_line, seeded, skip_where_impossible
from nbf_testing.people import standing
from nbf_testing.stick_body import StickBody

LABELS = ("params", "keypoints", "part_map", "kernel_map")
FIELDS = ("rotations", "betas", "weak_camera", "features", "parts")


class RegressorConformance(Suite):
    """What every regressor must do. A plugin's test file is::

        class TestMine(RegressorConformance):
            def make_regressor(self, spec):
                return MyRegressor(MyConfig(), spec=spec)

    Give it a small configuration. It is tested untrained, on two people.
    """

    def make_regressor(self, spec: BodySpec) -> Regressor:
        """The regressor under test, newly built."""
        raise NotImplementedError("a conformance test must say how its regressor is made")

    @pytest.fixture
    def body(self) -> BodyModel:
        return self.once("body", StickBody)

    def in_use(self, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Regressor:
        """The regressor in evaluation mode; tests leave it as it is."""
        return self.once((device, dtype), lambda: self.fresh().to(dtype).to(device).eval())

    def fresh(self, seed: int = 0) -> Regressor:
        """A new one, the same each time for a seed."""
        torch.manual_seed(seed)
        return self.make_regressor(StickBody().spec)

    def images(self, regressor: Regressor, count: int = 2, seed: int = 0, **kwargs) -> Tensor:
        """Noise with soft shapes in it."""
        side = regressor.image_size
        coarse = torch.rand(count, 3, 8, 8, generator=seeded(seed))
        return nn.functional.interpolate(coarse, (side, side), mode="bilinear").to(**kwargs)

    # Forward.

    def test_fulfils_the_protocol(self):
        regressor = self.in_use()
        assert isinstance(regressor, Regressor) and isinstance(regressor, nn.Module)
        for name in ("channels", "image_size", "map_size"):
            value = getattr(regressor, name)
            assert isinstance(value, int) and value > 0, name

    @torch.no_grad()
    def test_shapes_dtype_and_device(self, device, dtype, body):
        skip_where_impossible(device, dtype)
        regressor, spec = self.in_use(device, dtype), body.spec
        output = regressor(self.images(regressor, dtype=dtype, device=device))
        side, joints = regressor.map_size, len(spec.joint_names)
        shapes = {
            "rotations": (2, joints, 3, 3),
            "betas": (2, spec.shapes),
            "weak_camera": (2, 3),
            "features": (2, regressor.channels, side, side),
            "parts": (2, joints + 1, *output.parts.shape[2:]),
        }
        for name, shape in shapes.items():
            value = getattr(output, name)
            assert value.shape == shape, name
            assert value.dtype == dtype and value.device.type == device, name
            assert torch.isfinite(value).all(), name

    @torch.no_grad()
    @pytest.mark.parametrize("picture", ["noise", "black", "white"])
    def test_rotations_are_rotations_whatever_the_picture(self, picture):
        regressor = self.in_use()
        images = self.images(regressor)
        if picture != "noise":
            images = torch.full_like(images, float(picture == "white"))
        output = regressor(images)
        eye = torch.eye(3).expand_as(output.rotations)
        torch.testing.assert_close(output.rotations @ output.rotations.mT, eye, rtol=0, atol=1e-4)
        assert (torch.linalg.det(output.rotations) > 0).all()
        for name in FIELDS:
            assert torch.isfinite(getattr(output, name)).all(), name

    @torch.no_grad()
    def test_people_of_a_batch_do_not_meet_in_use(self):
        regressor = self.in_use()
        images = self.images(regressor, 3)
        images[1] = torch.nan
        together = regressor(images)
        for person in (0, 2):
            alone = regressor(images[person : person + 1])
            for name in FIELDS:
                one, other = getattr(together, name)[person], getattr(alone, name)[0]
                torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)

    @torch.no_grad()
    def test_the_picture_decides(self):
        regressor = self.in_use()
        first, second = (regressor(self.images(regressor, 1, seed)) for seed in (0, 1))
        assert (first.features - second.features).abs().max() > 0

    @torch.no_grad()
    def test_repeats_and_changes_nothing_in_use(self):
        regressor = self.in_use()
        images = self.images(regressor)
        before = images.clone()
        state = {name: value.clone() for name, value in regressor.state_dict().items()}
        first, second = regressor(images), regressor(images)
        for name in FIELDS:
            assert torch.equal(getattr(first, name), getattr(second, name)), name
        assert torch.equal(images, before)
        for name, value in regressor.state_dict().items():
            assert torch.equal(value, state[name]), name

    @torch.no_grad()
    def test_all_of_its_state_is_in_the_checkpoint(self):
        one, two = self.in_use(), self.fresh(seed=1).eval()
        two.load_state_dict({name: value.clone() for name, value in one.state_dict().items()})
        images = self.images(one)
        first, second = one(images), two(images)
        for name in FIELDS:
            assert torch.equal(getattr(first, name), getattr(second, name)), name

    @pytest.mark.parametrize("wrong", ["size", "channels", "no batch"])
    @pytest.mark.wrong_shapes
    def test_images_of_another_size_are_refused_by_name(self, wrong):
        regressor = self.in_use()
        images = self.images(regressor)
        images = {"size": images[..., :-3], "channels": images[:, :2], "no batch": images[0]}[wrong]
        with pytest.raises(ShapeError, match="images") as caught:
            regressor(images)
        one_line(caught.value)

    # Loss.

    def labelled(self, regressor: Regressor, body: BodyModel) -> Sample:
        """Two people with all labels, photographed off the optical axis, as a crop of a photo is."""
        side, cells = regressor.image_size, regressor.map_size
        params, camera = standing(body.spec, 2, (side, side))
        camera = replace(camera, center=camera.center + camera.focal.new_tensor([0.6 * side, -0.3 * side]))
        params = replace(params, transl=params.transl - params.transl.new_tensor([1.3, -0.7, 0.0]))
        params, camera = params.to(dtype=torch.float32), camera.to(dtype=torch.float32)
        points = camera.project(body.keypoints(body(params), "openpose-25"))
        keypoints = torch.cat([points, torch.ones_like(points[..., :1])], -1)
        kernel_map = torch.randint(-2, body.spec.kernels, (2, cells, cells), generator=seeded(1))
        parts = body.spec.vertex_parts[body.spec.kernel_vertices]
        part_map = torch.where(kernel_map >= 0, parts[kernel_map.clamp_min(0)], kernel_map)
        return Sample(
            image=torch.zeros(2, 3, side, side, dtype=torch.uint8),
            camera=camera,
            index=torch.arange(2),
            params=params,
            keypoints=keypoints,
            detected=keypoints.clone(),
            visible_joints=torch.ones(2, 24),
            kernel_map=kernel_map,
            part_map=part_map,
        )

    @pytest.mark.parametrize("missing", [(), *((name,) for name in LABELS), LABELS], ids="+".join)
    def test_labels_that_are_missing_are_left_out(self, body, missing):
        regressor = self.in_use()
        sample = replace(self.labelled(regressor, body), **dict.fromkeys(missing))
        terms = regressor.loss(regressor(self.images(regressor)), sample, body)
        for name, value in terms.items():
            assert isinstance(name, str) and value.shape == () and torch.isfinite(value), name
        assert terms or missing == LABELS

    def test_keypoints_of_no_confidence_do_not_count(self, body):
        regressor = self.in_use()
        sample = self.labelled(regressor, body)
        losses = []
        for value in (0.0, 1e4, torch.nan):
            keypoints = sample.keypoints.clone()
            keypoints[:, ::2, 2] = 0
            keypoints[:, ::2, :2] = value
            unknown = replace(sample, keypoints=keypoints, params=None)
            terms = regressor.loss(regressor(self.images(regressor)), unknown, body)
            losses.append(sum(value.item() for value in terms.values()))
        assert losses[0] == losses[1] == losses[2]

    def test_who_has_no_label_does_not_count_with_it(self, body):
        """Of a batch in which one of two has labels; what stands in for the other's may be anything."""
        regressor = self.in_use()
        labelled = self.labelled(regressor, body)
        bare = replace(labelled, **dict.fromkeys((*LABELS, "detected", "visible_joints")))
        batch = collate([labelled[0], bare[1]], partial=True)
        other = batch.params.map(lambda value: torch.stack([value[0], torch.full_like(value[1], 3.0)]))
        output = regressor(self.images(regressor))
        losses = [regressor.loss(output, one, body) for one in (batch, replace(batch, params=other))]
        assert losses[0].keys() == losses[1].keys()
        assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])

    def test_a_loss_teaches(self, body):
        regressor = self.fresh().train()
        sample = self.labelled(regressor, body)
        total = sum(regressor.loss(regressor(self.images(regressor)), sample, body).values())
        total.backward()
        gradients = [value.grad for value in regressor.parameters() if value.grad is not None]
        assert gradients and any(gradient.any() for gradient in gradients)
        assert all(torch.isfinite(gradient).all() for gradient in gradients)

    @torch.no_grad()
    @pytest.mark.parametrize("wrong", ["rotations", "betas", "weak_camera"])
    def test_the_truth_costs_less(self, body, wrong):
        """The root in the axes of the crop's central ray, the camera in shares of the crop: as the output says."""
        regressor = self.in_use()
        sample = self.labelled(regressor, body)
        truth = self.perfect(regressor, sample)
        costs = [
            sum(value.item() for value in regressor.loss(replace(truth, **{wrong: value}), sample, body).values())
            for value in (getattr(truth, wrong), *slightly_off(wrong, getattr(truth, wrong)))
        ]
        assert costs[0] < min(costs[1:])

    def perfect(self, regressor: Regressor, sample: Sample) -> RegressorOutput:
        """What a regressor would say that knows the truth."""
        params, ray = sample.params, central_ray_rotation(sample.camera)
        root = ray.mT @ roma.rotvec_to_rotmat(params.global_orient)
        cells, joints = regressor.map_size, params.body_pose.shape[1] + 1
        parts = regressor(self.images(regressor)).parts
        logits = torch.full((len(root), joints + 1, *parts.shape[2:]), -20.0)
        if parts.shape[2:] == sample.part_map.shape[1:]:
            logits = logits.scatter(1, torch.where(sample.part_map < 0, joints, sample.part_map)[:, None], 20.0)
        return RegressorOutput(
            rotations=torch.cat([root[:, None], roma.rotvec_to_rotmat(params.body_pose)], 1),
            betas=params.betas,
            weak_camera=translation_to_weak(params.transl, sample.camera),
            features=torch.zeros(len(root), regressor.channels, cells, cells),
            parts=logits,
        )


def slightly_off(name: str, truth: Tensor) -> list[Tensor]:
    """Values on either side of the truth: a minimum that lies elsewhere makes one of them cost less."""
    if name != "rotations":
        step = truth.new_tensor([0.02, 0.03, 0.03]) if name == "weak_camera" else torch.full_like(truth[0], 0.5)
        return [truth + sign * one for sign in (-1, 1) for one in torch.diag(step)]
    turns = [sign * one for sign in (-0.05, 0.05) for one in torch.eye(3)]
    return [torch.cat([roma.rotvec_to_rotmat(turn) @ truth[:, :1], truth[:, 1:]], 1) for turn in turns]
