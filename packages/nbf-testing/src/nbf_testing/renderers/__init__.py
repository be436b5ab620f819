"""The conformance suite of renderers: subclass :class:`RendererConformance` in a test file, pytest does the rest."""

from nbf_testing.renderers._base import INPUTS, Claims
from nbf_testing.renderers._camera import CameraTests
from nbf_testing.renderers._contract import ContractTests
from nbf_testing.renderers._errors import ErrorTests
from nbf_testing.renderers._fragments import FragmentTests
from nbf_testing.renderers._gradients import GradientTests
from nbf_testing.renderers._reference import ReferenceTests
from nbf_testing.renderers._sampling import SamplingTests
from nbf_testing.renderers._score import ScoreTests

__all__ = ["INPUTS", "Claims", "RendererConformance"]


class RendererConformance(
    ContractTests,
    CameraTests,
    FragmentTests,
    GradientTests,
    SamplingTests,
    ReferenceTests,
    ScoreTests,
    ErrorTests,
):
    """What every renderer must do. A plugin's test file is::

        class TestMine(RendererConformance):
            def make_renderer(self, **options):
                return MyRenderer(MyConfig(**options))

    The suite builds the renderer without options, and for the comparison with the reference with ``max_kernels``,
    ``threshold`` and ``absorptivity`` of the published model. A renderer that does less overrides what it claims;
    the tests that fall away appear as skipped, with the reason:

    ``primitive``
        ``"gaussians"``, or ``"mesh"``: scenes then consist of small closed meshes over the kernels, and what only
        Gaussians do is skipped.
    ``differentiable``
        the inputs it has gradients for, of ``means``, ``precision``, ``focal``, ``center``, ``attributes``.
    ``differentiable_silhouette``
        False for a mesh with hard outlines: the gradient of coverage is then not asked for.
    ``dtypes``, ``devices``
        the dtypes, and of ``cpu``, ``cuda`` and ``mps`` those it runs on. Tests run on each that is at hand.
    ``reference``
        ``"module:function"`` with the dense formulas it must agree with, called as
        :func:`nbf_renderers.render_dense` is; None for another model than the published volume rendering.
    ``approximate``
        an absolute error that it grants itself against the reference, beyond rounding.
    """
