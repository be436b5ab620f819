"""The written pages say what is so: their commands exist, their pipelines are valid, their Python runs."""

import importlib
import inspect
import re
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from nbf_core.config.pipeline import SECTION_KINDS
from nbf_core.errors import AssetError, NbfError, PluginError
from nbf_core.plugins import get_plugin_manager
from nbf_run.bench.config import ProtocolOptions
from nbf_run.cli.app import app
from nbf_run.options import option_models, read_pipeline

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import typer  # noqa: E402
from documents import PAGES, ROOT, Command, commands, fenced, indented, inline, name  # noqa: E402

PIPELINES = get_plugin_manager().entries("pipelines")
COMMANDS = [command for page in PAGES for command in commands(page)]
PLACEHOLDER = re.compile(r"[A-Z]{2,}|\.\.\.|[<>{}\[\]*]")


def of(*programs):
    return pytest.mark.parametrize("command", [one for one in COMMANDS if one.program in programs], ids=str)


def find(words):
    """The command that words call, and what is left of them."""
    command, rest = typer.main.get_command(app), list(words)
    while getattr(command, "commands", None) and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"no command {rest[0]!r}; known: {', '.join(command.commands)}"
        command = command.commands[rest.pop(0)]
    return command, rest


def parsed(command, rest):
    """(places, options) of an nbf-run command line. Fails where an option is unknown or lacks its value."""
    flags = {text: getattr(one, "is_flag", False) for one in command.params for text in one.opts + one.secondary_opts}
    places, options = [], []
    words = iter(rest)
    for word in words:
        key, mark, value = word.partition("=")
        if key.startswith("--") and mark:
            options.append((key, value))
        elif word.startswith("-") and not re.fullmatch(r"-?[\d.]+", word):
            assert word in flags or word == "--help", f"no option {word!r}; known: {', '.join(flags)}"
            options.append((word, None if flags.get(word, True) else next(words, "")))
        else:
            places.append(word)
    return places, options


@of("nbf-run")
def test_a_command_exists_with_its_options(command: Command):
    found, rest = find(command.words)
    places, options = parsed(found, rest)
    if not command.whole or getattr(found, "commands", None):
        return
    wanted = [one for one in found.params if one.param_type_name == "argument"]
    required = [one for one in wanted if one.required]
    if not any("..." in place for place in places):
        assert len(places) >= len(required), f"wants {', '.join(one.name for one in required)}"
    if wanted and wanted[0].name == "pipeline" and places and re.fullmatch(r"[a-z0-9][a-z0-9-]*", places[0]):
        assert places[0] in PIPELINES
        settings = [value for key, value in options if key == "--set" and not PLACEHOLDER.search(value)]
        assert not settings or "discs" in str(command) or accepted(places[0], *settings)


def accepted(pipeline, *settings):
    """Whether a pipeline takes these settings."""
    from nbf_core.config import parse_override

    try:
        read_pipeline(pipeline, [parse_override(one) for one in settings])
    except AssetError:
        return True  # it names a file that is not here
    except NbfError:
        return False
    return True


SETTINGS = sorted({
    (name(page), setting)
    for page in PAGES
    for span in inline(page)
    for setting in re.findall(r"--set (\S+=\S+)", span)
    if not span.startswith("nbf-run") and not PLACEHOLDER.search(setting)
})  # fmt: skip


@pytest.mark.parametrize(("page", "setting"), SETTINGS)
def test_a_setting_that_is_mentioned_is_taken_by_some_pipeline(page, setting):
    if page.startswith("docs/datasets/"):
        options = {key for one in converters() for key in one.options}
        if setting.partition("=")[0] in options:
            return
    assert any(accepted(pipeline, setting) for pipeline in PIPELINES), f"{page}: no pipeline takes {setting}"


def converters():
    from nbf_datasets.humandata.dataset import HumanDataset

    return HumanDataset.converters()


def test_converters_that_are_named_exist():
    known = {one.name for one in converters()}
    named = [command for command in COMMANDS if command.words[:2] == ("data", "convert") and len(command.words) > 2]
    assert named
    for command in named:
        assert command.words[2] in known or PLACEHOLDER.search(command.words[2]), command


def places(page, file):
    """Where a page may mean a file to be: in the repository, or in its own package."""
    return [ROOT / file, (ROOT / page).parent / file]


@of("python", "python3")
def test_a_script_exists_with_its_options(command: Command):
    script, *rest = command.words
    if script == "-m":
        assert not rest[0].startswith("nbf_") or importlib.util.find_spec(rest[0]), f"no module {rest[0]}"
        return
    if script.startswith("-"):
        return
    path = next((path for path in places(command.page, script) if path.exists()), None)
    assert path, f"no {script}"
    text = path.read_text("utf-8") if path.is_file() else ""
    if script == "tools/dev.py" and rest and not PLACEHOLDER.search(rest[0]):
        assert f'"{rest[0]}"' in text, f"no task {rest[0]!r}"
    elif script.startswith("tools/benchmarks"):
        for option in (word for word in rest if word.startswith("--")):
            assert f'"{option}"' in text, f"{script} has no option {option}"


