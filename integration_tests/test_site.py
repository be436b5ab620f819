"""The documentation site: a page for everything, nothing undocumented, and checks that find what is broken.

Building it with its generator, and the check of all links, is ``python3 tools/dev.py docs``: a step of the whole test
run, beside pytest.
"""

import importlib.metadata
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from docsite import build, commands, markdown, options  # noqa: E402
from docsite.api import packages  # noqa: E402
from docsite.contracts import Core  # noqa: E402
from docsite.links import problems  # noqa: E402
from docsite.reference import Reference, leading_comment  # noqa: E402
from docsite.roles import plain_markdown  # noqa: E402
from docsite.site import navigation, write  # noqa: E402
from docsite.sources import BrokenLink, Sources  # noqa: E402

from nbf_core import contracts  # noqa: E402
from nbf_core.plugins import KINDS, get_plugin_manager  # noqa: E402
from nbf_run.options import option_models  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
CORE = Core(ROOT)
MANAGER = get_plugin_manager()
OURS = {package.name for package in packages(ROOT)}  # somebody may be developing a plugin of their own here
COMPONENTS = [(kind, name) for kind in KINDS for name in MANAGER.entries(kind) if MANAGER.provider(kind, name) in OURS]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """All pages, as the generator gets them."""
    folder = tmp_path_factory.mktemp("site")
    assert write(ROOT, folder) > 150
    return folder


