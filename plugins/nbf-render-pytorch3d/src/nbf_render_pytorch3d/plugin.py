"""What this package gives to nbf."""

from collections.abc import Iterator

from nbf_core.plugins import ComponentEntry, hookimpl
from nbf_render_pytorch3d._requirements import REQUIREMENTS

NBF_CONTRACT = 1


@hookimpl
def nbf_renderers() -> Iterator[ComponentEntry]:
    """The mesh renderer."""
    yield ComponentEntry(
        name="pytorch3d",
        target="nbf_render_pytorch3d.renderer:PyTorch3DRenderer",
        config="nbf_render_pytorch3d.config:PyTorch3DConfig",
        summary="the body as a mesh, rasterised by PyTorch3D: hard (nearest face) or soft (SoftRas)",
        requires=("nbf-render-pytorch3d", *REQUIREMENTS),
    )
