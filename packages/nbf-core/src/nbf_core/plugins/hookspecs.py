"""The hooks. Each docstring is a complete example plugin."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from nbf_core.plugins.records import ComponentEntry, PipelineEntry, WeightsEntry

CONTRACT = 1
"""The contract's version. A plugin module says ``NBF_CONTRACT = 1`` and is refused where it differs."""

hookspec = pluggy.HookspecMarker("nbf")
hookimpl = pluggy.HookimplMarker("nbf")


class NbfSpecs:
    """One hook a kind of component; none takes arguments."""

    @hookspec
    def nbf_body_models(self) -> Iterable[ComponentEntry]:
        """Body models: parameters to a posed body.

        Example::

            from nbf_core.plugins import ComponentEntry, hookimpl

            NBF_CONTRACT = 1

            @hookimpl
            def nbf_body_models():
                yield ComponentEntry(
                    name="stick", target="my_body.stick:StickBody", config="my_body.config:StickConfig",
                    summary="a body of 24 spheres",
                )
        """

    @hookspec
    def nbf_renderers(self) -> Iterable[ComponentEntry]:
        """Renderers: kernels to pixels and back.

        Example::

            from nbf_core.plugins import ComponentEntry, hookimpl

            NBF_CONTRACT = 1

            @hookimpl
            def nbf_renderers():
                yield ComponentEntry(
                    name="splat", target="my_renderer.splat:SplatRenderer",
                    config="my_renderer.config:SplatConfig", summary="one pixel a kernel",
                )
        """

    @hookspec
    def nbf_feature_banks(self) -> Iterable[ComponentEntry]:
        """Feature banks: the learned features of kernels and background.

        Example::

            from nbf_core.plugins import ComponentEntry, hookimpl

            NBF_CONTRACT = 1

            @hookimpl
            def nbf_feature_banks():
                yield ComponentEntry(
                    name="fixed", target="my_bank.fixed:FixedBank", config="my_bank.config:FixedConfig",
                    summary="features that never move",
                )
        """

    @hookspec
    def nbf_regressors(self) -> Iterable[ComponentEntry]:
        """Regressors: an image to a first estimate and a feature map.

        Example::

            from nbf_core.plugins import ComponentEntry, hookimpl

            NBF_CONTRACT = 1

            @hookimpl
            def nbf_regressors():
                yield ComponentEntry(
                    name="mean", target="my_regressor.mean:MeanRegressor",
                    config="my_regressor.config:MeanConfig", summary="always the mean body",
                )
        """

    @hookspec
    def nbf_fitters(self) -> Iterable[ComponentEntry]:
        """Fitters: an observation and a start to a fitted body.

        Example::

            from nbf_core.plugins import ComponentEntry, hookimpl

            NBF_CONTRACT = 1

            @hookimpl
            def nbf_fitters():
                yield ComponentEntry(
                    name="still", target="my_fitter.still:StillFitter", config="my_fitter.config:StillConfig",
                    summary="returns the start",
                )
        """

    @hookspec
    def nbf_priors(self) -> Iterable[ComponentEntry]:
        """Priors: how unlikely a pose or shape is.

        Example::

            from nbf_core.plugins import ComponentEntry, hookimpl

            NBF_CONTRACT = 1

            @hookimpl
            def nbf_priors():
                yield ComponentEntry(
                    name="rest", target="my_prior.rest:RestPrior", config="my_prior.config:RestConfig",
                    summary="squared distance from the rest pose",
                )
        """

    @hookspec
    def nbf_datasets(self) -> Iterable[ComponentEntry]:
        """Data sets: samples to train on and to measure with.

        Example::

            from nbf_core.plugins import ComponentEntry, hookimpl

            NBF_CONTRACT = 1

            @hookimpl
            def nbf_datasets():
                yield ComponentEntry(
                    name="album", target="my_data.album:Album", config="my_data.config:AlbumConfig",
                    summary="a folder of labelled photos",
                )
        """

    @hookspec
    def nbf_detectors(self) -> Iterable[ComponentEntry]:
        """Detectors: people and their 2D keypoints in an image.

        Example::

            from nbf_core.plugins import ComponentEntry, hookimpl

            NBF_CONTRACT = 1

            @hookimpl
            def nbf_detectors():
                yield ComponentEntry(
                    name="whole", target="my_detector.whole:WholeImage",
                    config="my_detector.config:WholeConfig", summary="one box around everything",
                )
        """

    @hookspec
    def nbf_metrics(self) -> Iterable[ComponentEntry]:
        """Metrics: predictions to one value a sample.

        Example::

            from nbf_core.plugins import ComponentEntry, hookimpl

            NBF_CONTRACT = 1

            @hookimpl
            def nbf_metrics():
                yield ComponentEntry(
                    name="max-error", target="my_metrics.errors:MaxError",
                    config="my_metrics.config:NoOptions", summary="the worst joint's error",
                )
        """

    @hookspec
    def nbf_protocols(self) -> Iterable[ComponentEntry]:
        """Occlusion protocols: which patches are put over the people of a benchmark.

        Example::

            from nbf_core.plugins import ComponentEntry, hookimpl

            NBF_CONTRACT = 1

            @hookimpl
            def nbf_protocols():
                yield ComponentEntry(
                    name="corners", target="my_protocols.corners:Corners",
                    config="my_protocols.config:CornersConfig", summary="a patch in each corner",
                )
        """

    @hookspec
    def nbf_pipelines(self) -> Iterable[PipelineEntry]:
        """Built-in pipelines: TOML files that commands take by name.

        Example::

            from nbf_core.plugins import PipelineEntry, hookimpl

            NBF_CONTRACT = 1

            @hookimpl
            def nbf_pipelines():
                yield PipelineEntry(
                    name="mine", target="my_pipelines:pipelines/mine.toml", summary="how we do it here",
                )
        """

    @hookspec
    def nbf_weights(self) -> Iterable[WeightsEntry]:
        """Trained weights: safetensors files that configurations take by name.

        Example::

            from nbf_core.plugins import WeightsEntry, hookimpl

            NBF_CONTRACT = 1

            @hookimpl
            def nbf_weights():
                yield WeightsEntry(
                    name="mine", target="my_model:data/mine.safetensors", summary="trained on my album",
                )
        """
