import subprocess
import sys

import pytest
import torch
from PIL import Image

from nbf_core.errors import InputError
from nbf_datasets.config import ImageFolderConfig
from nbf_datasets.folder import ImageFolder


def test_images_become_squares_in_the_order_of_their_names(tmp_path):
    Image.new("RGB", (40, 20), (255, 0, 0)).save(tmp_path / "b.png")
    Image.new("L", (20, 40), 128).save(tmp_path / "a.jpg")
    (tmp_path / "notes.txt").write_text("no image")
    data = ImageFolder(ImageFolderConfig(path=tmp_path, image_size=32))
    assert len(data) == 2
    grey, red = data[0], data[1]
    assert grey.image.shape == red.image.shape == (3, 32, 32) and red.image.dtype == torch.uint8
    assert red.image[:, 16, 16].tolist() == [255, 0, 0] and red.image[:, 2, 16].tolist() == [0, 0, 0]
    assert red.lacks == ("params", "keypoints", "detected", "visible_joints", "kernel_map", "part_map")
    assert red.camera.center.tolist() == [16, 16] and int(red.index) == 1


def test_exif_rotation_is_applied(tmp_path):
    image = Image.new("RGB", (40, 20))
    image.paste((255, 255, 255), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to show
    image.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    pixels = ImageFolder(ImageFolderConfig(path=tmp_path, image_size=32))[0].image
    assert pixels[0, 4, 16] > 200 and pixels[0, 28, 16] < 50


def test_errors_name_the_file(tmp_path):
    with pytest.raises(InputError, match="no image"):
        ImageFolder(ImageFolderConfig(path=tmp_path))
    with pytest.raises(InputError, match="nowhere"):
        ImageFolder(ImageFolderConfig(path=tmp_path / "nowhere"))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(InputError, match="broken.png"):
        ImageFolder(ImageFolderConfig(path=tmp_path))[0]


def test_plugin_and_configuration_import_no_torch():
    code = "import sys, nbf_datasets.plugin, nbf_datasets.config; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
