"""Feature banks: the learned features of kernels and background."""
