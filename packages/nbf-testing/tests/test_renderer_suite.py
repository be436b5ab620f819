"""The suite catches renderers that are wrong in known ways, each by the test that says so."""

import inspect

import pytest
import torch

from nbf_core.types import Camera, Fragments, Kernels
from nbf_testing.fake_mesh import FakeMeshRenderer
from nbf_testing.renderers import RendererConformance

nbf_renderers = pytest.importorskip("nbf_renderers", reason="wrong renderers are made from the Gaussian one")


class Right(nbf_renderers.GaussianRenderer):
    """Nothing is wrong with it."""

    def __init__(self, **options):
        super().__init__(nbf_renderers.GaussianConfig(**options))


def changed(output, **values):
    """The same result with some of its fields, or of its fragments' fields, replaced."""
    names = {"attributes", "silhouette", "score"}
    fragments = {**vars(output.fragments), **{k: v for k, v in values.items() if k not in names}}
    own = {**vars(output), **{k: v for k, v in values.items() if k in names}, "fragments": Fragments(**fragments)}
    return type(output)(**own)


def moved(kernels, means):
    return Kernels(means, kernels.precision, kernels.faces)


class Transposed(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        output = super().render(kernels, camera, attributes, max_kernels)
        return changed(output, attributes=output.attributes.transpose(1, 2))


class MixedUpAxes(Right):
    """Rows for columns, in a picture of the right size."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        output = super().render(kernels, camera, attributes, max_kernels)
        silhouette = output.silhouette.transpose(1, 2).reshape(output.silhouette.shape)
        attributes = output.attributes.transpose(1, 2).reshape(output.attributes.shape)
        return changed(output, attributes=attributes, silhouette=silhouette)


class HalfPixel(Right):
    """Has its pixel centres at integers."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        camera = Camera(camera.focal, camera.center + 0.5, camera.size)
        return super().render(kernels, camera, attributes, max_kernels)


class SwappedFocal(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        camera = Camera(camera.focal.flip(-1), camera.center, camera.size)
        return super().render(kernels, camera, attributes, max_kernels)


class SwappedCenter(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        camera = Camera(camera.focal, camera.center.flip(-1), camera.size)
        return super().render(kernels, camera, attributes, max_kernels)


class CenteredAlways(Right):
    """Ignores the principal point."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        middle = camera.center.new_tensor([camera.size[1] / 2, camera.size[0] / 2]).expand_as(camera.center)
        return super().render(kernels, Camera(camera.focal, middle, camera.size), attributes, max_kernels)


class FarFirst(Right):
    """Looks from behind."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        means = kernels.means * torch.tensor([1.0, 1.0, -1.0]).to(kernels.means) + 6 * torch.tensor([0, 0, 1]).to(
            kernels.means
        )
        return super().render(moved(kernels, means), camera, attributes, max_kernels)


class Unordered(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        output = super().render(kernels, camera, attributes, max_kernels)
        rows = {name: getattr(output.fragments, name).flip(1) for name in ("kernel", "weight", "depth")}
        return changed(output, **rows)


class DepthIsZ(Right):
    """Depth along the optical axis, not along the ray."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        output = super().render(kernels, camera, attributes, max_kernels)
        cosine = camera.rays()[..., 2].flatten()[output.fragments.pixel]
        return changed(output, depth=output.fragments.depth * cosine[:, None])


class SeesBehind(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        flipped = torch.where(kernels.means[..., 2:] < 0, -kernels.means, kernels.means)
        return super().render(moved(kernels, flipped), camera, attributes, max_kernels)


class Detached(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        return super().render(kernels.detach(), camera, attributes, max_kernels)


class HalfGradient(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        half = kernels.means / 2 + kernels.means.detach() / 2
        return super().render(moved(kernels, half), camera, attributes, max_kernels)


class NoCameraGradient(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        return super().render(kernels, camera.detach(), attributes, max_kernels)


class ConstantWeights(Right):
    """The picture has gradients, the fragments have none."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        output = super().render(kernels, camera, attributes, max_kernels)
        return changed(output, weight=output.fragments.weight.detach())


class OneCameraForAll(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        camera = camera.map(lambda value: value[:1].expand_as(value))
        return super().render(kernels, camera, attributes, max_kernels)


class LeakingGradient(Right):
    """A person's gradient reaches the others of the batch."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        mean = kernels.means.mean(0, keepdim=True)
        return super().render(moved(kernels, kernels.means + mean - mean.detach()), camera, attributes, max_kernels)


class LosesNothing(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        output = super().render(kernels, camera, attributes, max_kernels)
        return changed(output, lost=torch.zeros_like(output.fragments.lost))


class MayLoseAnything(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        output = super().render(kernels, camera, attributes, max_kernels)
        return changed(output, lost=output.fragments.lost * 1e6)


class LosesWhereNothingIsCut(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        output = super().render(kernels, camera, attributes, max_kernels)
        return changed(output, lost=output.fragments.lost + 0.01)


class DropsSilently(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        output = super().render(kernels, camera, attributes, max_kernels)
        return changed(output, truncated=torch.zeros_like(output.fragments.truncated))


class KeepsAnyKernels(Right):
    """Keeps the last of the list, not the nearest."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        reverse = torch.tensor([1.0, 1.0, -1.0]).to(kernels.means)
        if max_kernels == 3:
            kernels = moved(kernels, kernels.means * reverse + (1 - reverse) * 3)
        return super().render(kernels, camera, attributes, max_kernels)


class Drifting(Right):
    """Its second picture is not its first."""

    calls = 0

    def render(self, kernels, camera, attributes, max_kernels=None):
        self.calls += 1
        camera = Camera(camera.focal * (1 + 0.01 * self.calls), camera.center, camera.size)
        return super().render(kernels, camera, attributes, max_kernels)


class ReusedBuffer(Right):
    """Writes every picture into the same memory."""

    buffer = None

    def render(self, kernels, camera, attributes, max_kernels=None):
        output = super().render(kernels, camera, attributes, max_kernels)
        if self.buffer is None:
            self.buffer = output.silhouette.detach().clone()
        else:
            self.buffer[: len(output.silhouette)] = output.silhouette.detach()
        return changed(output, silhouette=self.buffer[: len(output.silhouette)])


class OverwritesInputs(Right):
    def render(self, kernels, camera, attributes, max_kernels=None):
        output = super().render(kernels, camera, attributes, max_kernels)
        attributes.detach().mul_(0.5)
        return output


class RemembersTheLastCall(Right):
    """Its backward pass reads what the last forward pass left."""

    calls = 0

    def render(self, kernels, camera, attributes, max_kernels=None):
        self.calls += 1
        mine, means = self.calls, kernels.means * 1
        if means.requires_grad:
            means.register_hook(lambda gradient: gradient * (1 + self.calls - mine))
        return super().render(moved(kernels, means), camera, attributes, max_kernels)


class ReadsMemoryAsItComes(Right):
    """Takes every tensor for contiguous."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        means = kernels.means
        if not means.is_contiguous():
            means = torch.as_strided(means, means.shape, means.contiguous().stride())
        return super().render(moved(kernels, means), camera, attributes, max_kernels)


class Float64Inside(Right):
    """Gives back another dtype than it was given."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        output = super().render(kernels, camera, attributes, max_kernels)
        return changed(output, attributes=output.attributes.double())


class Coarse(Right):
    """Rounds places to a centimetre."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        means = kernels.means
        rounded = means + ((means / 0.01).round() * 0.01 - means).detach() if means.dtype == torch.float32 else means
        return super().render(moved(kernels, rounded), camera, attributes, max_kernels)


class TooOpaque(Right):
    """Twice the absorptivity it was told."""

    def __init__(self, absorptivity=1.0, **options):
        super().__init__(absorptivity=2 * absorptivity, **options)


class Unchecked(Right):
    """Lets the attributes' shape pass until something else complains."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        count = kernels.means.shape[1]
        if attributes.shape[-2] != count:
            raise RuntimeError("index out of range")
        return super().render(kernels, camera, attributes, max_kernels)


class PlainMean(Right):
    """Samples without weights."""

    def sample(self, fragments, features, kernels):
        ones = Fragments(**{**vars(fragments), "weight": (fragments.kernel >= 0).to(fragments.weight)})
        return super().sample(ones, features, kernels)


class AllVisible(Right):
    """Calls visible what is in any slot."""

    def sample(self, fragments, features, kernels):
        mean, visible = super().sample(fragments, features, kernels)
        visible = torch.zeros_like(visible)
        seen = fragments.kernel >= 0
        visible[fragments.person[:, None].expand_as(seen)[seen], fragments.kernel[seen]] = True
        return mean, visible


class NotNormalised(Right):
    """Scores by rendered features of any length."""

    def score(self, kernels, camera, orientation, similarities, max_kernels=None):
        output = super().score(kernels, camera, orientation, similarities, max_kernels)
        return changed(output, score=output.score * output.silhouette)


class ScoresWithItsOwnMaxKernels(Right):
    def score(self, kernels, camera, orientation, similarities, max_kernels=None):
        return super().score(kernels, camera, orientation, similarities)


class ScoresWithoutOrientation(Right):
    """Has no gradient for the orientation weights."""

    def score(self, kernels, camera, orientation, similarities, max_kernels=None):
        return super().score(kernels, camera, orientation.detach(), similarities, max_kernels)


class LearnsSimilarities(Right):
    def score(self, kernels, camera, orientation, similarities, max_kernels=None):
        output = super().score(kernels, camera, orientation, similarities, max_kernels)
        return changed(output, score=output.score + 0 * similarities.table.sum())


class Affine(FakeMeshRenderer):
    """A mesh interpolated in the picture, without perspective."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        output = super().render(kernels, camera, attributes, max_kernels)
        fragments = output.fragments
        weight = fragments.weight / kernels.means[fragments.person[:, None], fragments.kernel, 2]
        weight = weight / weight.sum(1, keepdim=True)
        rows = attributes[fragments.person[:, None], fragments.kernel]
        picture = torch.zeros_like(output.attributes).flatten(0, 2)
        picture[fragments.pixel] = (weight[..., None] * rows).sum(1)
        return changed(output, weight=weight, attributes=picture.view_as(output.attributes))


class InventsFaces(FakeMeshRenderer):
    def render(self, kernels, camera, attributes, max_kernels=None):
        if kernels.faces is None:
            faces = torch.arange(3, device=kernels.means.device).expand(len(kernels.means), 1, 3)
            kernels = Kernels(kernels.means, kernels.precision, faces)
        return super().render(kernels, camera, attributes, max_kernels)


def suite_of(renderer, **claims):
    """An instance of the suite for a renderer class."""
    make = {"make_renderer": lambda self, **options: renderer(**options)}
    return type("Suite", (RendererConformance,), {**make, **claims})()


MESH = {
    "primitive": "mesh",
    "reference": None,
    "differentiable": ("means", "focal", "center", "attributes"),
    "differentiable_silhouette": False,
}


def run(suite, test, **arguments):
    """One test of the suite, called as pytest would."""
    method = getattr(suite, test)
    given = {"renderer": suite.make_renderer(), "device": "cpu", "dtype": torch.float64, **arguments}
    method(**{name: given[name] for name in inspect.signature(method).parameters})


FINITE = "test_gradients_match_finite_differences"
CUT = "test_what_is_cut_off_is_counted_and_bounded"
SCORE = "test_score_equals_comparing_drawn_features"
MISTAKES = [
    (Transposed, "test_shapes_dtype_and_device", {"anisotropic": False, "shared": False}),
    (MixedUpAxes, "test_picture_is_made_of_its_fragments", {}),
    (MixedUpAxes, "test_a_kernel_lights_the_pixel_it_projects_to", {}),
    (HalfPixel, "test_a_lone_kernel_is_symmetric_about_its_pixel", {}),
    (HalfPixel, "test_pictures_agree_with_the_reference", {"case": "defaults"}),
    (SwappedFocal, "test_a_kernel_lights_the_pixel_it_projects_to", {}),
    (SwappedFocal, "test_pictures_agree_with_the_reference", {"case": "one-kernel"}),
    (SwappedCenter, "test_a_kernel_lights_the_pixel_it_projects_to", {}),
    (CenteredAlways, "test_the_camera_of_a_crop_draws_the_crop", {}),
    (FarFirst, "test_the_nearer_kernel_comes_first_and_hides_the_other", {}),
    (Unordered, "test_fragments_are_well_formed", {"max_kernels": None}),
    (DepthIsZ, "test_depth_is_where_the_density_peaks", {"anisotropic": False}),
    (SeesBehind, "test_kernels_behind_the_camera_draw_nothing", {}),
    (SeesBehind, "test_what_is_behind_or_beside_changes_nothing", {}),
    (Detached, FINITE, {"name": "means", "anisotropic": False}),
    (HalfGradient, FINITE, {"name": "means", "anisotropic": True}),
    (HalfGradient, "test_silhouette_gradients_match_finite_differences", {"name": "means"}),
    (HalfGradient, "test_gradients_agree_with_the_reference", {"case": "anisotropic"}),
    (HalfGradient, "test_sampled_features_carry_gradients_to_the_means", {}),
    (NoCameraGradient, FINITE, {"name": "focal", "anisotropic": False}),
    (NoCameraGradient, "test_gradients_are_finite_whatever_the_weights", {}),
    (ConstantWeights, "test_weight_gradients_match_finite_differences", {"name": "means"}),
    (OneCameraForAll, "test_people_of_a_batch_do_not_meet", {}),
    (LeakingGradient, "test_gradients_of_a_batch_do_not_meet", {}),
    (LosesNothing, CUT, {"max_kernels": 1}),
    (MayLoseAnything, CUT, {"max_kernels": 3}),
    (LosesWhereNothingIsCut, "test_nothing_is_lost_where_nothing_is_cut", {}),
    (DropsSilently, CUT, {"max_kernels": 3}),
    (KeepsAnyKernels, CUT, {"max_kernels": 3}),
    (Drifting, "test_repeats_to_the_last_bit", {}),
    (Drifting, "test_a_call_leaves_its_inputs_and_earlier_results_alone", {}),
    (ReusedBuffer, "test_a_call_leaves_its_inputs_and_earlier_results_alone", {}),
    (OverwritesInputs, "test_a_call_leaves_its_inputs_and_earlier_results_alone", {}),
    (RemembersTheLastCall, "test_gradients_survive_a_call_in_between", {}),
    (ReadsMemoryAsItComes, "test_layout_in_memory_does_not_matter", {}),
    (Float64Inside, "test_shapes_dtype_and_device", {"anisotropic": True, "shared": True, "dtype": torch.float32}),
    (Coarse, "test_float32_is_accurate_for_a_person_at_forty_metres", {}),
    (TooOpaque, "test_pictures_agree_with_the_reference", {"case": "crowded"}),
    (Unchecked, "test_wrong_shapes_are_refused", {"name": "attributes"}),
    (PlainMean, "test_sampling_weighs_by_the_fragments_weights", {}),
    (AllVisible, "test_sampling_is_a_mean_over_visible_pixels", {}),
    (NotNormalised, SCORE, {"bins": 3, "max_kernels": None}),
    (ScoresWithItsOwnMaxKernels, SCORE, {"bins": 1, "max_kernels": 1}),
    (ScoresWithoutOrientation, "test_score_gradients_equal_those_of_drawn_features",
     {"name": "orientation", "anisotropic": False}),
    (LearnsSimilarities, "test_similarities_get_no_gradient", {}),
]  # fmt: skip


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(
    ("wrong", "test", "arguments"), MISTAKES, ids=[f"{wrong.__name__}-{test}" for wrong, test, _ in MISTAKES]
)
def test_the_suite_catches(wrong, test, arguments):
    run(suite_of(Right), test, **arguments)
    with pytest.raises((Exception, pytest.fail.Exception)):
        run(suite_of(wrong), test, **arguments)


@pytest.mark.parametrize(
    ("wrong", "test"),
    [
        (Affine, "test_a_mesh_is_interpolated_where_its_surface_is"),
        (InventsFaces, "test_a_mesh_without_faces_is_refused"),
    ],
)
def test_the_suite_catches_a_wrong_mesh(wrong, test):
    run(suite_of(FakeMeshRenderer, **MESH), test)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run(suite_of(wrong, **MESH), test)


def test_devices_and_dtypes_that_do_not_apply_are_skipped_with_a_reason():
    found = {}

    class Metafunc:
        fixturenames = ("device", "dtype")

        def parametrize(self, name, values):
            found[name] = values

    suite_of(Right, devices=("quantum",), dtypes=(torch.float32,)).pytest_generate_tests(Metafunc())
    (nowhere,) = found["device"]
    assert "runs on quantum only" in nowhere.marks[0].kwargs["reason"]
    single, double = found["dtype"]
    assert not single.marks and "does not claim float64" in double.marks[0].kwargs["reason"]
    suite_of(Right).pytest_generate_tests(Metafunc())
    assert found["device"][0] == "cpu" and not any(value.marks for value in found["dtype"])


def test_options_are_handed_over_where_they_are_taken():
    class Fixed(RendererConformance):
        def make_renderer(self):
            return Right()

    with pytest.raises(pytest.skip.Exception, match="options"):
        Fixed().built_with(max_kernels=3)
    assert suite_of(Right).built_with(max_kernels=3).config.max_kernels == 3
    with pytest.raises(NotImplementedError, match="made"):
        RendererConformance().make_renderer()


def test_a_reference_that_is_not_installed_is_a_reason_to_skip():
    with pytest.raises(pytest.skip.Exception, match="no_such_module"):
        suite = suite_of(Right, reference="no_such_module:formulas")
        run(suite, "test_pictures_agree_with_the_reference", case="defaults")
