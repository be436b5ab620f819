"""A z-buffer for triangle meshes on a CPU. The same input gives the same bits on any machine."""

from nbf_raster.raster import RasterResult, interpolate, rasterise
from nbf_raster.shade import lambert, vertex_normals

__all__ = ["RasterResult", "interpolate", "lambert", "rasterise", "vertex_normals"]
