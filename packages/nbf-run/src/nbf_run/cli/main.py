"""The command's entry: every error that a user can cause is one line on stderr and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from nbf_core.errors import ConfigError, NbfError, PluginError

DONE, FAILED, BAD_USAGE, SOME_FAILED = 0, 1, 2, 3
"""Exit codes: all well; failed; wrong usage or configuration; finished, but some inputs failed."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit. ``NBF_DEBUG=1`` shows tracebacks."""
    raise SystemExit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; its exit code."""
    from nbf_run.cli.app import app

    try:
        code = app(args=None if arguments is None else list(arguments), prog_name="nbf-run", standalone_mode=False)
        return code if isinstance(code, int) else DONE
    except (KeyboardInterrupt, BrokenPipeError) as error:
        if os.environ.get("NBF_DEBUG") == "1":
            raise
        return _say("interrupted", 130) if isinstance(error, KeyboardInterrupt) else _quiet()
    except Exception as error:  # the boundary: whatever goes wrong below becomes one line and a code
        if os.environ.get("NBF_DEBUG") == "1":
            raise
        return _report(error)


def _report(error: Exception) -> int:
    if isinstance(error, (ConfigError, PluginError)):
        return _say(str(error), BAD_USAGE)
    if isinstance(error, NbfError):
        return _say(str(error), FAILED)
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # a usage error of the parser's
        text = error.format_message()
        # Called without arguments the parser raises its help text.
        return _say(text or "see nbf-run --help", error.exit_code, prefix="\n" not in text)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}", FAILED)
    kind = type(error).__name__
    return _say(f"unexpected {kind}: {error} (NBF_DEBUG=1 shows where)", FAILED)


def _say(text: str, code: int, prefix: bool = True) -> int:
    # One line whatever the message: errors of libraries may hold line breaks.
    print(f"nbf-run: {' '.join(text.split())}" if prefix else text, file=sys.stderr)
    return code


def _quiet() -> int:
    """The reader of our output has gone: nothing more can be said to it."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (Python flushes it at exit)
    return FAILED
