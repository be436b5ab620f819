"""The nbf plugin: the data sets ``synthetic`` and ``synthetic-film``."""

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_datasets():
    """The data sets of this package."""
    yield ComponentEntry(
        name="synthetic",
        target="nbf_data_synthetic.dataset:SyntheticPeople",
        config="nbf_data_synthetic.config:SyntheticConfig",
        summary="rendered people in real poses with exact labels, deterministic by seed",
        requires=("nbf-data-synthetic",),
    )
    yield ComponentEntry(
        name="synthetic-film",
        target="nbf_data_synthetic.films:SyntheticFilms",
        config="nbf_data_synthetic.config:SyntheticFilmConfig",
        summary="films of rendered people who walk, with exact labels, deterministic by seed",
        requires=("nbf-data-synthetic",),
    )
