"""The free body keeps the contract of body models."""

from nbf_body_anny.body import AnnyBody
from nbf_body_anny.config import AnnyConfig
from nbf_testing.body_models import BodyModelConformance


class TestAnny(BodyModelConformance):
    def make_body(self):
        return AnnyBody(AnnyConfig())
