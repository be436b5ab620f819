"""Words and pictures about results: figures, files, one page."""
