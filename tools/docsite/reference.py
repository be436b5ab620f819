"""Reference pages made from the code: hooks, contracts, components, pipelines, and the sections of pipelines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from docsite import api
from docsite.contracts import Contract, Core, Hook
from docsite.options import described, table
from docsite.sources import relative
from nbf_core.config.overrides import tomllib
from nbf_core.config.pipeline import SECTION_KINDS
from nbf_core.plugins import KINDS, get_plugin_manager
from nbf_run.options import option_models
from nbf_run.scaffold import PLUGIN_KINDS

HOOKS, CONTRACTS = "reference/hooks", "reference/contracts"
COMPONENTS, PIPELINES = "reference/components", "reference/pipelines"
SECTIONS = "reference/sections"
SECTION_OF = {kind: section for section, kind in SECTION_KINDS.items()}


@dataclass(frozen=True)
class Reference:
    """All generated pages of a clone, as text by the page's path."""

    root: Path

    @cached_property
    def core(self) -> Core:
        """Hooks and contracts."""
        return Core(self.root)

    @cached_property
    def places(self) -> dict[str, str]:
        """The page of every public name of the packages."""
        return api.locations(self.root)

    def pages(self) -> dict[str, str]:
        """Every page."""
        made = {f"{HOOKS}/index.md": self._hook_index(), f"{CONTRACTS}/index.md": self._contract_index()}
        made |= {f"{HOOKS}/{hook.name}.md": self._hook(hook) for hook in self.core.hooks}
        made |= {f"{CONTRACTS}/{name}.md": self._contract(one) for name, one in self.core.contracts.items()}
        made[f"{COMPONENTS}/index.md"] = self._component_index()
        manager = get_plugin_manager()
        for kind in KINDS:
            for name in manager.entries(kind):
                made[f"{COMPONENTS}/{kind}/{name}.md"] = self._component(kind, name)
        made[f"{PIPELINES}/index.md"] = self._pipeline_index()
        made |= {f"{PIPELINES}/{name}.md": self._pipeline(name) for name in manager.entries("pipelines")}
        made[f"{SECTIONS}/index.md"] = self._section_index()
        for name, model in option_models().items():
            text = f"# [{name}]\n\nThe section `[{name}]` of a pipeline.\n\n{described(model, name)}\n"
            made[f"{SECTIONS}/{name}.md"] = text
        made["api/index.md"] = self._api_index()
        made |= {f"api/{one.name}.md": api.page(one) for one in api.packages(self.root) if one.public}
        return made

    def names(self) -> dict[str, str]:
        """Which inline code of written pages becomes a link, and where it leads."""
        manager = get_plugin_manager()
        found = {hook.name: f"{HOOKS}/{hook.name}.md" for hook in self.core.hooks}
        for name, one in self.core.contracts.items():
            page = f"{CONTRACTS}/{name}.md"
            found |= {name: page, one.path: page, f"nbf_core.contracts.{name}": page}
        for kind in KINDS:
            for name, entry in manager.entries(kind).items():
                found[entry.config.replace(":", ".")] = f"{COMPONENTS}/{kind}/{name}.md"
        records = {name.rpartition(".")[2]: page for name, page in self.places.items() if ".types." in name}
        found |= {name: page for name, page in records.items() if name[0].isupper()}
        found["nbf_core.contracts"] = f"{CONTRACTS}/index.md"
        return {**self.places, **found}

    def canonical(self) -> dict[str, str]:
        """The full name of every public class and function by the names that it can be imported by."""
        found = {name: page.partition("#")[2] for name, page in self.places.items() if "." in page.partition("#")[2]}
        return found | {f"nbf_core.contracts.{name}": one.path for name, one in self.core.contracts.items()}

    def _hook_index(self) -> str:
        rows = [
            [f"[`{hook.name}`]({hook.name}.md)", hook.provides, self._contract_link(hook.contract, f"{HOOKS}/index.md")]
            for hook in self.core.hooks
        ]
        about = "What a plugin can provide, one hook a kind: [how plugins work](../../hooks.md)."
        return f"# Hooks\n\n{about}\n\n{table(['hook', 'provides', 'contract'], rows)}\n"

    def _contract_link(self, name: str, here: str) -> str:
        page = f"{CONTRACTS}/{name}.md"
        return f"[`{name}`]({relative(page, here)})" if name in self.core.contracts else ""

    def _hook(self, hook: Hook) -> str:
        here = f"{HOOKS}/{hook.name}.md"
        kind = next((one for one in PLUGIN_KINDS.values() if one.hook == hook.kind), None)
        lines = [f"# {hook.name}", "", hook.about, ""]
        facts = []
        if hook.contract:
            facts.append(["contract", self._contract_link(hook.contract, here)])
        facts.append(["named in a pipeline by", hook.named_by])
        if kind:
            facts.append(
                ["begin one with", f"`nbf-run new-plugin {kind.name} NAME` ([how](../../writing-a-plugin.md))"]
            )
            if kind.suite:
                facts.append(["conformance suite", f"`{kind.suite_module}.{kind.suite}`"])
        lines += [
            table(["", ""], facts),
            "",
            "## Example",
            "",
            "```python",
            hook.example,
            "```",
            "",
            "## Installed",
            "",
        ]
        entries = get_plugin_manager().entries(hook.kind)
        rows = [[self._entry_link(hook.kind, name, here), entry.summary] for name, entry in entries.items()]
        return "\n".join([*lines, table(["name", ""], rows), ""])

    def _entry_link(self, kind: str, name: str, here: str) -> str:
        if kind == "weights":
            return f"`{name}`"
        page = f"{PIPELINES}/{name}.md" if kind == "pipelines" else f"{COMPONENTS}/{kind}/{name}.md"
        return f"[`{name}`]({relative(page, here)})"

    def _contract_index(self) -> str:
        rows = [[f"[`{name}`]({name}.md)", one.about.partition("\n")[0]] for name, one in self.core.contracts.items()]
        about = (
            "What each kind of component must be able to do, and what some can do beyond it: protocols over the records"
            " of [`nbf_core.types`](../../api/nbf-core.md#nbf_coretypes). A component is built by calling its class"
            " with its configuration first, and what it is handed by name."
        )
        return f"# Contracts\n\n{about}\n\n{table(['contract', ''], rows)}\n"

    def _contract(self, contract: Contract) -> str:
        here = f"{CONTRACTS}/{contract.name}.md"
        lines = [f"# {contract.name}", ""]
        hook = next((hook for hook in self.core.hooks if hook.contract == contract.name), None)
        capability = next((row for row in self.core.capabilities if row[0].strip("`") == contract.name), None)
        facts = []
        if hook:
            kind = next(one for one in PLUGIN_KINDS.values() if one.hook == hook.kind)
            facts += [["provided by the hook", f"[`{hook.name}`]({relative(f'{HOOKS}/{hook.name}.md', here)})"]]
            facts += [["built by", f"`{self.core.built[contract.name]}`"]]
            facts += [["conformance suite", f"`{kind.suite_module}.{kind.suite}`"]]
            names = [self._entry_link(hook.kind, name, here) for name in get_plugin_manager().entries(hook.kind)]
            facts += [["installed", ", ".join(names)]]
        if capability:
            facts.append(["an optional capability of", capability[1]])
        lines += [table(["", ""], facts), ""] if facts else []
        members = [contract.path, *(f"{contract.module}.{name}" for name in contract.records)]
        for path in members:
            head = "false" if path == contract.path else "true"
            lines += [f"::: {path}", "    options:", f"      show_root_heading: {head}", "      heading_level: 2"]
            lines += ["      show_root_toc_entry: true", ""]
        return "\n".join(lines)

    def _component_index(self) -> str:
        lines = ["# Components", "", "Everything that a pipeline can name, with its options, kind by kind.", ""]
        for kind in KINDS:
            entries = get_plugin_manager().entries(kind)
            rows = [
                [self._entry_link(kind, name, f"{COMPONENTS}/index.md"), one.summary] for name, one in entries.items()
            ]
            lines += [f"## {kind.replace('_', ' ').capitalize()}", "", table(["name", ""], rows), ""]
        return "\n".join(lines)

    def _component(self, kind: str, name: str) -> str:
        manager = get_plugin_manager()
        entry, package = manager.get(kind, name), manager.provider(kind, name)
        here = f"{COMPONENTS}/{kind}/{name}.md"
        hook = next(hook for hook in self.core.hooks if hook.kind == kind)
        place = self.places.get(entry.target.replace(":", "."))
        target = f"`{entry.target.replace(':', '.')}`"
        facts = [
            ["kind", f"[{kind.replace('_', ' ')}]({relative(f'{HOOKS}/{hook.name}.md', here)})"],
            ["contract", self._contract_link(hook.contract, here)],
            ["package", f"[{package}]({relative(f'packages/{package}.md', here)})"],
            ["Python", f"[{target}]({relative(place, here)})" if place else target],
            ["configuration", f"`{entry.config.replace(':', '.')}`"],
        ]
        lines = [f"# {name}", "", f"{entry.summary[0].upper()}{entry.summary[1:]}.", "", table(["", ""], facts), ""]
        section = SECTION_OF.get(kind, "")
        wanted = {"metrics": f'[bench]\nmetrics = ["{name}"]', "priors": f"[priors.{name}]"}
        wanted["protocols"] = f"[bench.protocols.{name}]"
        lines += ["```toml", wanted.get(kind) or f'[{section}]\nuse = "{name}"', "```", ""]
        prefix = {"priors": f"priors.{name}", "protocols": f"bench.protocols.{name}"}.get(kind, section)
        return "\n".join([*lines, "## Options", "", described(entry.load_config(), prefix), ""])

    def _pipeline_index(self) -> str:
        entries = get_plugin_manager().entries("pipelines")
        rows = [[f"[`{name}`]({name}.md)", entry.summary] for name, entry in entries.items()]
        about = "TOML files that commands take by name; `nbf-run config show NAME` prints one with every default."
        return f"# Pipelines\n\n{about}\n\n{table(['name', ''], rows)}\n"

    def _pipeline(self, name: str) -> str:
        entry = get_plugin_manager().get("pipelines", name)
        here = f"{PIPELINES}/{name}.md"
        text = entry.path.read_text(encoding="utf-8")
        about, commands = leading_comment(text)
        content = tomllib.loads(text)
        lines = [f"# {name}", "", f"{entry.summary[0].upper()}{entry.summary[1:]}.", "", about, ""]
        lines += ["```sh", *commands, "```", ""] if commands else []
        if content.get("extends"):
            base = content["extends"]
            lines += [
                f"It extends [`{base}`]({relative(f'{PIPELINES}/{base}.md', here)}): what it does not say is as there.",
                "",
            ]
        rows = [[f"`{key}`", self._entry_link(kind, use, here)] for key, kind, use in components(content)]
        lines += [table(["section", "component"], rows), ""] if rows else []
        sections = [
            f"[`[{one}]`]({relative(f'{SECTIONS}/{one}.md', here)})" for one in option_models() if one in content
        ]
        lines += [f"Sections of its commands: {', '.join(sections)}.", ""] if sections else []
        return "\n".join([*lines, "## The file", "", "```toml", text.rstrip(), "```", ""])

    def _section_index(self) -> str:
        rows = [[f"[`[{name}]`]({name}.md)", (model.__doc__ or "").partition("\n")[0].partition(": ")[2]]
                for name, model in option_models().items()]  # fmt: skip
        named = ", ".join(f"`[{section}]`" for section in SECTION_KINDS)
        about = f"Sections of a pipeline that name no component. Those that do ({named}) hold its options."
        return f"# Sections\n\n{about}\n\n{table(['section', ''], rows)}\n"

    def _api_index(self) -> str:
        rows = [[f"[{one.name}]({one.name}.md)", one.summary] for one in api.packages(self.root) if one.public]
        return f"# Python\n\nWhat each package offers, from its docstrings.\n\n{table(['package', ''], rows)}\n"


