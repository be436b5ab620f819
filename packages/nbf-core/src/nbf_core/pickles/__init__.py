"""Reads other people's pickles, and npz files that hold pickles, without running anything that is in them.

Nothing here unpickles: the operations of a pickle are followed by a small machine of our own that knows no Python
objects, only plain values and notes of what the file wants made. Of these, arrays of numbers and text, sparse
matrices and chumpy's stored arrays are then read; any other name ends the reading before anything is made of it.
"""

from nbf_core.pickles.files import MOST_BYTES, read_npy, read_npz, read_pickle, read_pickled_arrays
from nbf_core.pickles.values import Unread

__all__ = ["MOST_BYTES", "Unread", "read_npy", "read_npz", "read_pickle", "read_pickled_arrays"]
