"""The nbf plugin: the data sets ``image-folder``, ``humandata`` and ``mixed``, and the occlusion protocols."""

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
        name="humandata",
        target="nbf_datasets.humandata.dataset:HumanDataset",
        config="nbf_datasets.humandata.config:HumanDataConfig",
        summary="people of a HumanData file (npz), as MMHuman3D and the published project keep them",
        requires=("nbf-datasets",),
    )
    yield ComponentEntry(
        name="mixed",
        target="nbf_datasets.mixed:MixedDataset",
        config="nbf_datasets.config:MixedConfig",
        summary="several data sets in fixed proportions, with an epoch of fixed length",
        requires=("nbf-datasets",),
    )


_PROTOCOLS = (
    ("clean", "Clean", "people as they are"),
    ("grid", "Grid", "a square patch at every position of a grid, in turn"),
    ("adversarial", "Adversarial", "for each person and metric the grid's worst position (AdvOcc)"),
    ("varying", "Varying", "one patch a person, of sizes from 0 to 155"),
    ("file", "FromFile", "the occluders of published lists (result_occ_info_METRIC.json)"),
)


@hookimpl
def nbf_protocols():
    """The occlusion protocols of this package."""
    for name, target, summary in _PROTOCOLS:
        yield ComponentEntry(
            name=name,
            target=f"nbf_datasets.occlusion.protocols:{target}",
            config=f"nbf_datasets.occlusion.config:{'File' if name == 'file' else target}Config",
            summary=summary,
            requires=("nbf-datasets",),
        )
