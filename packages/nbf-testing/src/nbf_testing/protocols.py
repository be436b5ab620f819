"""The conformance suite of occlusion protocols: subclass :class:`ProtocolConformance`, pytest does the rest."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nbf_core.contracts import Chosen, Occluder, OcclusionCase, OcclusionProtocol, WritesOccluders
from nbf_core.types import BodyParams, Camera, Sample
from nbf_testing.claims import Suite, seeded
from nbf_testing.datasets import assert_same, tensors

SIZE, CELLS = 56, 14
NOTHING = Occluder(0, 0, 0, 0)
PATCH = Occluder(16, 32, 32, 48, size=64)


class ProtocolConformance(Suite):
    """What every occlusion protocol must do. A plugin's test file is::

        class TestMine(ProtocolConformance):
            def make_protocol(self, seed):
                return MyProtocol(MyConfig(), seed=seed)

    ``known``
        indices of samples that the protocol knows, of a file that names them; any number does for the others.
    """

    known: tuple[int, ...] = (0, 1, 7)

    def make_protocol(self, seed: int) -> OcclusionProtocol:
        """The protocol under test, newly built."""
        raise NotImplementedError("a conformance test must say how its protocol is made")

    @pytest.fixture
    def protocol(self) -> OcclusionProtocol:
        return self.make_protocol(3)

    # Which occluders there are.

    def test_fulfils_the_protocol(self, protocol):
        assert isinstance(protocol, OcclusionProtocol)
        assert protocol.cases and all(isinstance(case, OcclusionCase) for case in protocol.cases)
        names = [case.name for case in protocol.cases]
        assert len(set(names)) == len(names), "the name of a case is unique within its protocol"

    @pytest.mark.parametrize("size", [(224, 224), (56, 56), (90, 60)], ids=str)
    def test_there_is_always_an_occluder_or_one_that_covers_nothing(self, protocol, size):
        for case in protocol.cases:
            for index in self.known:
                found = protocol.occluders(case, size, index)
                assert isinstance(found, tuple) and found, case.name
                for one in found:
                    assert isinstance(one, Occluder)
                    assert one.x0 <= one.x1 and one.y0 <= one.y1
                    assert all(isinstance(value, int) for value in (one.x0, one.y0, one.x1, one.y1)), "whole pixels"

    def test_no_order_of_calls_changes_them(self, protocol):
        calls = [(case, index) for case in protocol.cases for index in self.known]
        first = [protocol.occluders(case, (SIZE, SIZE), index) for case, index in calls]
        torch.manual_seed(1)
        other = self.make_protocol(3)
        for (case, index), expected in reversed(list(zip(calls, first, strict=True))):
            assert protocol.occluders(case, (SIZE, SIZE), index) == expected
            assert other.occluders(case, (SIZE, SIZE), index) == expected

    # Putting them over people.

    def test_an_occluder_hides_what_lies_behind_it(self, protocol):
        samples = photographed(3)
        joints = samples.keypoints[:, :24, :2].clone()
        hidden = protocol.apply(samples, [PATCH, NOTHING, PATCH], joints)
        inside = _pixels(PATCH, SIZE)
        for person in (0, 2):
            assert torch.equal(hidden.image[person][:, ~inside], samples.image[person][:, ~inside])
            changed = (hidden.image[person] != samples.image[person]).any(0)
            assert changed[inside].float().mean() > 0.5, "an occluder is to be seen"
            for name in ("keypoints", "detected"):
                behind = _behind(getattr(samples, name)[person, :, :2])
                now, then = getattr(hidden, name)[person], getattr(samples, name)[person]
                assert behind.any() and torch.equal(now[:, :2], then[:, :2])
                assert torch.equal(now[:, 2], torch.where(behind, 0, then[:, 2])), name
            behind = _behind(joints[person])
            assert torch.equal(hidden.visible_joints[person], torch.where(behind, 0, samples.visible_joints[person]))
            middle = (torch.arange(CELLS) + 0.5) * SIZE / CELLS
            rows, columns = (middle >= PATCH.y0) & (middle < PATCH.y1), (middle >= PATCH.x0) & (middle < PATCH.x1)
            for name in ("kernel_map", "part_map"):
                expected = torch.where(rows[:, None] & columns, -2, getattr(samples, name)[person])
                assert torch.equal(getattr(hidden, name)[person], expected), name
        assert_same(hidden[1], samples[1])
        for name in ("params", "camera"):
            assert_same(getattr(hidden, name), getattr(samples, name))

    def test_samples_are_not_written_to(self, protocol):
        samples = photographed(2)
        wide = samples[0].map(lambda value: value.expand(2, *value.shape))  # a view, as benchmarks hand over
        before = wide.clone()
        protocol.apply(wide, [PATCH, PATCH], torch.full((2, 24, 2), 20.0))
        assert_same(wide, before)

    def test_what_is_not_known_stays_unknown(self, protocol):
        samples = photographed(1)
        plain = Sample(image=samples.image, camera=samples.camera, index=samples.index)
        hidden = protocol.apply(plain, [PATCH])
        assert hidden.lacks == plain.lacks and tensors(hidden).keys() == tensors(plain).keys()

    def test_without_joints_their_visibility_stays(self, protocol):
        samples = photographed(2)
        hidden = protocol.apply(samples, [Occluder(0, 0, SIZE, SIZE, size=224)] * 2)
        assert torch.equal(hidden.visible_joints, samples.visible_joints)
        assert not hidden.keypoints[..., 2].any()

    def test_the_texture_is_the_samples_own_at_every_position(self, protocol):
        samples = photographed(2)
        there = Occluder(5, 7, 21, 23, size=64)
        at = {"here": PATCH, "there": there}
        cut = {
            name: protocol.apply(samples, [one] * 2).image[:, :, one.y0 : one.y1, one.x0 : one.x1]
            for name, one in at.items()
        }
        assert torch.equal(cut["here"], cut["there"]), "no position changes the texture"
        alone = self.make_protocol(3).apply(samples[1:], [PATCH]).image[0]
        assert torch.equal(alone, protocol.apply(samples, [NOTHING, PATCH]).image[1]), "nor does the batch"
        over = Occluder(-8, -8, 8, 8, size=64)
        edge = protocol.apply(samples, [over] * 2).image[:, :, :8, :8]
        assert torch.equal(edge, cut["here"][:, :, 8:, 8:]), "nor does the edge of the image that cuts it"

    # The worst of them.

    def test_the_worst_is_the_first_of_the_worst_and_never_nan(self, protocol):
        nan = float("nan")
        values = torch.tensor([[1.0, nan, 2.0, nan], [3.0, 1.0, 2.0, nan], [3.0, 0.5, nan, nan]])
        assert protocol.worst(values, True).tolist() == [1, 1, 0, 0]
        assert protocol.worst(values, False).tolist() == [0, 2, 0, 0]
        assert not protocol.worst(values, True).is_floating_point()

    def test_what_was_chosen_can_be_written(self, protocol, tmp_path):
        if not isinstance(protocol, WritesOccluders):
            pytest.skip("this protocol does not offer the optional write")
        case = protocol.cases[0]
        chosen = {
            index: Chosen(protocol.occluders(case, (224, 224), index)[0], 12.5 * (index + 1)) for index in self.known
        }
        path = protocol.write(tmp_path, case, "mpjpe", chosen, {})
        assert path.is_file() and tmp_path in path.parents


def photographed(count: int) -> Sample:
    """Collated samples with all labels: grey noise, keypoints spread over the picture."""
    draw = seeded(2)
    points = torch.rand(count, 25, 2, generator=draw) * SIZE
    points[:, 0] = torch.tensor([24.5, 40.5])  # behind the patch
    keypoints = torch.cat([points, torch.full((count, 25, 1), 0.5)], -1)
    labels = torch.randint(-1, 20, (count, CELLS, CELLS), generator=draw)
    noise = torch.randint(100, 130, (count, 3, SIZE, SIZE), generator=draw, dtype=torch.uint8)
    return Sample(
        image=noise,
        camera=Camera.from_field((SIZE, SIZE), 60.0, count),
        index=torch.arange(count) + 4,
        params=BodyParams.neutral(count),
        keypoints=keypoints,
        detected=keypoints.clone(),
        visible_joints=torch.ones(count, 24),
        kernel_map=labels,
        part_map=labels.clone(),
    )


def _pixels(occluder: Occluder, side: int) -> Tensor:
    covered = torch.zeros(side, side, dtype=torch.bool)
    covered[occluder.y0 : occluder.y1, occluder.x0 : occluder.x1] = True
    return covered


def _behind(points: Tensor) -> Tensor:
    x, y = points.unbind(-1)
    return (x >= PATCH.x0) & (x < PATCH.x1) & (y >= PATCH.y0) & (y < PATCH.y1)
