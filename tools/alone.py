"""Run by the Python of an environment in which one package was installed alone: what is there, what can be imported.

    python alone.py list                          what is installed, with sizes
    python alone.py imports MODULE [OPTIONAL...]  every module of a package; OPTIONAL distributions may be missing

Standard library only. Both print JSON.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import pkgutil
import sys
from pathlib import Path


def installed() -> dict[str, dict]:
    """Version and size in MB of every distribution; pip counts as the environment's own."""
    found = {}
    for distribution in importlib.metadata.distributions():
        size = 0
        for file in distribution.files or ():
            path = Path(str(distribution.locate_file(file)))
            size += path.stat().st_size if path.is_file() and path.suffix != ".pyc" else 0
        found[distribution.name.lower().replace("_", "-")] = {"version": distribution.version, "mb": size / 1e6}
    return dict(sorted(found.items()))


def imports(module: str, optional: set[str]) -> dict:
    """Import every module of a package.

    ``optional`` distributions (of the package's extras) may be missing; a module that needs one is listed with it. Any
    other error is a failure: something is imported that the package does not declare.
    """
    package = importlib.import_module(module)
    if "site-packages" not in str(package.__file__):
        return {"imported": 0, "optional": {}, "failed": {module: f"was found outside: {package.__file__}"}}
    names = [module, *(info.name for info in _below(package))]
    result: dict = {"imported": 0, "optional": {}, "failed": {}}
    for name in names:
        if name.endswith("__main__"):
            continue
        try:
            importlib.import_module(name)
            result["imported"] += 1
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0].replace("_", "-")
            kind = "optional" if missing in optional else "failed"
            result[kind][name] = missing if kind == "optional" else f"{type(error).__name__}: {error}"
        except BaseException as error:  # a skip of pytest's is none of Exception
            result["failed"][name] = f"{type(error).__name__}: {error}"
    return result


def _below(package) -> list[pkgutil.ModuleInfo]:
    # A package that cannot be imported stays in the list, and fails once more below, where its reason is kept.
    return list(pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=lambda name: None))


if __name__ == "__main__":
    task, *rest = sys.argv[1:]
    print(json.dumps(installed() if task == "list" else imports(rest[0], set(rest[1:]))))
