"""The documentation site: pages of ``docs/`` and of the packages, reference pages made from the code, a link check.

``python3 tools/dev.py docs`` runs the steps: see :mod:`docsite.build`. What imports nbf runs in the ordinary
environment; ``roles``, ``finish`` and the generator itself run in one of their own, which has no nbf in it.
"""
