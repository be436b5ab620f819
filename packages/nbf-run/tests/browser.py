"""A headless Chromium, driven through its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

# Without a graphics card Chromium draws WebGL on the processor, where it is asked to.
_FLAGS = (
    "--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run",
    "--ignore-gpu-blocklist", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--window-size=1000,700",
)  # fmt: skip


def find_chromium() -> str | None:
    """Where a Chromium is installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """A page of the browser."""

    def __init__(self, socket):
        self._socket, self._number = socket, 0
        self.requests: list[str] = []
        self.faults: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol; what it answers."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(message["error"])
                return message["result"]
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            if message.get("method") == "Runtime.exceptionThrown":
                self.faults.append(json.dumps(message["params"])[:500])

    def open(self, url: str) -> None:
        """Go to a page."""
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of an expression."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def picture(self) -> np.ndarray:
        """What is to be seen: uint8 [h, w, 3]."""
        for attempt in range(20):
            try:
                data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
                break
            except RuntimeError:  # a page that has just begun to load has no picture yet
                if attempt == 19:
                    raise
                time.sleep(0.3)
        return np.array(Image.open(io.BytesIO(data)).convert("RGB"))

    def until(self, true: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
        """Wait for something to be true, or an array; its value."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = true()
            if isinstance(value, np.ndarray) or value:
                return value
            time.sleep(0.3)
        raise AssertionError(f"after {seconds:.0f} s still not: {what}")

    def click(self, x: float, y: float) -> None:
        """Press and let go."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Pull with the left button."""
        mouse = "Input.dispatchMouseEvent"
        self.call(mouse, type="mousePressed", x=start[0], y=start[1], button="left", buttons=1, clickCount=1)
        for part in np.linspace(0, 1, 6)[1:]:
            x, y = np.array(start) * (1 - part) + np.array(end) * part
            self.call(mouse, type="mouseMoved", x=float(x), y=float(y), button="left", buttons=1)
        self.call(mouse, type="mouseReleased", x=end[0], y=end[1], button="left", clickCount=1)


@contextlib.contextmanager
def chromium(path: str, profile: Path) -> Iterator[Page]:
    """Start a browser with a profile of its own; it ends with the block."""
    from websockets.sync.client import connect

    command = [path, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        lines = iter(process.stderr.readline, "")
        match = next((m for line in lines if (m := re.search(r"ws://127\.0\.0\.1:(\d+)/", line))), None)
        assert match, "the browser did not start"
        port = match.group(1)
        for _ in range(100):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
                pages = [page for page in json.load(answer) if page["type"] == "page"]
            if pages:
                break
            time.sleep(0.1)
        with connect(pages[0]["webSocketDebuggerUrl"], max_size=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stderr.close()
