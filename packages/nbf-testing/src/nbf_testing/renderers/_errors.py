"""Wrong inputs are refused in one line that names the tensor."""

from __future__ import annotations

import pytest
import torch

from nbf_core.errors import NbfError, ShapeError
from nbf_testing.renderers._base import INPUTS, Claims, draw, inputs_of


class ErrorTests(Claims):
    """Errors are :class:`nbf_core.errors.ShapeError`."""

    @pytest.mark.parametrize("name", INPUTS)
    @pytest.mark.wrong_shapes
    def test_wrong_shapes_are_refused(self, renderer, device, name):
        inputs = inputs_of(*self.scene(device))
        value = inputs[name]
        # one kernel's attributes short; one number too few for every person; no batch
        short = value[:, :-1] if name == "attributes" else value[:, :1] if value.dim() == 2 else value[0]
        with pytest.raises(ShapeError, match=name) as caught:
            draw(renderer, {**inputs, name: short})
        assert "\n" not in str(caught.value)

    @pytest.mark.wrong_shapes
    def test_matrices_of_the_wrong_size_are_refused(self, renderer, device):
        inputs = inputs_of(*self.scene(device, anisotropic=True))
        with pytest.raises(ShapeError, match="precision"):
            draw(renderer, {**inputs, "precision": inputs["precision"][..., :2, :2]})

    @pytest.mark.wrong_shapes
    def test_a_camera_for_another_batch_is_refused(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        with pytest.raises(ShapeError, match="camera"):
            renderer.render(kernels, camera[:1], attributes)

    @pytest.mark.wrong_shapes
    def test_attributes_for_another_batch_are_refused(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        with pytest.raises(ShapeError, match="attributes"):
            renderer.render(kernels, camera, attributes.repeat(2, 1, 1))

    def test_keeping_no_kernel_is_refused(self, renderer, device):
        with pytest.raises(NbfError, match="max_kernels"):
            renderer.render(*self.scene(device), max_kernels=0)

    @pytest.mark.wrong_shapes
    def test_features_of_another_size_are_refused(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        fragments = renderer.render(kernels, camera, attributes).fragments
        height, width = camera.size
        for shape in ((2, width, height, 4), (1, height, width, 4), (2, height, width)):
            with pytest.raises(ShapeError, match="features"):
                renderer.sample(fragments, torch.ones(shape).to(attributes), kernels.means.shape[1])

    @pytest.mark.wrong_shapes
    def test_sampling_fewer_kernels_than_are_seen_is_refused(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        fragments = renderer.render(kernels, camera, attributes).fragments
        with pytest.raises(ShapeError, match="kernels"):
            renderer.sample(fragments, torch.ones(2, *camera.size, 4).to(attributes), int(fragments.kernel.max()))
