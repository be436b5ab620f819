"""``nbf-run view``: words around the calls of ``nbf_run.view``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from nbf_core.errors import ConfigError
from nbf_run.cli.main import DONE, FAILED, SOME_FAILED
from nbf_run.cli.work import progress_bars


def view_command(
    run: Path,
    outputs: Mapping[str, Path | None],
    layers: str | None,
    kinds: str,
    rate: float | None,
    address: str,
    as_json: bool,
) -> int:
    """``nbf-run view``; ``outputs`` are where to write "pictures", "video" and "meshes", None for those not wanted."""
    from nbf_run.stored import open_run
    from nbf_run.view.layers import LAYERS, find_layers

    names = [name.strip() for name in (layers or "").split(",") if name.strip()]
    if names == ["help"]:
        width = max(map(len, LAYERS))
        print("\n".join(f"{name:<{width}}  {layer.about}" for name, layer in LAYERS.items()))
        return DONE
    find_layers(names)
    results = open_run(run)
    if not any(outputs.values()):
        if as_json:
            raise ConfigError("--json goes with --pictures, --video or --meshes")
        return _serve(results, address)
    errors: dict[str, str] = {}

    def on_error(name: str, error: Exception) -> None:
        if name not in errors:
            errors[name] = str(error)
            print(f"nbf-run: {error}", file=sys.stderr)

    written: list[Path] = []
    if outputs.get("pictures"):
        from nbf_run.view.pictures import write_pictures

        with progress_bars() as step:
            written += write_pictures(results, outputs["pictures"], names, on_error=on_error, step=step)
    if outputs.get("video"):
        from nbf_run.view.moving import write_video

        with progress_bars() as step:
            chosen = names or ("fit", "side")
            written.append(write_video(results, outputs["video"], chosen, rate, on_error=on_error, step=step))
    if outputs.get("meshes"):
        from nbf_run.exporting import export

        wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()]
        with progress_bars() as step:
            written += export(results, outputs["meshes"], wanted, rate, on_error, step)
    if as_json:
        print(json.dumps({"written": [str(path) for path in written], "failed": errors}, indent=2))
    else:
        for kind, place in outputs.items():
            if place:
                print(f"{kind}: {place}")
    if errors:
        return SOME_FAILED if written else FAILED
    return DONE


def _serve(results, address: str) -> int:
    from nbf_run.view.server import Viewer

    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"--address {address}: expected HOST:PORT, such as 127.0.0.1:8080")
    with Viewer(results, host, int(port)) as viewer:
        print(f"page: {viewer.url} (Ctrl-C ends it)", flush=True)
        try:
            viewer.wait()
        except KeyboardInterrupt:
            pass
    return DONE
