"""What there can be plugins of: names, hooks, suites, and what the package that is written begins with."""

from __future__ import annotations

from dataclasses import dataclass

_TORCH = ("torch (>=2.6)",)
_NUMPY = ("numpy (>=1.26)",)


@dataclass(frozen=True)
class PluginKind:
    """One kind of plugin as the command line calls it.

    ``hook`` is the kind as the plugin manager calls it; ``prefix`` begins the distribution's name, ``suffix`` ends the
    class's; ``module`` holds the class. ``suite`` is the conformance suite's class, ``contract`` the protocol's.
    ``section`` is where a pipeline names the component. ``summary`` is what the package that is written does.
    """

    name: str
    hook: str
    prefix: str
    suffix: str
    module: str
    contract: str
    suite: str
    section: str
    summary: str
    dependencies: tuple[str, ...] = _TORCH

    @property
    def is_component(self) -> bool:
        """Whether it is a class with a configuration, not a file."""
        return bool(self.contract)

    @property
    def suite_module(self) -> str:
        """The module of nbf-testing that holds the suite."""
        return f"nbf_testing.{self.hook}"

    @property
    def words(self) -> str:
        """The kind in a sentence."""
        return {"dataset": "data set", "protocol": "occlusion protocol"}.get(self.name, self.name.replace("-", " "))


_ALL = (
    PluginKind(
        "body-model", "body_models", "nbf-body-", "Body", "body", "BodyModel", "BodyModelConformance", "body",
        "SMPL's skeleton with a diamond for every bone", (*_TORCH, "roma (>=1.5)"),
    ),
    PluginKind(
        "renderer", "renderers", "nbf-render-", "Renderer", "renderer", "Renderer", "RendererConformance", "renderer",
        "the nearest kernels along each ray, composited front to back", (*_TORCH, "nbf-renderers (>=0.1,<0.2)"),
    ),
    PluginKind(
        "feature-bank", "feature_banks", "nbf-bank-", "Bank", "bank", "FeatureBank", "FeatureBankConformance", "bank",
        "the running mean of each kernel's features",
    ),
    PluginKind(
        "regressor", "regressors", "nbf-regress-", "Regressor", "regressor", "Regressor", "RegressorConformance",
        "regressor", "a tiny convolutional network", (*_TORCH, "roma (>=1.5)"),
    ),
    PluginKind(
        "fitter", "fitters", "nbf-fit-", "Fitter", "fitter", "Fitter", "FitterConformance", "fitter",
        "gradient descent on the translation alone, by keypoints",
    ),
    PluginKind(
        "prior", "priors", "nbf-prior-", "Prior", "prior", "Prior", "PriorConformance", "priors",
        "a Gaussian about the rest pose",
    ),
    PluginKind(
        "dataset", "datasets", "nbf-data-", "Dataset", "dataset", "Dataset", "DatasetConformance", "data",
        "a folder of npz files, one person each", (*_TORCH, *_NUMPY),
    ),
    PluginKind(
        "detector", "detectors", "nbf-detect-", "Detector", "detector", "Detector", "DetectorConformance", "detector",
        "one person about whatever stands out from the border of the photo", _NUMPY,
    ),
    PluginKind(
        "metric", "metrics", "nbf-metric-", "Metric", "metric", "Metric", "MetricConformance", "bench",
        "the median distance of the joints",
    ),
    PluginKind(
        "protocol", "protocols", "nbf-occlude-", "Protocol", "protocol", "OcclusionProtocol", "ProtocolConformance",
        "bench", "one grey patch in the middle of the picture",
    ),
    PluginKind(
        "pipeline", "pipelines", "nbf-pipeline-", "", "", "", "", "", "the demo's pipeline with settings of its own", ()
    ),
    PluginKind("weights", "weights", "nbf-model-", "", "", "", "", "", "trained weights", ()),
)  # fmt: skip

PLUGIN_KINDS = {kind.name: kind for kind in _ALL}
"""The kinds by name."""
