"""What this package registers."""

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_regressors():
    yield ComponentEntry(
        name="pare-coke",
        target="nbf_regressors.pare_coke:PareCoke",
        config="nbf_regressors.config:PareCokeConfig",
        summary="part-guided pose and shape, and the feature map that kernels are compared with",
    )