def components(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The components that a pipeline itself names: (section, kind, name)."""
    manager = get_plugin_manager()
    found = []
    for section, kind in SECTION_KINDS.items():
        use = content.get(section, {}).get("use")
        found += [(f"[{section}]", kind, use)] if use in manager.entries(kind) else []
    for name, prior in content.get("priors", {}).items():
        use = prior.get("use", name)
        found += [(f"[priors.{name}]", "priors", use)] if use in manager.entries("priors") else []
    for name, protocol in content.get("bench", {}).get("protocols", {}).items():
        use = protocol.get("use", name)
        found += [(f"[bench.protocols.{name}]", "protocols", use)] if use in manager.entries("protocols") else []
    return found


def leading_comment(text: str) -> tuple[str, list[str]]:
    """What a pipeline's first comment says, and the commands in it."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").strip())
    commands = [line for line in lines if line.startswith("nbf-run ")]
    said = "\n".join(line for line in lines if not line.startswith("nbf-run "))
    said = re.sub(r"\n{3,}", "\n\n", said)
    inline = re.findall(r"nbf-run \w+ [\w-]+(?: [A-Z]+\.\.\.)?(?: --[a-z]+)*(?: --out \w[\w-]*)?", said)
    for command in inline:
        said = said.replace(command, f"`{command}`")
    return said.strip(), [re.sub(r"\s{2,}", "    ", command) for command in commands]
