import pytest
import torch

pytest.importorskip("nbf_body_anny", reason="the tests draw the free body: install nbf-body-anny")

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def body():
    from nbf_body_anny.body import AnnyBody

    return AnnyBody()
