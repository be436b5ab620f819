"""What this package registers."""

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_feature_banks():
    yield ComponentEntry(
        name="nearest-memory",
        target="nbf_feature_banks.nearest_memory:NearestMemoryBank",
        config="nbf_feature_banks.config:NearestMemoryConfig",
        summary="unit features per kernel and orientation bin, moved by momentum; a ring of background features",
    )
