"""A local web page that shows fitted bodies in 3D beside their photo; needs ``nbf-run[viewer]``."""

from __future__ import annotations

import contextlib
import io
import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nbf_core.errors import InputError, PluginError
from nbf_run.report.drawing import START_COLOUR
from nbf_run.results import FittedImage
from nbf_run.stored import StoredRun
from nbf_run.view import scene
from nbf_run.view.canvas import Canvas
from nbf_run.view.layers import LAYERS, colour_of, draw
from nbf_run.view.moving import RATE

PORT = 8080

_PLANE_SIDE, _PANEL_SIDE = 1024, 400


def require_viser() -> ModuleType:
    """viser. Raises PluginError in one line where it is not installed."""
    try:
        import viser
    except ImportError as error:
        raise PluginError("the 3D page needs viser: pip install 'nbf-run[viewer]'") from error
    return viser


class Viewer:
    """The page, while it is served. ``url`` is its address; ``close()`` ends it; a ``with`` block closes it too.

    ``results`` are a run as :func:`nbf_run.open_run` reads it, or what ``load(...).fit(...)`` gave. The page turns the
    bodies, goes from picture to picture (it plays films), from the network's estimate through the steps of the fit,
    where the run kept them (``nbf-run fit --trace``), and shows any layer of the picture beside it. It is served to
    this machine alone unless ``host`` says otherwise: 0.0.0.0 shows it, and the photos, to the whole network.
    Raises InputError where there is nothing to show, PluginError where viser is not installed.
    """

    def __init__(self, results: StoredRun | Sequence[FittedImage], host: str = "127.0.0.1", port: int = PORT):
        viser = require_viser()
        self.results, self._lock, self._closed = results, threading.RLock(), threading.Event()
        self._rate = (results.rate if isinstance(results, StoredRun) else None) or RATE
        first, self._image = _first(results)
        self._shown, self._posed = None, None
        self._steps = scene.steps_of(self._image)
        self._server = _start(viser, host, port)
        self.url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '') else host}:{self._server.get_port()}"
        try:
            self._bodies: list[Any] = []
            self._starts: list[Any] = []
            self._set_up()
            self._add_controls(first)
            self.show(first)
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._play, name="nbf-run view", daemon=True).start()

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving."""
        if not self._closed.is_set():
            self._closed.set()
            with contextlib.redirect_stdout(io.StringIO()):  # it speaks where our own output belongs
                self._server.stop()

    def wait(self) -> None:
        """Serve until :meth:`close` is called or the process is interrupted."""
        while not self._closed.wait(0.5):
            pass

    def show(self, index: int) -> None:
        """Go to a result."""
        with self._lock, self._server.atomic():
            if index == self._shown:  # a slider that is pulled asks more often than there is anything new
                return
            self._shown = index
            try:
                self._image = self.results[index]
            except InputError as error:
                self._title.content, self._posed = f"**{error}**", None
                return
            self._steps = scene.steps_of(self._image)
            if self._step is not None:
                last = max(len(self._steps) + 1, 1)
                at_end = self._step.value >= self._step.max
                self._step.max = last
                if at_end or self._step.value > last:
                    self._step.value = last
            self._draw_photo()
            self._draw_bodies()
            self._draw_panel()

    def _set_up(self) -> None:
        """What stays: light, ground, the camera that took the photo."""
        server, image = self._server, self._image
        server.scene.set_up_direction(scene.UP)
        server.scene.world_axes.visible = False
        position, target = scene.beside(image)
        server.initial_camera.position, server.initial_camera.look_at = tuple(position), tuple(target)
        server.initial_camera.up = scene.UP
        height, width = image.camera.size
        self._frustum = server.scene.add_camera_frustum(
            "/camera",
            fov=2 * math.atan(height / 2 / float(image.camera.focal[1])),
            aspect=width / height,
            scale=0.25,
            thickness=1.5,
            thickness_units="screen",
            color=(90, 96, 104),
        )
        self._ground = server.scene.add_grid(
            "/ground", 4.0, 4.0, plane="xz", cell_size=0.5, section_size=1.0, cell_color=(222, 226, 232),
            section_color=(200, 206, 214), shadow_opacity=0.3,
        )  # fmt: skip
        server.scene.configure_default_lights(cast_shadow=True)
        self._plane = None

    def _add_controls(self, first: int) -> None:
        gui, count = self._server.gui, len(self.results)
        # The panel's own furniture: the project has neither a logo nor a tunnel to share this through.
        gui.configure_theme(control_width="large", show_logo=False, show_share_button=False, brand_color=(74, 140, 226))
        gui.set_panel_label("nbf-run view")
        self._title = gui.add_markdown("")
        self._numbers = gui.add_markdown("")
        film = isinstance(self.results, StoredRun) and self.results.is_film
        self._index = self._playing = self._step = None
        if count > 1:
            self._index = gui.add_slider("Frame" if film else "Photo", 1, count, 1, first + 1)
            self._index.on_update(lambda _: self.show(self._index.value - 1))
            self._playing = gui.add_checkbox("Play", False) if film else None
        if self._steps:
            last = len(self._steps) + 1
            self._step = gui.add_slider("Fit", 0, last, 1, last, hint="From the network's estimate to the fitted body")
            self._step.on_update(lambda _: self._draw_bodies())
        self._layer = gui.add_dropdown("Picture", tuple(LAYERS), initial_value="fit")
        self._layer.on_update(lambda _: self._draw_panel())
        self._panel = gui.add_image(np.zeros((8, 8, 3), np.uint8), format="jpeg")
        self._words = gui.add_markdown("")
        for label, move in (("From the camera", self._to_camera), ("From beside", self._to_side)):
            gui.add_button(label).on_click(move)
        with gui.add_folder("In 3D"):
            self._fit_shown = gui.add_checkbox("Fitted body", True)
            self._start_shown = gui.add_checkbox("Estimate", False)
            self._photo_shown = gui.add_checkbox("Photo behind", True)
            self._ground_shown = gui.add_checkbox("Ground", True)
            self._wire = gui.add_checkbox("Wireframe", False)
        for control in (self._fit_shown, self._start_shown, self._wire):
            control.on_update(lambda _: self._draw_bodies())
        self._photo_shown.on_update(lambda _: setattr(self._plane, "visible", self._photo_shown.value))
        self._ground_shown.on_update(lambda _: setattr(self._ground, "visible", self._ground_shown.value))

    def _draw_photo(self) -> None:
        with self._lock:
            image, plane = self._image, scene.photo_plane(self._image)
            if self._plane is not None:
                self._plane.remove()
            picture = Canvas.of_photo(image, _PLANE_SIDE).picture
            self._plane = self._server.scene.add_image(
                "/photo", picture, plane.width, plane.height, format="jpeg", jpeg_quality=88, cast_shadow=False,
                receive_shadow=False, position=tuple(plane.middle), visible=bool(self._photo_shown.value),
            )  # fmt: skip

    def _draw_bodies(self) -> None:
        """Everybody's pose at the chosen step; handles of people who are not in this picture are hidden."""
        with self._lock:
            image = self._image
            place = len(self._steps) + 1 if self._step is None else int(self._step.value)
            posed = (self._shown, place, self._fit_shown.value, self._start_shown.value, self._wire.value)
            if posed == self._posed:
                return
            self._posed = posed
            self._title.content = f"**{Path(image.name).name}**: {scene.words_at(place, self._steps)}"
            for which, person in enumerate(image.people):
                poses = scene.pose_at(person, place, self._steps)
                self._put(self._bodies, "fit", which, poses, colour_of(person), bool(self._fit_shown.value))
                start = person.start.vertices
                self._put(self._starts, "start", which, start, START_COLOUR, bool(self._start_shown.value))
            for handle in [*self._bodies[len(image.people) :], *self._starts[len(image.people) :]]:
                handle.visible = False

    def _put(
        self, handles: list[Any], role: str, which: int, vertices: np.ndarray, colour: tuple, visible: bool
    ) -> None:
        vertices = np.asarray(vertices, np.float32)
        if which < len(handles):
            handle = handles[which]
            handle.vertices, handle.color, handle.visible = vertices, colour, visible
            handle.wireframe = bool(self._wire.value)
            return
        name = f"/{role}/{which + 1}"
        opacity = 0.55 if role == "start" else None
        handles.append(
            self._server.scene.add_mesh_simple(
                name, vertices, self._image.faces, color=colour, side="double", visible=visible, opacity=opacity
            )
        )

    def _draw_panel(self) -> None:
        with self._lock:
            image, layer = self._image, self._layer.value
            picture = draw(image, layer, side=_PANEL_SIDE)
            about = LAYERS[layer].about
            if picture is None:
                picture, about = np.full((40, _PANEL_SIDE, 3), 235, np.uint8), f"{layer}: this result does not hold it"
            self._panel.image = picture
            self._words.content = about
            self._numbers.content = scene.numbers_of(image)
            middle = scene.middle_of(image)
            self._ground.position = (float(middle[0]), scene.ground_of(image), float(middle[2]))

    def _to_camera(self, event: Any) -> None:
        """Where the photo was taken from, with its field of view: the body lies on the photo."""
        image = self._image
        camera = event.client.camera
        with event.client.atomic():
            camera.position, camera.up_direction = (0.0, 0.0, 0.0), scene.UP
            camera.look_at = (0.0, 0.0, float(scene.middle_of(image)[2]))
            camera.fov = 2 * math.atan(image.camera.size[0] / 2 / float(image.camera.focal[1]))

    def _to_side(self, event: Any) -> None:
        position, target = scene.beside(self._image, 90.0)
        camera = event.client.camera
        with event.client.atomic():
            camera.position, camera.look_at, camera.up_direction = tuple(position), tuple(target), scene.UP
            camera.fov = math.radians(50)

    def _play(self) -> None:
        """Go on by a frame while the box is ticked."""
        if self._playing is None:
            return
        while not self._closed.is_set():
            began = time.monotonic()
            if self._playing.value:
                self._index.value = self._index.value % len(self.results) + 1
                self.show(self._index.value - 1)
            self._closed.wait(max(1 / min(self._rate, RATE) - (time.monotonic() - began), 0.02))


def _first(results: StoredRun | Sequence[FittedImage]) -> tuple[int, FittedImage]:
    """The first result that can be read, and its place. Raises what is wrong with the last where none can."""
    for index in range(len(results)):
        try:
            return index, results[index]
        except InputError:
            if index == len(results) - 1:
                raise
    raise InputError("nothing to show: no results")


def _start(viser: ModuleType, host: str, port: int) -> Any:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return viser.ViserServer(host=host, port=port, label="nbf-run view", verbose=False)
    except (OSError, RuntimeError) as error:
        raise InputError(f"cannot serve on {host}:{port}: {' '.join(str(error).split())}") from error
