"""The page that turns bodies in 3D, in a real browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import Page, chromium, find_chromium

import nbf_run
from nbf_core.errors import InputError

pytest.importorskip("viser", reason="viser (nbf-run[viewer]) is not installed")

PANEL = 560
"""The panel of controls is to the right of this column."""


@pytest.fixture
def results(pipeline: Path):
    """Two photos of one body, the second farther to the left, with two steps of the fit between."""
    grey = np.full((90, 120, 3), 128, np.uint8)
    image = nbf_run.load(pipeline).fit(grey)[0]
    images = []
    for shift in (0.0, -0.6):
        person = image.people[0]
        moved = replace(person.fitted, vertices=person.fitted.vertices + np.float32([shift, 0, 0]))
        history = {0: moved.vertices + np.float32([0, 0.9, 0]), 5: moved.vertices + np.float32([0, 0.4, 0])}
        people = (replace(person, fitted=moved, history=history),)
        images.append(replace(image, people=people, name=f"photo-{shift}.png"))
    return images


@pytest.fixture
def viewer(results):
    with nbf_run.Viewer(results, port=8970) as viewer:
        yield viewer


@pytest.fixture
def page(viewer, tmp_path: Path):
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is installed")
    with chromium(path, tmp_path / "profile") as page:
        page.open(viewer.url)
        yield page


def blue(page: Page) -> np.ndarray:
    """All blue pixels (x, y) left of the panel."""
    picture = page.picture()[:, :PANEL].astype(int)
    return np.argwhere((picture[..., 2] - picture[..., 0] > 60) & (picture[..., 2] > 90))[:, ::-1]


def corners_of(page: Page) -> np.ndarray:
    """The corners of the body's box; infinite where there is none."""
    points = blue(page)
    return np.stack([points.min(0), points.max(0) + 1]) if len(points) > 300 else np.full((2, 2), np.inf)


def body(page: Page) -> np.ndarray | None:
    """The body's middle, None where there is none."""
    points = blue(page)
    return points.mean(0) if len(points) > 300 else None


def moved(page: Page, before: np.ndarray) -> np.ndarray | None:
    """Where the body is, once it is somewhere else; None as long as it is not."""
    now = body(page)
    return now if now is not None and np.abs(now - before).max() > 8 else None


def place_of(page: Page, text: str) -> tuple[float, float]:
    """The middle of the button or slider that is called so."""
    script = f"""(() => {{
        const all = [...document.querySelectorAll('button, [role=slider], label')];
        const found = all.find(e => (e.innerText || e.getAttribute('aria-label') || '').trim() === {text!r});
        if (!found) return null;
        found.scrollIntoView({{block: 'center'}});
        const box = found.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2];
    }})()"""
    return tuple(page.until(lambda: page.run(script), f"a control called {text}"))


def press(page: Page, slider: int, key: str, code: int) -> None:
    """Put the focus on a slider (by its number from the top) and press a key."""
    page.run(f"document.querySelectorAll('[role=slider]')[{slider}].focus()")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)


def test_the_page_shows_turns_and_scrubs(viewer, page: Page):
    first = page.until(lambda: body(page), "a body on the page")
    text = page.run("document.body.innerText")
    assert "photo-0.0.png" in text and "the fit" in text and "keypoint error" in text
    # Everything comes from this machine.
    assert page.requests and all(url.startswith((viewer.url, "data:", "blob:")) for url in page.requests)

    press(page, 1, "Home", 36)  # the fit's slider: back to the network's estimate
    page.until(
        lambda: "the network’s estimate" in page.run("document.body.innerText").replace("'", "’"), "the estimate"
    )
    press(page, 1, "ArrowRight", 39)
    page.until(lambda: "step 0" in page.run("document.body.innerText"), "the first step of the fit")
    lower = page.until(lambda: moved(page, first), "the body at an earlier step")
    assert lower[1] > first[1] + 8  # there it is farther down
    press(page, 1, "End", 35)
    page.until(lambda: "the fit" in page.run("document.body.innerText"), "the end of the fit")

    press(page, 0, "End", 35)  # the slider of photos
    page.until(lambda: "photo--0.6.png" in page.run("document.body.innerText"), "the second photo")
    page.until(lambda: moved(page, first), "the second photo's body elsewhere")
    press(page, 0, "Home", 36)
    page.until(lambda: "photo-0.0.png" in page.run("document.body.innerText"), "the first photo again")

    page.click(*place_of(page, "From the camera"))
    # The page has the photo's field of view then, and the body the size and place that the camera saw it in.
    height, width = page.picture().shape[:2]
    image = viewer.results[0]
    vertices = image.people[0].fitted.vertices
    seen = vertices[:, :2] / vertices[:, 2:] * image.camera.focal.numpy() * (height / image.camera.size[0])
    corners = np.stack([seen.min(0), seen.max(0)]) + np.array([width / 2, height / 2])
    page.until(lambda: np.abs(corners_of(page) - corners).max() < 0.03 * height, "the body as the camera saw it", 20)
    page.click(*place_of(page, "From beside"))
    page.until(lambda: np.abs(corners_of(page) - corners).max() > 0.06 * height, "the body from beside")
    before = page.picture()[:, :PANEL].astype(int)
    page.drag((100, 500), (260, 450))
    page.until(lambda: np.abs(page.picture()[:, :PANEL] - before).mean() > 3, "the view turned by hand")
    assert not page.faults


def test_a_damaged_result_says_so_and_the_others_stay(results):
    class Run(list):
        def __getitem__(self, index):
            if index == 1:
                raise InputError("two/result.json: damaged")
            return super().__getitem__(index)

    with nbf_run.Viewer(Run(results), port=8971) as viewer:
        viewer.show(1)
        assert "two/result.json: damaged" in viewer._title.content
        viewer.show(0)
        assert "photo-0.0.png" in viewer._title.content


def test_nothing_to_show():
    with pytest.raises(InputError, match="no results"):
        nbf_run.Viewer([])
