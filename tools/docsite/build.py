"""Builds the site: pages from the code, the generator, the last touch, the link check. Standard library only."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import our_packages
from environments import ROOT, call, say

FOLDER = ROOT / "dist" / "docs"


def build(python: Path, generator: Path, folder: Path = FOLDER) -> int:
    """Build the site with the ordinary Python and the generator's; returns the status of the first step to fail."""
    extra = {"PYTHONPATH": str(ROOT / "tools"), "PYTHONDONTWRITEBYTECODE": "1"}
    # Somebody who develops a plugin of their own here gets no page of it: its README is not among ours.
    extra["NBF_LOAD_PLUGINS"] = ",".join(our_packages.plugins())
    site, configuration = folder / "site", folder / "zensical.toml"
    status = call([python, "-m", "docsite", "write", folder], extra)
    status = status or generate(
        [generator, "-m", "zensical", "build", "--clean", "--strict", "-f", configuration], extra
    )
    status = status or call([generator, "-m", "docsite.finish", site], extra)
    status = status or call([python, "-m", "docsite", "check", site], extra)
    say("the site has problems, see above" if status else f"the site is in {os.path.relpath(site, ROOT)}")
    return status


def generate(step: Sequence[str | Path], extra: Mapping[str, str]) -> int:
    """Run the generator. What it complains of is shown, without colours; where in its own code it stopped is not."""
    done = subprocess.run(
        [str(part) for part in step], cwd=ROOT, env=os.environ | extra, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout.decode("utf-8", "replace"))
    about, mark, trace = text.partition("Traceback (most recent call last):")
    print(about.rstrip() + (f"\n{trace.strip().splitlines()[-1]}" if mark else ""), flush=True)
    return done.returncode
