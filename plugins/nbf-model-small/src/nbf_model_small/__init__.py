"""The weights ``small`` and the pipeline that made them."""
