"""Writes all pages of the site, and the configuration of its generator, into a folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from docsite import commands
from docsite.contracts import Core
from docsite.reference import COMPONENTS, CONTRACTS, HOOKS, PIPELINES, SECTIONS, Reference
from docsite.sources import EXAMPLES, Sources, decisions, example
from nbf_core.plugins import KINDS, get_plugin_manager
from nbf_run.options import option_models

GUIDES = (
    "fit-a-photo", "viewing", "train-your-own", "smpl-and-3dpw", "published-tables", "writing-a-plugin",
)  # fmt: skip
TOPICS = (
    "architecture", "conventions", "renderer", "fitting", "training", "small-model", "benchmarks", "swapping",
    "real-people",
)  # fmt: skip
DATA = ("humandata", "smpl")
PACKAGES = ("packages", "versions", "third-party")

CONFIGURATION = """\
[project]
site_name = "nbf"
site_description = "3D-aware neural body fitting: packages, plugins, pipelines"
docs_dir = "pages"
site_dir = "site"
use_directory_urls = false
extra_css = ["stylesheets/nbf.css"]
nav = {nav}

[project.theme]
font = false
language = "en"
features = ["navigation.tabs", "navigation.indexes", "navigation.top", "navigation.prune", "toc.follow",
            "content.code.copy", "search.highlight"]

