"""Every data set and every occlusion protocol of this package keeps its contract."""

import json

import numpy as np
import pytest
from humandata_world import tree
from PIL import Image

from nbf_core.contracts import Chosen
from nbf_core.plugins import get_plugin_manager
from nbf_datasets import plugin
from nbf_datasets.config import ImageFolderConfig, MixedConfig
from nbf_datasets.folder import ImageFolder
from nbf_datasets.humandata.config import HumanDataConfig
from nbf_datasets.humandata.dataset import HumanDataset
from nbf_datasets.mixed import MixedDataset
from nbf_datasets.occlusion import config, protocols
from nbf_testing.datasets import DatasetConformance
from nbf_testing.protocols import ProtocolConformance
from nbf_testing.stick_body import StickBody


class TestImageFolder(DatasetConformance):
    lacks = ("params", "keypoints", "detected", "visible_joints", "kernel_map", "part_map")

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.folder = tmp_path / "photos"
        self.folder.mkdir()
        for number in range(3):
            grey = np.full((8, 10 + number, 3), 40 * number, np.uint8)
            Image.fromarray(grey).save(self.folder / f"{number}.png")

    def make_dataset(self, body):
        return ImageFolder(ImageFolderConfig(path=self.folder, image_size=16), body=body)


class TestMixed(TestImageFolder):
    def make_dataset(self, body):
        manager = get_plugin_manager()
        if "mixed" not in manager.entries("datasets"):
            manager.register(plugin, "nbf-datasets")
        part = {"use": "image-folder", "path": self.folder}
        parts = {"many": {**part, "ratio": 0.7}, "few": {**part, "ratio": 0.3}}
        return MixedDataset(MixedConfig(parts=parts, shared={"image_size": 8}, length=10), body=body)


class TestHumanData(DatasetConformance):
    agreement = None  # the labels of these files are of people without the joints of the suite's body
    options = {}

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.path = tree(tmp_path)

    def make_dataset(self, body):
        options = HumanDataConfig(path=self.path, image_size=48, map_size=12, **self.options)
        return HumanDataset(options, body=body)


class TestAugmentedHumanData(TestHumanData):
    options = {"augment": True, "background_textures": True, "occluder_patches": True, "rotation": 40.0}


class TestPlacedHumanData(TestHumanData):
    """Without cameras in the file: the body is put where its keypoints are seen."""

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.path = tree(tmp_path, with_camera=False)

    def make_body(self):
        return StickBody()


class TestClean(ProtocolConformance):
    def make_protocol(self, seed):
        return protocols.Clean(config.CleanConfig(), seed=seed)


class TestGrid(ProtocolConformance):
    def make_protocol(self, seed):
        return protocols.Grid(config.GridConfig(stride=40), seed=seed)


class TestAdversarial(ProtocolConformance):
    def make_protocol(self, seed):
        return protocols.Adversarial(config.AdversarialConfig(stride=40), seed=seed)


class TestVarying(ProtocolConformance):
    def make_protocol(self, seed):
        return protocols.Varying(config.VaryingConfig(place="drawn", sizes=(0, 40)), seed=seed)


class TestFromFile(ProtocolConformance):
    known = (0, 1)

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.folder = tmp_path / "lists"
        grid = protocols.Adversarial(config.AdversarialConfig(stride=40))
        case = grid.cases[0]
        places = grid.occluders(case, (224, 224), 0)
        path = grid.write(self.folder, case, "mpjpe", {i: Chosen(places[i], 1.0) for i in self.known}, {})
        assert json.loads(path.read_text())

    def make_protocol(self, seed):
        return protocols.FromFile(config.FileConfig(folder=self.folder, metrics=("mpjpe",)), seed=seed)
