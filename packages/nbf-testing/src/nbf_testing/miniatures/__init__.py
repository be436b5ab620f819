"""Miniatures of published data sets: a few small pictures each, annotated in that data set's own files and formats.

``tree`` (the whole published folder tree; also ``python -m nbf_testing.miniatures FOLDER``), ``figure`` (a body of 24
joints), ``people`` (who is in the pictures), ``films`` and ``stills`` (a function a data set). What they hold is made
up: no one's data is in it.
"""

from nbf_testing.miniatures.people import SIZE, Crowd, Person
from nbf_testing.miniatures.tree import DATA_SETS, write_tree

__all__ = ["DATA_SETS", "SIZE", "Crowd", "Person", "write_tree"]
