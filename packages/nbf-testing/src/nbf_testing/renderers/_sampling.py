"""Reading image features back into kernels."""

from __future__ import annotations

import torch

from nbf_testing.renderers._base import Claims, inputs_of, noise, seeded
from nbf_testing.renderers._base import draw as render


class SamplingTests(Claims):
    """``sample`` of :class:`nbf_core.contracts.Renderer`."""

    def test_sampling_gives_back_what_was_drawn(self, renderer, device):
        kernels, camera, _ = self.singles(device)
        values = torch.arange(1.0, 13.0, dtype=kernels.means.dtype, device=device).view(4, 1, 3)
        attributes = values.expand(4, kernels.means.shape[1], 3)
        output = renderer.render(kernels, camera, attributes)
        cover = torch.zeros_like(output.silhouette).flatten()
        cover[output.fragments.pixel] = output.fragments.weight.sum(1)
        cover = cover.view_as(output.silhouette)[..., None]
        picture = torch.where(cover > 0, output.attributes / cover.clamp_min(1e-30), 0)
        mean, visible = renderer.sample(output.fragments, picture, kernels.means.shape[1])
        assert visible.any(1).all()
        # a corner of a mesh that is hardly seen has too little weight for the mean's 1e-8
        torch.testing.assert_close(mean[visible], attributes[visible], rtol=1e-4, atol=1e-4)

    def test_sampling_is_a_mean_over_visible_pixels(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        fragments = renderer.render(kernels, camera, attributes).fragments
        features = torch.rand(2, *camera.size, 5, generator=seeded(4)).to(attributes)
        features.requires_grad_()
        count = kernels.means.shape[1]
        mean, visible = renderer.sample(fragments, features, count)
        assert mean.shape == (2, count, 5) and mean.dtype == features.dtype
        assert visible.shape == (2, count) and visible.dtype == torch.bool
        expected = torch.zeros_like(visible)
        expected[fragments.person, fragments.kernel[:, 0]] = True
        assert torch.equal(visible, expected)
        assert mean.min() >= 0 and mean.max() <= features.max() * (1 + 1e-5)
        hit = torch.zeros_like(visible)
        seen = fragments.kernel >= 0
        hit[fragments.person[:, None].expand_as(seen)[seen], fragments.kernel[seen]] = True
        assert not mean[~hit].any(), "a kernel that is never hit gets zeros"
        mean.sum().backward()
        assert torch.isfinite(features.grad).all() and features.grad.any()

    def test_sampling_weighs_by_the_fragments_weights(self, renderer, device):
        """``sum w f / sum w``, in plain loops over slots."""
        inputs = inputs_of(*self.scene(device))
        fragments, count = render(renderer, inputs).fragments, inputs["means"].shape[1]
        features = noise(inputs["means"].new_zeros(2, *inputs["size"], 3), 4)
        mean, _ = renderer.sample(fragments, features, count)
        sums, total = torch.zeros_like(mean), mean.new_zeros(2, count)
        rows = features.flatten(0, 2)[fragments.pixel]
        for slot in range(fragments.kernel.shape[1]):
            seen = fragments.kernel[:, slot] >= 0
            place = (fragments.person[seen], fragments.kernel[seen, slot])
            weight = fragments.weight[seen, slot]
            sums.index_put_(place, weight[:, None] * rows[seen], accumulate=True)
            total.index_put_(place, weight, accumulate=True)
        expected = sums / (total + 1e-8)[..., None]
        clear = total > 1e-3  # the 1e-8 is the implementation's own choice
        torch.testing.assert_close(mean[clear], expected[clear], rtol=1e-4, atol=1e-5)

    def test_sampling_any_number_of_channels(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        fragments, count = renderer.render(kernels, camera, attributes).fragments, kernels.means.shape[1]
        features = noise(attributes.new_zeros(2, *camera.size, 33), 4)
        whole, _ = renderer.sample(fragments, features, count)
        for channels in (0, 1):
            some, _ = renderer.sample(fragments, features[..., :channels], count)  # not contiguous
            torch.testing.assert_close(some, whole[..., :channels])