def test_every_hook_contract_component_and_pipeline_has_a_page(site):
    pages = {path.relative_to(site / "pages").as_posix() for path in site.rglob("*.md")}
    wanted = {f"reference/hooks/{hook.name}.md" for hook in CORE.hooks}
    wanted |= {f"reference/contracts/{name}.md" for name in CORE.contracts}
    wanted |= {f"reference/components/{kind}/{name}.md" for kind, name in COMPONENTS}
    wanted |= {f"reference/pipelines/{name}.md" for name in MANAGER.entries("pipelines")}
    wanted |= {f"reference/sections/{name}.md" for name in option_models()}
    wanted |= {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").glob("*.md")}
    assert wanted <= pages


def test_every_page_is_in_the_navigation(site):
    def leaves(tree):
        for branch in tree if isinstance(tree, list) else tree.values() if isinstance(tree, dict) else [tree]:
            if isinstance(branch, str):
                yield branch
            else:
                yield from leaves(branch)

    placed = list(leaves(navigation(ROOT)))
    assert len(placed) == len(set(placed))
    pages = {path.relative_to(site / "pages").as_posix() for path in site.rglob("*.md")}
    assert set(placed) <= pages
    assert {page for page in pages - set(placed) if not page.startswith(("files/", "examples/"))} == {"license.md"}


@pytest.mark.parametrize("name", CORE.contracts)
def test_every_contract_is_documented(name):
    """It says what it is, so does each of its methods, and docs/hooks.md has a line about it."""
    contract = getattr(contracts, name)
    rows = {hook.contract for hook in CORE.hooks} | {row[0].strip("`") for row in CORE.capabilities}
    assert name in rows, "docs/hooks.md does not name it"
    assert CORE.contracts[name].about
    methods = {key: value for key, value in vars(contract).items() if callable(value) and not key.startswith("_")}
    assert all(method.__doc__ for method in methods.values()), name


def test_every_protocol_that_is_exported_is_found():
    """Whatever is marked as a protocol counts, so that none escapes the test above."""
    marked = {name for name in contracts.__all__ if getattr(getattr(contracts, name), "_is_protocol", False)}
    assert marked == set(CORE.contracts)
    documented = {hook.contract for hook in CORE.hooks} | {row[0].strip("`") for row in CORE.capabilities}
    assert documented - {""} <= marked


@pytest.mark.parametrize("hook", CORE.hooks, ids=lambda hook: hook.name)
def test_every_hook_says_what_it_is_and_how_it_is_built(hook):
    assert hook.about and hook.example and hook.provides
    assert not hook.contract or CORE.built[hook.contract]


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_component_is_documented(kind, name, site):
    """A line about it, options that say what they are for, and a mention by its name in what people read."""
    entry = MANAGER.get(kind, name)
    assert entry.summary and entry.load_config().__doc__
    package = next(one for one in packages(ROOT) if one.name == MANAGER.provider(kind, name))
    written = "".join(path.read_text("utf-8") for path in [package.folder / "README.md", *(ROOT / "docs").glob("*.md")])
    assert f"`{name}`" in written or f'"{name}"' in written, "no README or page speaks of it"
    page = (site / "pages" / "reference" / "components" / kind / f"{name}.md").read_text("utf-8")
    assert all(f"| `{key}` |" in page for key in entry.load_config().model_fields)


@pytest.mark.parametrize("name", MANAGER.entries("pipelines"))
def test_every_pipeline_says_what_it_is_and_how_it_is_run(name):
    text = MANAGER.get("pipelines", name).path.read_text("utf-8")
    about, lines = leading_comment(text)
    assert about and (lines or "`nbf-run " in about)


def test_every_command_is_on_its_page():
    page = commands.page()
    assert "## nbf-run fit\n" in page and "## nbf-run data convert\n" in page
    assert "| `--resume` | `DIR` |" in page


def test_options_tell_default_type_and_bounds():
    page = options.described(MANAGER.get("renderers", "gaussian").load_config(), "renderer")
    assert "| `max_kernels` | `10` | whole number, ≥\u00a01 | how many kernels a pixel keeps" in page
    page = options.described(MANAGER.get("fitters", "staged").load_config(), "fitter")
    assert "### `fitter.start_stage`, `fitter.stages[]`" in page


def test_public_names_are_found_where_they_are_defined():
    reference = Reference(ROOT)
    assert reference.canonical()["nbf_core.types.Camera"] == "nbf_core.types.camera.Camera"
    assert reference.canonical()["nbf_core.contracts.Renderer"] == "nbf_core.contracts.renderer.Renderer"
    assert "nbf_renderers._checks.check_camera" in reference.places


def test_links_are_followed_and_a_broken_one_is_found(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# It\n")
    (tmp_path / "LICENSE").write_text("free\n")
    (tmp_path / "CONTRIBUTING.md").write_text("# You\n")
    (tmp_path / "tool.py").write_text("x = 1\n")
    page = tmp_path / "docs" / "page.md"
    page.write_text("# Page\n\n[it](../README.md#it), [code](../tool.py), `[no](link.md)`\n\n    [nor](this.md)\n")
    Sources(tmp_path).write(tmp_path / "out")
    text = (tmp_path / "out" / "page.md").read_text()
    assert "[it](install.md#it), [code](files/tool.py.md), `[no](link.md)`" in text
    assert "x = 1" in (tmp_path / "out" / "files" / "tool.py.md").read_text()
    page.write_text("# Page\n\n[gone](gone.md)\n")
    with pytest.raises(BrokenLink, match="docs/page.md: links to gone.md, and there is no docs/gone.md"):
        Sources(tmp_path).write(tmp_path / "out")


def test_lists_and_tables_are_made_for_the_generator():
    text = "So:\n* one\n  more\n\n      code\n\n1. first\n   second\n\n| `a\\|b` |\n"
    changed = "So:\n\n* one\n    more\n\n        code\n\n1. first\n    second\n\n| `a|b` |\n"
    assert markdown.for_generator(text) == changed


def test_inline_code_becomes_a_link_once():
    pages = {"Renderer": "r.md"}
    assert markdown.with_links("# `Renderer`\n`Renderer` [`Renderer`](x.md) `Other`\n", pages) == (
        "# `Renderer`\n[`Renderer`](r.md) [`Renderer`](x.md) `Other`\n"
    )


def test_docstrings_become_markdown():
    known = {"nbf_x.B": "nbf_x.c.B"}
    assert plain_markdown("A :class:`~nbf_x.B`, ``c``::\n\n    d", known) == "A [`B`][nbf_x.c.B], `c`:\n\n    d"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="gone.html">x</a>', "links to gone.html, which is not there"),
        ('<a href="#gone">x</a>', "links to #gone, and that page has no such anchor"),
        ('<img src="gone.png">', "links to gone.png, which is not there"),
        ('<script src="https://example.org/x.js"></script>', "loads https://example.org/x.js from elsewhere"),
        ("<p>[`X`][nbf_x.X]</p>", "was not understood"),
    ],
)
def test_what_is_wrong_with_a_built_page_is_found(tmp_path, body, problem):
    (tmp_path / "index.html").write_text(f'<h1 id="top">x</h1><a href="#top">x</a>{body}')
    [found] = problems(tmp_path)
    assert found.startswith("index.html: ") and problem in found


def test_the_site_is_made_of_our_plugins_alone(monkeypatch, tmp_path):
    """Who develops a plugin of their own in the same environment can still build it."""
    steps = []
    monkeypatch.setattr(build, "call", lambda step, extra: steps.append(extra) or 1)
    assert build.build(Path("python"), Path("generator"), tmp_path) == 1
    loaded = steps[0]["NBF_LOAD_PLUGINS"].split(",")
    installed = {point.dist.name for point in importlib.metadata.entry_points(group="nbf")}
    assert set(loaded) == OURS & installed