@of("pip")
def test_what_is_to_be_installed_exists(command: Command):
    for word in command.words[1:]:
        match = re.fullmatch(r"(nbf-[\w-]+)(?:\[([\w,]+)\])?", word)
        if not match or not match[1].startswith("nbf-") or (ROOT / "docs/examples" / match[1]).is_dir():
            continue
        files = [path for path in ROOT.glob(f"p*/{match[1]}/pyproject.toml")]
        assert files, f"no package {match[1]}"
        extras = tomllib.loads(files[0].read_text("utf-8"))["project"].get("optional-dependencies", {})
        assert set((match[2] or "").split(",")) - {""} <= set(extras)


TABLES = [
    (name(page), text)
    for page in PAGES
    for text in [*fenced(page, "toml"), *(text for text in indented(page) if re.match(r"\[[\w.]+\]\s", text))]
    if "..." not in text and "requirements =" not in text and not text.startswith(("[project", "[variables"))
]


@pytest.mark.parametrize(("page", "text"), TABLES, ids=[f"{page}-{i}" for i, (page, _) in enumerate(TABLES)])
def test_a_piece_of_a_pipeline_is_valid(page, text, tmp_path):
    content = tomllib.loads(text)
    if "extends" in content:
        (tmp_path / "whole.toml").write_text(text, encoding="utf-8")
        if "discs" not in text:  # which the page has just written
            read_pipeline(tmp_path / "whole.toml")
        return
    models, manager = option_models(), get_plugin_manager()
    assert set(content) <= {*SECTION_KINDS, *models, "schema", "name", "seed", "extends", "priors", "matrix"}, page
    for section, values in content.items():
        if section in SECTION_KINDS:
            entries = manager.entries(SECTION_KINDS[section])
            names = [values["use"]] if "use" in values else list(entries)
            allowed = [set(entries[one].load_config().model_fields) for one in names]
            assert any(set(values) - {"use"} <= keys for keys in allowed), f"{page}: [{section}]"
            assert not wrong(entries[names[0]].load_config(), values) or "use" not in values, f"{page}: [{section}]"
        elif section in models:
            assert not wrong(models[section], values), f"{page}: [{section}]"
            for key, protocol in values.get("protocols", {}).items():
                ProtocolOptions.model_validate(protocol).component_config(key)
        elif section == "priors":
            for key, prior in values.items():
                assert not wrong(manager.get("priors", prior.get("use", key)).load_config(), prior)


def wrong(model, values):
    """What a model has against values, but for keys that a piece of a pipeline leaves out."""
    try:
        model.model_validate({key: value for key, value in values.items() if key != "use"})
    except ValidationError as error:
        return [problem for problem in error.errors() if problem["type"] != "missing"]
    return []


NAMES = sorted({
    (name(page), span)
    for page in PAGES
    for span in inline(page)
    if re.fullmatch(r"nbf_[a-z0-9_]+(\.[A-Za-z_]\w*)+", span) and not span.endswith((".py", ".toml", ".npz"))
})  # fmt: skip
OURS = {path.parent.name.replace("-", "_") for path in ROOT.glob("p*/nbf-*/pyproject.toml")}


@pytest.mark.parametrize(("page", "dotted"), NAMES)
def test_a_name_of_ours_exists(page, dotted):
    parts = dotted.split(".")
    if parts[0] not in OURS:
        return  # a plugin that the page makes up
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError as error:
            if error.name and not error.name.startswith("nbf_"):
                pytest.skip(f"{error.name} is not installed")
            continue
        break
    for part in parts[cut:]:
        annotations = getattr(found, "__annotations__", {})
        assert hasattr(found, part) or part in annotations, f"{page}: {dotted}: no {part} in {found.__name__}"
        found = getattr(found, part, None) or inspect.getmodule(found)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_file_that_is_mentioned_is_there(page):
    for span in inline(page):
        inside = re.fullmatch(r"(tools|packages|plugins|integration_tests|docs)/[\w./-]+", span)
        if inside and not PLACEHOLDER.search(span):
            there = [*ROOT.glob(f"{span}*"), *ROOT.glob(f"p*/*/{span}*")]
            assert there, f"{name(page)}: {span}"


def test_every_broken_command_would_be_found():
    """A check that never fails checks nothing."""
    for line in ("fitt demo", "fit demo PHOTO --outt x"):
        with pytest.raises(AssertionError, match="no (command|option)"):
            found, rest = find(line.split())
            parsed(found, rest)
    assert not accepted("demo", "fitter.stepss=3")
    with pytest.raises(PluginError):
        get_plugin_manager().get("pipelines", "no-such-pipeline")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_formulas_stand_apart(page):
    """Within a list or a paragraph the site's generator prints their source."""
    lines = page.read_text("utf-8").splitlines()
    marks = [number for number, line in enumerate(lines) if line.strip() == "$$"]
    assert len(marks) % 2 == 0
    for opened, closed in zip(marks[::2], marks[1::2], strict=True):
        assert lines[opened] == lines[closed] == "$$", f"line {opened + 1} is indented"
        around = [lines[opened - 1], *lines[closed + 1 : closed + 2]]
        assert not any(around), f"no empty line around the formula of line {opened + 1}"
