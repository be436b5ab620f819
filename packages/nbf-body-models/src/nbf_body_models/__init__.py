"""SMPL, SMPL-H and SMPL-X behind nbf's body contract. The models themselves are in ``nbf_body_models.body``."""
