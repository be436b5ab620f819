"""The conformance suite of body models: subclass :class:`BodyModelConformance` in a test file, pytest does the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
import roma
import torch
from torch import nn

from nbf_core.contracts import BodyModel, GenderedBodyModel, SkinnedBodyModel
from nbf_core.conventions import KEYPOINT_SETS, LIMBS
from nbf_core.errors import ConfigError, NbfError, ShapeError
from nbf_core.types import BodyParams
from nbf_testing.claims import Suite, assert_slope, noise, one_line, skip_where_impossible
from nbf_testing.people import FLIP, PARAMETERS, mirrored, random_params, skinned

PARTS = ("joints", "markers", "kernels", "vertices")


class BodyModelConformance(Suite):
    """What every body model must do. A plugin's test file is::

        class TestMine(BodyModelConformance):
            def make_body(self):
                return MyBody(MyConfig())

    ``mirror_tolerance``
        how far (m) mirrored parameters may lie from the mirrored body; None where left and right are not alike.
    ``pose_blend_shapes``
        True where the surface changes with the pose beyond skinning, which ``skinning`` then leaves out.
    """

    mirror_tolerance: float | None = 1e-3
    pose_blend_shapes: bool = False

    def make_body(self) -> BodyModel:
        """The body under test, newly built."""
        raise NotImplementedError("a conformance test must say how its body is made")

    def body_in(self, device: str = "cpu", dtype: torch.dtype | None = None) -> BodyModel:
        """The body on a device in a dtype; tests leave it as it is."""
        dtype = dtype or self.finest(device)
        return self.once((device, dtype), lambda: self.make_body().to(dtype).to(device))

    def params(self, body: BodyModel, *batch: int, **options) -> BodyParams:
        """Random parameters for the body."""
        like = body.spec.kernel_rest
        return random_params(body.spec, *batch, **options).to(dtype=like.dtype).to(like.device)

    # The specification.

    def test_fulfils_the_protocol(self):
        body = self.body_in()
        assert isinstance(body, BodyModel) and isinstance(body, nn.Module)

    def test_the_specification_fits_together(self):
        spec = self.body_in().spec
        joints, vertices, kernels = len(spec.joint_names), len(spec.vertex_parts), len(spec.kernel_vertices)
        assert len(set(spec.joint_names)) == joints == len(spec.parents) == len(spec.mirror_joints)
        assert spec.parents[0] == -1 and all(0 <= parent < i for i, parent in enumerate(spec.parents) if i)
        assert [spec.mirror_joints[other] for other in spec.mirror_joints] == list(range(joints))
        assert spec.shapes >= 1 and spec.kernel_precision > 0 and kernels == spec.kernels
        assert spec.faces.shape[1:] == (3,) and len(spec.vertex_kernels) == vertices
        for name, below in (("faces", vertices), ("vertex_parts", joints), ("vertex_kernels", kernels),
                            ("kernel_vertices", vertices), ("kernel_limbs", len(LIMBS)),
                            ("kernel_mirror", kernels)):  # fmt: skip
            values = getattr(spec, name)
            assert not values.is_floating_point() and not values.is_complex(), name
            assert values.numel() == 0 or (values.min() >= 0 and values.max() < below), name
        assert len(spec.kernel_vertices.unique()) == kernels
        assert len(spec.kernel_limbs) == len(spec.kernel_mirror) == len(spec.kernel_rest) == kernels
        assert spec.kernel_adjacency.shape == (kernels, kernels) and spec.kernel_adjacency.dtype == torch.bool
        assert torch.equal(spec.kernel_adjacency, spec.kernel_adjacency.mT)

    def test_kernels_rest_where_the_specification_says(self):
        body = self.body_in()
        spec = body.spec
        neutral = BodyParams.neutral(1, joints=len(spec.parents) - 1, shapes=spec.shapes).to(spec.kernel_rest.dtype)
        output = body(neutral)
        torch.testing.assert_close(output.kernels[0], spec.kernel_rest, rtol=0, atol=1e-4)
        torch.testing.assert_close(output.vertices[0][spec.kernel_vertices], spec.kernel_rest, rtol=0, atol=1e-4)
        assert output.vertices.shape[1] == len(spec.vertex_parts)

    def test_stands_upright_in_metres_left_along_x(self):
        body = self.body_in()
        names = body.spec.joint_names
        if not {"pelvis", "left_hip", "right_hip", "head"} <= set(names):
            pytest.skip("its joints do not have SMPL's names, so up and left are not known")
        neutral = BodyParams.neutral(joints=len(names) - 1, shapes=body.spec.shapes).to(body.spec.kernel_rest.dtype)
        output = body(neutral)
        joints = dict(zip(names, output.joints, strict=True))
        height = output.vertices[:, 1].amax() - output.vertices[:, 1].amin()
        assert 0.4 < height < 3, f"{float(height):.2f} m tall: lengths are metres"
        assert joints["head"][1] > joints["pelvis"][1] + 0.1, "y is up at rest"
        assert joints["left_hip"][0] > joints["right_hip"][0], "x is to the person's left at rest"

    # Shapes, dtypes, devices, batches.

    @pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,)], ids=str)
    def test_shapes_dtype_and_device(self, device, dtype, batch):
        skip_where_impossible(device, dtype)
        body = self.body_in(device, dtype)
        spec = body.spec
        output = body(self.params(body, *batch))
        markers = output.markers.shape[-2]
        counts = {"joints": len(spec.joint_names), "markers": markers, "kernels": spec.kernels,
                  "vertices": len(spec.vertex_parts)}  # fmt: skip
        for name, count in counts.items():
            value = getattr(output, name)
            assert value.shape == (*batch, count, 3), name
            assert value.dtype == dtype and value.device.type == device, name
            assert torch.isfinite(value).all(), name
        for name, weights in spec.keypoint_weights.items():
            assert weights.shape[1] == len(spec.joint_names) + markers, name
            assert body.keypoints(output, name).shape == (*batch, len(weights), 3), name
            assert name not in KEYPOINT_SETS or len(weights) == len(KEYPOINT_SETS[name]), name

    def test_the_cheap_path_gives_the_same_points(self, device, dtype):
        skip_where_impossible(device, dtype)
        body = self.body_in(device, dtype)
        params = self.params(body, 2)
        whole, cheap = body(params), body(params, vertices=False)
        assert cheap.vertices is None
        limit = 1e-9 if dtype == torch.float64 else 1e-5
        for name in PARTS[:3]:
            torch.testing.assert_close(getattr(cheap, name), getattr(whole, name), rtol=0, atol=limit)

    def test_kernels_lie_on_their_vertices(self):
        body = self.body_in()
        output = body(self.params(body, 2))
        on_skin = output.vertices[:, body.spec.kernel_vertices]
        torch.testing.assert_close(output.kernels, on_skin, rtol=0, atol=1e-5)

    def test_people_of_a_batch_do_not_meet(self):
        body = self.body_in()
        params = self.params(body, 3)
        together = body(params)
        spoiled = params.clone()
        for name in PARAMETERS:
            getattr(spoiled, name)[1] = torch.nan
        beside = body(spoiled)
        for person in (0, 2):
            alone = body(params[person])
            for name in PARTS:
                torch.testing.assert_close(getattr(together, name)[person], getattr(alone, name), rtol=0, atol=1e-6)
                torch.testing.assert_close(getattr(beside, name)[person], getattr(alone, name), rtol=0, atol=1e-6)

    def test_repeats_and_leaves_its_inputs_alone(self):
        body, again = self.body_in(), self.make_body().to(self.finest())
        params = self.params(body, 2)
        before = params.clone()
        first, second, other = body(params), body(params), again(params)
        for name in PARTS:
            assert torch.equal(getattr(first, name), getattr(second, name))
            assert torch.equal(getattr(first, name), getattr(other, name))
        for name in PARAMETERS:
            assert torch.equal(getattr(params, name), getattr(before, name))

    # What the parameters mean.

    def test_translation_moves_everything(self):
        body = self.body_in()
        params, shift = self.params(body, 2), torch.tensor([0.3, -2.0, 5.0], dtype=self.finest())
        still, moved = body(params), body(replace(params, transl=params.transl + shift))
        for name in PARTS:
            torch.testing.assert_close(getattr(moved, name), getattr(still, name) + shift, rtol=0, atol=1e-5)
        for name in body.spec.keypoint_weights:
            points = body.keypoints(moved, name) - body.keypoints(still, name)
            torch.testing.assert_close(points, shift.expand_as(points), rtol=0, atol=5e-3)

    def test_orientation_turns_about_the_root_joint(self):
        body = self.body_in()
        params = self.params(body, 2)
        still = body(replace(params, global_orient=torch.zeros_like(params.global_orient)))
        turned = body(params)
        matrix = roma.rotvec_to_rotmat(params.global_orient)
        root = still.joints[:, :1]
        for name in PARTS:
            expected = (getattr(still, name) - root) @ matrix.mT + root
            torch.testing.assert_close(getattr(turned, name), expected, rtol=0, atol=1e-5)

    def test_a_joint_turns_what_hangs_on_it_alone(self):
        body = self.body_in()
        parents = body.spec.parents
        params = self.params(body, 1)
        before = body(params).joints[0]
        for joint in range(1, len(parents)):
            pose = params.body_pose.clone()
            pose[0, joint - 1] += 0.7
            after = body(replace(params, body_pose=pose)).joints[0]
            below = [_hangs_on(parents, other, joint) for other in range(len(parents))]
            still = torch.tensor([not hangs for hangs in below])
            still[joint] = True
            torch.testing.assert_close(after[still], before[still], rtol=0, atol=1e-5)
            for child in (i for i, parent in enumerate(parents) if parent == joint):
                bones = [(points[child] - points[joint]).norm() for points in (before, after)]
                torch.testing.assert_close(bones[0], bones[1], rtol=0, atol=1e-5)

    def test_shape_changes_the_body_and_rests_at_zero(self):
        body = self.body_in()
        neutral = BodyParams.neutral(1, joints=len(body.spec.parents) - 1, shapes=body.spec.shapes)
        neutral = neutral.to(self.finest())
        other = replace(neutral, betas=torch.ones_like(neutral.betas))
        assert (body(other).vertices - body(neutral).vertices).abs().max() > 1e-4

    def test_mirrored_parameters_give_the_mirrored_body(self):
        if self.mirror_tolerance is None:
            pytest.skip("this body does not claim that its left and right are alike")
        body = self.body_in()
        spec = body.spec
        assert torch.equal(spec.kernel_mirror[spec.kernel_mirror], torch.arange(spec.kernels))
        params = self.params(body, 2)
        params = replace(params, betas=torch.zeros_like(params.betas))
        one, two = body(params), body(mirrored(params, spec.mirror_joints))
        flip = params.transl.new_tensor(FLIP)
        swap = torch.tensor(spec.mirror_joints)
        # The root joint stays where it is at rest, which need not be in the plane of the mirror.
        limit = self.mirror_tolerance
        torch.testing.assert_close(two.joints, one.joints[:, swap] * flip, rtol=0, atol=limit)
        torch.testing.assert_close(two.kernels, one.kernels[:, spec.kernel_mirror] * flip, rtol=0, atol=limit)

    def test_keypoints_are_weighted_joints_and_markers(self):
        body = self.body_in()
        output = body(self.params(body, 2))
        points = torch.cat([output.joints, output.markers], -2)
        assert "openpose-25" in body.spec.keypoint_weights, "detectors speak OpenPose-25"
        for name, weights in body.spec.keypoint_weights.items():
            torch.testing.assert_close(body.keypoints(output, name), weights.to(points) @ points, rtol=0, atol=1e-5)

    def test_an_unknown_keypoint_set_is_refused_by_name(self):
        body = self.body_in()
        with pytest.raises(NbfError, match="nobody-7") as caught:
            body.keypoints(body(self.params(body, 1)), "nobody-7")
        one_line(caught.value)

    # Gradients and errors.

    @pytest.mark.parametrize("name", PARAMETERS)
    @pytest.mark.parametrize("at", ["rest", "posed"])
    def test_gradients_match_finite_differences(self, device, name, at):
        body = self.body_in(device)
        params = self.params(body, 2)
        if at == "rest":
            params = params.map(torch.zeros_like)

        def number(value):
            output = body(replace(params, **{name: value}))
            return sum((getattr(output, part) * noise(getattr(output, part), 3)).sum() for part in PARTS)

        assert_slope(number, getattr(params, name))

    @pytest.mark.parametrize("name", PARAMETERS)
    @pytest.mark.wrong_shapes
    def test_wrong_shapes_are_refused_by_name(self, name):
        body = self.body_in()
        params = self.params(body, 2)
        value = getattr(params, name)
        short = value[..., :-1, :] if name == "body_pose" else value[..., :-1]
        with pytest.raises(ShapeError, match=name) as caught:
            body(replace(params, **{name: short}))
        one_line(caught.value)

    # What some bodies offer beyond the contract.

    def test_skinning_says_how_it_is_posed(self):
        body = self.body_in()
        if not isinstance(body, SkinnedBodyModel):
            pytest.skip("this body does not offer the optional skinning")
        params, skinning = self.params(body, 2), body.skinning()
        if self.pose_blend_shapes:
            params = replace(params, body_pose=torch.zeros_like(params.body_pose))
        assert skinning.parents == body.spec.parents
        output = body(params, vertices=False)
        posed = skinned(skinning, params)
        for name in PARTS[:3]:
            torch.testing.assert_close(posed[name], getattr(output, name), rtol=0, atol=1e-4)

    def test_bodies_of_other_genders_take_the_same_parameters(self):
        body = self.make_body()
        if not isinstance(body, GenderedBodyModel):
            pytest.skip("this body does not offer the optional genders")
        spec = body.spec
        with pytest.raises(ConfigError):
            body.gendered("nobody's")
        own = body.gendered("neutral").spec
        assert (own.joint_names, own.shapes, own.kernels) == (spec.joint_names, spec.shapes, spec.kernels)
        assert torch.equal(own.kernel_vertices, spec.kernel_vertices)
        assert own.keypoint_weights.keys() == spec.keypoint_weights.keys()


def _hangs_on(parents: tuple[int, ...], joint: int, other: int) -> bool:
    while joint not in (-1, other):
        joint = parents[joint]
    return joint == other
