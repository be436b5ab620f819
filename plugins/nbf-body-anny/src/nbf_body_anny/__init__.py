"""A free 24-joint body for nbf, in SMPL's parameters. The model itself is ``nbf_body_anny.body.AnnyBody``."""
