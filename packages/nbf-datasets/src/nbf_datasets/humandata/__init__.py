"""HumanData, the file format of MMHuman3D and of the published project: one npz of labels for a folder of images.

``archive`` (npz fields, read one at a time), ``points`` (keypoints stored for some joints), ``data`` (the file as a
whole), ``reading`` and ``writing``, ``checking`` (what is wrong, sample by sample), ``sheet`` (pictures with labels),
``dataset`` (typed samples), ``config``.
"""
