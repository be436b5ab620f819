"""Rotations, cameras and alignment shared by all packages."""
