"""The page of the command line, from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from docsite.options import table
from nbf_run.cli.app import app


def page() -> str:
    """All commands of ``nbf-run``, with their arguments and options."""
    lines = [
        "# Commands",
        "",
        "`nbf-run --help`, and `--help` after any command, print the same.",
        "Exit status: 0 done, 1 failed, 2 bad usage or configuration, 3 finished but some inputs failed.",
        "",
    ]
    for words, command in every(typer.main.get_command(app), ["nbf-run"]):
        shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
        given = [parameter for parameter in shown if parameter.param_type_name == "argument"]
        places = [_metavar(one) if one.required else f"[{_metavar(one)}]" for one in given]
        lines += [f"## {' '.join(words)}", "", inspect.cleandoc(command.help or ""), ""]
        lines += ["```text", " ".join([*words, *places, "[OPTIONS]"]), "```", ""]
        rows = [_row(parameter) for parameter in shown]
        lines += [table(["", "", ""], rows), ""] if rows else []
    return "\n".join(lines)


def every(command: Any, words: list[str]) -> Iterator[tuple[list[str], Any]]:
    """Every command below a group, with the words that call it."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
    for name, one in (inner or {}).items():
        yield from every(one, [*words, name])


def _metavar(parameter: Any) -> str:
    return parameter.metavar or parameter.name.upper()


def _row(parameter: Any) -> list[str]:
    about = getattr(parameter, "help", "") or ""
    if parameter.param_type_name == "argument":
        return [f"`{_metavar(parameter)}`", "", about]
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    flag = getattr(parameter, "is_flag", False)
    if not flag and parameter.default not in (None, "", (), []) and not callable(parameter.default):
        about += f" Default: `{parameter.default}`."
    return [names, "" if flag else f"`{_metavar(parameter)}`", about]
