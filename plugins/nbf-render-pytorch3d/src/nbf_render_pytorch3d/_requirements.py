"""What the renderer needs to run. Imports nothing: a listing of plugins reads it."""

# A build of PyTorch3D that comes as a wheel, and the torch that it was built for; environment.toml says the same.
REQUIREMENTS = ("torch==2.12.1", "easypytorch3d==0.7.9.post1")
