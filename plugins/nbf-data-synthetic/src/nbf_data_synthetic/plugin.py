"""The nbf plugin: the data set ``synthetic``."""

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_datasets():
    """The data set of this package."""
    yield ComponentEntry(
        name="synthetic",
        target="nbf_data_synthetic.dataset:SyntheticPeople",
        config="nbf_data_synthetic.config:SyntheticConfig",
        summary="rendered people in real poses with exact labels, deterministic by seed",
        requires=("nbf-data-synthetic",),
    )
