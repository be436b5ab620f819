"""Films: one person in one place, who moves as people do, with exact labels."""

import numpy as np
import pytest
import torch

from nbf_core.contracts import FilmDataset
from nbf_core.types.tree import stack
from nbf_data_synthetic.config import SyntheticFilmConfig
from nbf_data_synthetic.films import SyntheticFilms
from nbf_data_synthetic.walking import Gait
from nbf_testing.datasets import DatasetConformance


@pytest.fixture(scope="module")
def films(body):
    return SyntheticFilms(SyntheticFilmConfig(films=2, frames=12, image_size=48, map_size=16), body=body)


@pytest.fixture(scope="module")
def frames(films):
    return [films[index] for index in films.films[1]]


@pytest.fixture(scope="module")
def joints(body, frames):
    """The joints of the second film [12, 24, 3]."""
    return body(stack([frame.params for frame in frames])).joints.numpy()


class TestFilms(DatasetConformance):
    lacks = ()

    @pytest.fixture
    def body(self, request):
        return request.getfixturevalue("body")

    def make_dataset(self, body):
        return SyntheticFilms(SyntheticFilmConfig(films=1, frames=3, image_size=48, map_size=16), body=body)


def test_the_samples_are_the_frames_of_films(films):
    assert isinstance(films, FilmDataset)
    assert len(films) == 24 and [list(film) for film in films.films] == [list(range(12)), list(range(12, 24))]
    assert films.describe(13) == "film-2/0001"


def test_a_film_shows_one_person_and_another_film_another(films, frames):
    assert all(torch.equal(frame.params.betas, frames[0].params.betas) for frame in frames)
    assert not torch.equal(films[0].params.betas, frames[0].params.betas)


def test_the_camera_stands_still_before_the_same_place(frames):
    assert all(torch.equal(frame.camera.focal, frames[0].camera.focal) for frame in frames)
    first, later = (frame.image.float() for frame in (frames[0], frames[-1]))
    empty = (frames[0].kernel_map == -1) & (frames[-1].kernel_map == -1)
    empty = empty.repeat_interleave(3, 0).repeat_interleave(3, 1)
    # A shadow moves, and the camera's noise is another; most of what is behind does not change.
    assert ((first - later).abs().mean(0)[empty] < 16).float().mean() > 0.8


def test_frames_follow_one_another_smoothly(joints):
    step = np.linalg.norm(np.diff(joints, axis=0), axis=-1)
    bend = np.linalg.norm(joints[2:] - 2 * joints[1:-1] + joints[:-2], axis=-1)
    assert 0.005 < step.mean() < 0.15
    assert bend.mean() < 0.03 and bend.max() < 0.2


def test_the_person_gets_on_and_one_foot_stands(joints):
    assert 0.3 < np.linalg.norm(joints[-1, 0] - joints[0, 0]) < 1.5
    slower = np.linalg.norm(np.diff(joints[:, [10, 11]], axis=0), axis=-1).min(1)
    assert np.median(slower) < 0.025


def test_legs_alternate_and_arms_go_against_them():
    gait = Gait.draw(np.random.default_rng(0))
    poses = np.stack([gait.pose(time) for time in np.linspace(0, 1 / gait.frequency, 40, endpoint=False)])
    left, right, arm = poses[:, 1, 0], poses[:, 2, 0], poses[:, 16, 0]
    assert np.corrcoef(left, right)[0, 1] < -0.7
    assert np.corrcoef(left, arm)[0, 1] < -0.5
    assert (poses[:, [4, 5], 0] > -0.1).all()  # knees never bend forward


def test_patches_of_the_free_benchmark_hide_nobody_by_themselves(frames):
    assert all((frame.kernel_map != -2).all() for frame in frames)
    assert all(frame.visible_joints.sum() >= 20 for frame in frames)
