"""The data set ``pose2sim``: a real person, four calibrated cameras, 25 moments. Importing this imports no torch."""
