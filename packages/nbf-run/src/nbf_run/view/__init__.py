"""Looking at results: pictures, videos, meshes, and a page to turn bodies in 3D.

All calls take what :func:`nbf_run.open_run` reads from a run directory, or the results of ``load(...).fit(...)`` as
they are. The command ``nbf-run view`` adds only words.
"""
