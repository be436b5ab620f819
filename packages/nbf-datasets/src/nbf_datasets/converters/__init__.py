"""From data sets as they are distributed to HumanData.

``registry`` (what there is, and which files each writes), ``config`` (options), ``run`` (the calls), ``rows`` (samples
as they are collected, and why others are left out), ``source`` (annotation files, read with care), ``boxes``,
``poses``, ``eft`` and ``neuralannot`` (bodies that others fitted), and a module a data set.
"""
