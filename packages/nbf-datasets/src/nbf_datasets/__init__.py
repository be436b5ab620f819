"""Data sets: ``nbf_datasets.patches`` (occluders), ``nbf_datasets.folder`` (image folders)."""
