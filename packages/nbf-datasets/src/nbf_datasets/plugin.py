"""The nbf plugin: the data sets ``image-folder`` and ``mixed``."""

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_datasets():
    """The data sets of this package."""
    yield ComponentEntry(
        name="image-folder",
        target="nbf_datasets.folder:ImageFolder",
        config="nbf_datasets.config:ImageFolderConfig",
        summary="the images of a folder, one person crop each, without labels",
        requires=("nbf-datasets",),
    )
    yield ComponentEntry(
        name="mixed",
        target="nbf_datasets.mixed:MixedDataset",
        config="nbf_datasets.config:MixedConfig",
        summary="several data sets in fixed proportions, with an epoch of fixed length",
        requires=("nbf-datasets",),
    )