[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"
toggle.icon = "lucide/sun"
toggle.name = "Dark"

[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"
toggle.icon = "lucide/moon"
toggle.name = "Light"

[project.plugins.search]
[project.plugins.offline]

[project.plugins.mkdocstrings.handlers.python]
paths = {paths}

[project.plugins.mkdocstrings.handlers.python.options]
extensions = [{{ "docsite.roles" = {{ names = {names} }} }}]
show_source = false
show_root_full_path = false
show_bases = false
show_signature_annotations = true
separate_signature = true
signature_crossrefs = true
line_length = 90
members_order = "source"
merge_init_into_class = true
docstring_section_style = "list"
heading_level = 3

[project.markdown_extensions]
attr_list = {{}}
admonition = {{}}
tables = {{}}
md_in_html = {{}}
"pymdownx.betterem" = {{}}
"pymdownx.arithmatex" = {{ generic = true }}
"pymdownx.highlight" = {{ anchor_linenums = false, pygments_lang_class = true }}
"pymdownx.superfences" = {{}}

[project.markdown_extensions.toc]
permalink = true
slugify = {{ object = "pymdownx.slugs.slugify", kwds = {{ case = "lower" }} }}
"""

STYLE = """\
/* Tables of facts have no head. */
.md-typeset table:not([class]) thead:has(th:empty):not(:has(th:not(:empty))) { display: none; }
.md-typeset table:not([class]) { font-size: .68rem; }
.md-typeset table:not([class]) td { padding: .5em 1em; }
.md-typeset td code { word-break: normal; overflow-wrap: anywhere; }
.md-typeset td:first-child code { white-space: nowrap; }
.md-typeset pre > code { font-size: .62rem; }
.md-grid { max-width: 76rem; }
.md-typeset .doc-contents .doc-children {
  padding-left: .8rem;
  border-left: .05rem solid var(--md-default-fg-color--lightest);
}
.md-typeset .doc-signature pre > code { white-space: pre-wrap; }
.md-typeset math[display="block"] { margin: 1em 0; overflow-x: auto; overflow-y: hidden; }
.md-typeset img { max-width: 100%; }
"""


def write(root: Path, folder: Path) -> int:
    """Write ``pages`` and ``zensical.toml`` below ``folder``; returns how many pages. Raises BrokenLink."""
    pages = folder / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    reference = Reference(root)
    made = reference.pages()
    made["reference/commands.md"] = commands.page()
    made["reference/index.md"] = reference_index()
    made["decisions/index.md"] = decisions(root)
    made["data/index.md"] = data_index(root)
    made["packages/index.md"] = packages_index(root)
    for path in sorted((root / EXAMPLES).glob("*/README.md")):
        made[f"examples/{path.parent.name}.md"] = example(root, path.parent.name)
    for name, text in made.items():
        page = pages / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    Sources(root, reference.names()).write(pages)
    (pages / "stylesheets").mkdir(exist_ok=True)
    (pages / "stylesheets" / "nbf.css").write_text(STYLE, encoding="utf-8")
    sources = [path.as_posix() for group in ("packages", "plugins") for path in sorted((root / group).glob("*/src"))]
    names = folder / "names.json"
    names.write_text(json.dumps(reference.canonical()), encoding="utf-8")
    text = CONFIGURATION.format(
        nav=_toml(navigation(root)), paths=json.dumps(sources), names=json.dumps(names.absolute().as_posix())
    )
    (folder / "zensical.toml").write_text(text, encoding="utf-8")
    return len(list(pages.rglob("*.md")))


def reference_index() -> str:
    """The head of the reference."""
    return """\
# Reference

Everything here is made from the code when the site is built.

* [Commands](commands.md): `nbf-run` and all of its options.
* [Pipelines](pipelines/index.md): the built-in ones, each with its file.
* [Sections](sections/index.md): `[fit]`, `[train]`, `[bench]` and the others that name no component.
* [Components](components/index.md): everything that a pipeline can name, with its options.
* [Hooks](hooks/index.md): what a plugin can provide.
* [Contracts](contracts/index.md): what each kind of component must be able to do.
* [Python](../api/index.md): what the packages offer.
"""


def data_index(root: Path) -> str:
    """The head of the pages about data."""
    components = f"../{COMPONENTS}/datasets"
    own = [f"* [{name}]({components}/{name}.md): {one.summary}" for name, one in
           get_plugin_manager().entries("datasets").items()]  # fmt: skip
    return "\n".join([
        "# Data and bodies", "",
        "* [Published data sets](../datasets/index.md): where to ask, what to download, how to convert it.",
        "* [HumanData](../humandata.md): labels of published data sets, read safely, checked, shown, trained on.",
        "* [SMPL, SMPL-H, SMPL-X](../smpl.md): where to ask for the files, where to put them, how to do without.",
        "", "What a pipeline can name in `[data]`:", "", *own, "",
    ])  # fmt: skip


def packages_index(root: Path) -> str:
    """All packages, with what their READMEs begin with."""
    from docsite.api import packages

    lines = ["# Packages", "", "Each can be installed and used alone.", ""]
    return "\n".join([*lines, *(f"* [{one.name}]({one.name}.md): {one.summary}" for one in packages(root)), ""])


def navigation(root: Path) -> list:
    """The tree of pages: a page is its path, a branch is a dictionary of one title and its pages."""
    manager = get_plugin_manager()
    contracts = Core(root).contracts
    sets = sorted(path.stem for path in (root / "docs" / "datasets").glob("*.md") if path.stem != "index")
    names = [
        path.parent.name for group in ("packages", "plugins") for path in sorted((root / group).glob("*/README.md"))
    ]
    kinds = [
        {kind.replace("_", " ").capitalize(): [f"{COMPONENTS}/{kind}/{name}.md" for name in manager.entries(kind)]}
        for kind in KINDS
    ]
    reference = [
        "reference/index.md",
        "reference/commands.md",
        {"Pipelines": [f"{PIPELINES}/{name}.md" for name in ("index", *manager.entries("pipelines"))]},
        {"Sections": [f"{SECTIONS}/{name}.md" for name in ("index", *option_models())]},
        {"Components": [f"{COMPONENTS}/index.md", *kinds]},
        {"Hooks": [f"{HOOKS}/index.md", "hooks.md", *(f"{HOOKS}/{hook.name}.md" for hook in Core(root).hooks)]},
        {"Contracts": [f"{CONTRACTS}/{name}.md" for name in ("index", *contracts)]},
        {"Python": ["api/index.md", *(f"api/{name}.md" for name in names if name != "nbf-model-small")]},
    ]
    placed = {"index", "hooks", *GUIDES, *TOPICS, *DATA, *PACKAGES}
    about = [f"{name}.md" for name in PACKAGES if (root / "docs" / f"{name}.md").is_file()]
    changes = [f"changes/{path.parent.name}.md" for path in sorted(root.glob("p*/nbf-*/CHANGELOG.md"))]
    others = sorted(path.stem for path in (root / "docs").glob("*.md") if path.stem not in placed)
    records = sorted(path.name for path in (root / "docs" / "decisions").glob("*.md"))
    return [
        {"Home": "index.md"},
        {"Guides": [{"Install": "install.md"}, *(f"{name}.md" for name in GUIDES)]},
        {"How it works": [f"{name}.md" for name in (*TOPICS, *others)]},
        {"Data and bodies": ["data/index.md", *(f"{name}.md" for name in DATA),
                             {"Data sets": [f"datasets/{name}.md" for name in ("index", *sets)]}]},
        {"Reference": reference},
        {"Packages": ["packages/index.md", *about, *(f"packages/{name}.md" for name in names),
                      *([{"Changes": changes}] if changes else [])]},
        {"Contributing": ["contributing.md", {"Decisions": [f"decisions/{name}" for name in ("index.md", *records)]}]},
    ]  # fmt: skip


def _toml(value) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)
