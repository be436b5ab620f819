"""Installed plugins that are broken: ``nbf-run plugins list`` says how, and everything else keeps working.

The plugins are distributions like any other, found by Python through their metadata, in a folder on its path; the
command runs in a process of its own.
"""

import json

import pytest

RECORD = 'ComponentEntry(name="{}", target="json:JSONDecoder", config="nbf_core.config:Config", summary="one of these")'
HEAD = "from nbf_core.plugins import ComponentEntry, hookimpl\nNBF_CONTRACT = {}\n"
HOOK = "@hookimpl\ndef {}():\n    yield {}\n"


def source(*names, hook="nbf_renderers", contract=1):
    """A plugin module that yields one renderer a name."""
    records = "\n    yield ".join(RECORD.format(name) for name in names)
    return HEAD.format(contract) + HOOK.format(hook, records)


PLUGINS = {
    "nbf-good": source("fine"),
    "nbf-older": source("from-the-past", contract=0),
    "nbf-newer": source("from-the-future", contract=2),
    "nbf-none": source("undated").replace("NBF_CONTRACT = 1\n", ""),
    "nbf-misspelt": source("unseen", hook="nbf_renderes"),
    "nbf-unmarked": source("silent").replace("@hookimpl\n", ""),
    "nbf-raising": (
        source("half") + "    raise OSError('disk on fire')\n" + HOOK.format("nbf_metrics", RECORD.format("whole"))
    ),
    "nbf-lost": "import no_such_library\n" + source("lost"),
    "nbf-syntax": "def (:\n",
    "nbf-twin-a": source("twin", "only-a"),
    "nbf-twin-b": source("twin", "only-b"),
    "nbf-shadow": source("gaussian"),
}
REASONS = {
    "nbf-older": "was written for contract 0, this nbf speaks 1",
    "nbf-newer": "was written for contract 2, this nbf speaks 1",
    "nbf-none": "does not say what contract it was written for (NBF_CONTRACT is missing), this nbf speaks 1",
    "nbf-misspelt": "unknown hook 'nbf_renderes', did you mean 'nbf_renderers'?",
    "nbf-unmarked": "nbf_renderers is not marked with @hookimpl",
    "nbf-raising": "nbf_renderers raised OSError: disk on fire",
    "nbf-lost": "cannot be imported: ModuleNotFoundError: No module named 'no_such_library'",
    "nbf-syntax": "cannot be imported: SyntaxError: ",
    "nbf-twin-a": "two renderers are named 'twin': from nbf-twin-a and from nbf-twin-b; uninstall one, or leave it out",
    "nbf-twin-b": "two renderers are named 'twin': from nbf-twin-a and from nbf-twin-b; uninstall one, or leave it out",
    "nbf-shadow": "two renderers are named 'gaussian': from nbf-renderers and from nbf-shadow",
    "nbf-renderers": "two renderers are named 'gaussian': from nbf-renderers and from nbf-shadow",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of installed distributions, as pip leaves them."""
    folder = tmp_path_factory.mktemp("site")
    for name, text in PLUGINS.items():
        module = name.replace("-", "_")
        (folder / module).mkdir()
        (folder / module / "__init__.py").write_text("")
        (folder / module / "plugin.py").write_text(text)
        info = folder / f"{module}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[nbf]\n{name} = {module}.plugin\n")
        (info / "RECORD").write_text("")
    return str(folder)


@pytest.fixture(scope="module")
def plain(nbf_run):
    """The listing without any of them."""
    return json.loads(nbf_run("plugins", "list", "--json").stdout)


@pytest.fixture(scope="module")
def listing(nbf_run, site):
    """The listing with all of them."""
    done = nbf_run("plugins", "list", "--json", PYTHONPATH=site)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("plugin", REASONS)
def test_each_is_listed_with_its_reason(listing, plugin):
    reasons = [failure["reason"] for failure in listing["failures"] if failure["plugin"] == plugin]
    assert len(reasons) == 1
    assert reasons[0].startswith(REASONS[plugin])
    assert "\n" not in reasons[0]


def test_nothing_else_is_called_broken(listing):
    assert {failure["plugin"] for failure in listing["failures"]} == set(REASONS)


def test_the_rest_is_listed_as_before(plain, listing):
    """Also what the broken ones do offer: the other hooks of one that raises, other names of two that clash."""
    expected = {kind: dict(names) for kind, names in plain["components"].items()}
    del expected["renderers"]["gaussian"]
    more = {"fine": "nbf-good", "only-a": "nbf-twin-a", "only-b": "nbf-twin-b"}
    for kind, names in listing["components"].items():
        seen = {name: entry["plugin"] for name, entry in names.items()}
        before = {name: entry["plugin"] for name, entry in expected[kind].items()}
        assert seen == before | (more if kind == "renderers" else {"whole": "nbf-raising"} if kind == "metrics" else {})


def test_people_read_the_same(nbf_run, site):
    done = nbf_run("plugins", "list", PYTHONPATH=site)
    assert done.returncode == 0, done.stderr
    broken = done.stdout.partition("\nbroken\n")[2].splitlines()
    for plugin, reason in REASONS.items():
        assert sum(line.startswith(f"  {plugin}: {reason}") for line in broken) == 1


def test_a_pipeline_that_needs_none_of_them_runs(nbf_run, site):
    done = nbf_run("config", "check", "demo", "--set", "renderer.use=numba", PYTHONPATH=site)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("twin", ("two renderers are named 'twin'", "nbf-twin-a", "nbf-twin-b")),
        ("gaussian", ("two renderers are named 'gaussian'", "nbf-renderers", "nbf-shadow")),
        ("half", ("no renderer named 'half'", "nbf-raising (nbf_renderers raised OSError: disk on fire)")),
        ("unseen", ("no renderer named 'unseen'", "nbf-misspelt (unknown hook 'nbf_renderes'")),
        ("from-the-past", ("no renderer named 'from-the-past'", "nbf-older (was written for contract 0")),
    ],
)
def test_asking_for_one_of_them_is_an_error_that_says_why(nbf_run, site, name, words):
    done = nbf_run("config", "check", "demo", "--set", f"renderer.use={name}", PYTHONPATH=site)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "renderer.use" in done.stderr
    for word in words:
        assert word in done.stderr


def test_leaving_one_of_two_out_gives_the_name_back(nbf_run, site, plain):
    ours = {entry["plugin"] for names in plain["components"].values() for entry in names.values()}
    chosen = ",".join(sorted(ours | {"nbf-twin-b"}))
    done = nbf_run("plugins", "list", "--json", PYTHONPATH=site, NBF_LOAD_PLUGINS=chosen)
    listing = json.loads(done.stdout)
    assert listing["failures"] == []
    assert listing["components"]["renderers"]["twin"]["plugin"] == "nbf-twin-b"
    assert "gaussian" in listing["components"]["renderers"]
