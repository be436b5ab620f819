"""One camera convention: x right, y down, z forward, pixel centres at +0.5."""

from __future__ import annotations

import pytest
import torch

from nbf_core.types import Camera, Kernels
from nbf_testing.renderers._base import Claims, with_means
from nbf_testing.scenes import blobs, corners


class CameraTests(Claims):
    """Where things land, and which of them are seen."""

    def test_a_kernel_lights_the_pixel_it_projects_to(self, renderer, device, dtype):
        if dtype == torch.float64 and device == "mps":
            pytest.skip("mps has no float64")
        kernels, camera, expected = self.singles(device, dtype)
        count = kernels.means.shape[1]
        output = renderer.render(kernels, camera, torch.ones(count, 1, dtype=dtype, device=device))
        projected = camera.project(kernels.means.mean(1, keepdim=True))[:, 0].floor().long()
        brightest = output.silhouette.flatten(1).argmax(1)
        row, column = brightest // camera.size[1], brightest % camera.size[1]
        assert torch.equal(torch.stack([column, row], -1), projected)
        assert torch.equal(projected, expected)

    def test_a_lone_kernel_is_symmetric_about_its_pixel(self, renderer, device):
        self.only_for("gaussians", "a mesh of few triangles is not symmetric")
        camera = Camera.from_field((9, 11), 20.0, 1, dtype=self.finest(device), device=device)
        kernels = Kernels(camera.focal.new_tensor([[[0.0, 0.0, 5.0]]]), camera.focal.new_full((1, 1), 16.0))
        silhouette = renderer.render(kernels, camera, camera.focal.new_ones(1, 1)).silhouette[0]
        torch.testing.assert_close(silhouette, silhouette.flip(0), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(silhouette, silhouette.flip(1), rtol=1e-5, atol=1e-5)
        assert silhouette[4, 5] == silhouette.max() > 0

    def test_the_camera_of_a_crop_draws_the_crop(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        whole = renderer.render(kernels, camera, attributes)
        box = camera.focal.new_tensor([3.0, 2.0, 16.0, 12.0]).expand(2, 4)
        part = renderer.render(kernels, camera.cropped(box, (10, 13)), attributes)
        torch.testing.assert_close(part.attributes, whole.attributes[:, 2:12, 3:16], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(part.silhouette, whole.silhouette[:, 2:12, 3:16], rtol=1e-4, atol=1e-4)

    def test_a_finer_picture_has_the_same_middles(self, renderer, device):
        """Of three by three pixels the middle one's centre is that of the pixel they make up."""
        if self.reference is None and (self.primitive == "gaussians" or self.differentiable_silhouette):
            pytest.skip("this renderer names no reference: what it draws may depend on the size of pixels")
        kernels, camera, attributes = self.scene(device)
        coarse = renderer.render(kernels, camera, attributes)
        fine = renderer.render(kernels, camera.resized((camera.size[0] * 3, camera.size[1] * 3)), attributes)
        torch.testing.assert_close(fine.attributes[:, 1::3, 1::3], coarse.attributes, rtol=1e-4, atol=1e-4)

    def test_the_nearer_kernel_comes_first_and_hides_the_other(self, renderer, device):
        camera = Camera.from_field((8, 8), 16.0, 2, dtype=self.finest(device), device=device)
        ray = camera.focal.new_tensor([0.5 / 16, 0.5 / 16, 1.0])
        near_first = camera.focal.new_tensor([[2.0, 4.0], [4.0, 2.0]])
        kernels = blobs(near_first[..., None] * ray, camera.focal.new_full((2, 2), 0.1) * near_first, self.primitive)
        each = corners(self.primitive)
        attributes = torch.eye(2, dtype=self.finest(device), device=device).repeat_interleave(each, 0)
        output = renderer.render(kernels, camera, attributes)
        centre = output.attributes[:, 4, 4]
        assert centre[0, 0] > centre[0, 1] and centre[1, 1] > centre[1, 0]
        lists = output.fragments.kernel[(output.fragments.pixel % 64) == 4 * 8 + 4]
        assert (lists[:, 0] // each).tolist() == [0, 1]

    def test_kernels_behind_the_camera_draw_nothing(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        output = renderer.render(with_means(kernels, -kernels.means), camera, attributes)
        assert output.silhouette.max() == 0 and not output.attributes.any()

    def test_what_is_behind_or_beside_changes_nothing(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        means, count = kernels.means, kernels.means.shape[1]
        beside = means + means.new_tensor([500.0, 0.0, 0.0])
        more = Kernels(
            torch.cat([means, -means, beside], 1),
            kernels.precision.repeat(1, 3),
            None if kernels.faces is None else torch.cat([kernels.faces + i * count for i in range(3)], 1),
        )
        few = renderer.render(kernels, camera, attributes)
        many = renderer.render(more, camera, attributes.repeat(1, 3, 1))
        torch.testing.assert_close(many.attributes, few.attributes)
        torch.testing.assert_close(many.silhouette, few.silhouette)
        assert many.fragments.kernel.max() < count

    def test_across_the_edge_of_the_picture(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        moved = Camera(camera.focal, camera.center + camera.center.new_tensor([-9.0, 6.0]), camera.size)
        large = Camera(camera.focal, moved.center + 20, (camera.size[0] + 40, camera.size[1] + 40))
        inside = renderer.render(kernels, large, attributes).attributes[:, 20:-20, 20:-20]
        torch.testing.assert_close(renderer.render(kernels, moved, attributes).attributes, inside, rtol=1e-4, atol=1e-4)
        assert inside.any()

    def test_a_mesh_is_interpolated_where_its_surface_is(self, renderer, device):
        """Drawn with its corners' places as attributes, a pixel of a hard mesh shows a place its own ray meets."""
        self.only_for("mesh", "Gaussians mix, they do not interpolate")
        if self.differentiable_silhouette:
            pytest.skip("a soft mesh mixes several surfaces")
        kernels, camera, _ = self.scene(device)
        output = renderer.render(kernels, camera, kernels.means)
        inside = output.silhouette > 0
        places = output.attributes[inside] / output.silhouette[inside][:, None]
        rays = camera.rays()[inside]
        depth = (places * rays).sum(-1, keepdim=True)
        torch.testing.assert_close(places, depth * rays, rtol=1e-4, atol=1e-4)

    def test_a_mesh_without_faces_is_refused(self, renderer, device):
        self.only_for("mesh", "volume renderers ignore faces")
        kernels, camera, attributes = self.scene(device)
        with pytest.raises(ValueError, match="faces"):
            renderer.render(Kernels(kernels.means, kernels.precision), camera, attributes)

    def test_faces_do_not_matter_to_volumes(self, renderer, device):
        self.only_for("gaussians", "a mesh is its faces")
        kernels, camera, attributes = self.scene(device)
        faces = torch.zeros(2, 1, 3, dtype=torch.long, device=device)
        with_faces = renderer.render(Kernels(kernels.means, kernels.precision, faces), camera, attributes)
        assert torch.equal(with_faces.attributes, renderer.render(kernels, camera, attributes).attributes)
