"""The nbf plugin: the data set ``image-folder``."""

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
