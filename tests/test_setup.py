"""The set-up on a bare machine, the commands, and the pins."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import lab, setup_environment
from tools.setup_environment import (
    choose_python,
    fingerprint,
    install_line,
    install_system_packages,
    is_present,
    is_reusable,
    is_set_up,
    set_up,
    stamp_path,
    version_of,
    write_whole,
)

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose set-up is finished: its `.venv` is a link to this Python."""
    (tmp_path / "constraints.txt").write_text("numpy==2.0.0\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(sys.executable)
    write_whole(stamp_path(tmp_path), fingerprint(tmp_path, sys.version_info[:2]))
    return tmp_path


def fake_program(folder: Path, name: str, answer: str) -> Path:
    """A program that answers every question alike."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {answer}\n")
    path.chmod(0o755)
    return path


# ------------------------------------------------------------------------ stamp


def test_finished_set_up_is_recognised(project: Path):
    assert is_set_up(project, wanted="")
    assert is_set_up(project, wanted=sys.executable)


def test_unfinished_set_up_asks_for_set_up(project: Path):
    stamp_path(project).unlink()
    assert not is_set_up(project, wanted="")


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml"])
def test_changed_input_asks_for_set_up(project: Path, name: str):
    with (project / name).open("a") as file:
        file.write("# a change\n")
    assert not is_set_up(project, wanted="")


def test_copied_project_asks_for_set_up(project: Path, tmp_path_factory):
    copy = tmp_path_factory.mktemp("elsewhere") / "project"
    shutil.copytree(project, copy, symlinks=True)
    assert not is_set_up(copy, wanted="")


def test_vanished_python_asks_for_set_up(project: Path):
    python = project / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(project / "uninstalled")
    assert not is_set_up(project, wanted="")


def test_another_wanted_python_asks_for_set_up(project: Path):
    other = fake_program(project, "python3.99", "3 99")
    assert not is_set_up(project, wanted=str(other))


def test_interrupted_set_up_leaves_no_stamp(project: Path, monkeypatch):
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    (project / "constraints.txt").write_text("numpy==2.0.1\n")
    monkeypatch.setattr(setup_environment, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        set_up(project, wanted="")
    assert not stamp_path(project).exists()


def test_failed_installation_leaves_no_stamp_and_names_the_command(project: Path):
    (project / "constraints.txt").write_text("numpy==2.0.1\n")
    # It tells a version when asked with -c, and fails at anything else.
    python = fake_program(project, "python-broken", '3 99; [ "$1" = -c ]')
    with pytest.raises(SystemExit, match=r"failed.*-m venv"):
        set_up(project, wanted=str(python))
    assert not stamp_path(project).exists()


def test_finished_set_up_is_not_repeated(project: Path, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise AssertionError(f"should not run {arguments}")

    monkeypatch.setattr(setup_environment, "run", refuse)
    set_up(project, wanted="")


def test_environment_made_elsewhere_is_not_reused(project: Path):
    pip = project / ".venv" / "bin" / "pip"
    pip.write_text("#!/some/other/folder/.venv/bin/python\n")
    assert not is_reusable(project, sys.executable)
    pip.write_text(f"#!{project}/.venv/bin/python\n")
    assert is_reusable(project, sys.executable)


# --------------------------------------------------------------- which Python


def test_too_old_wanted_python_gets_one_line(tmp_path: Path):
    old = fake_program(tmp_path, "python3.8", "3 8")
    with pytest.raises(SystemExit) as stop:
        choose_python(str(old))
    line = str(stop.value)
    assert "\n" not in line
    for fact in ["3.11", "3.8", str(old), "PYTHON="]:
        assert fact in line


def test_missing_wanted_python_gets_one_line():
    with pytest.raises(SystemExit, match=r"/no/python is no working Python.*PYTHON="):
        choose_python("/no/python")


def test_environment_is_never_made_from_an_environment():
    python = choose_python("")
    code = "import sys; print(sys.prefix == sys.base_prefix)"
    assert subprocess.check_output([python, "-c", code], text=True) == "True\n"


def test_newer_python_is_found_beside_an_old_one(tmp_path: Path, monkeypatch):
    fake_program(tmp_path, "python3.12", "3 12")
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + "/bin")
    assert choose_python("") == "python3.12"


def test_oldest_python_is_the_one_that_the_package_declares():
    assert PYPROJECT["project"]["requires-python"] == ">={}.{}".format(
        *setup_environment.OLDEST
    )


@pytest.mark.parametrize("name", ["python3.6", "python3.8", "python3.10"])
def test_script_starts_under_an_old_python(name: str):
    if not version_of(name):
        pytest.skip(f"{name} is not on PATH")
    script = ROOT / "tools" / "setup_environment.py"
    subprocess.run([name, script, "--help"], check=True, capture_output=True)


# -------------------------------------------------------------- system packages


def test_without_rights_the_installing_line_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(setup_environment, "is_present", lambda shown: False)
    monkeypatch.setattr(setup_environment, "may_install", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    install_system_packages()
    printed = capsys.readouterr().out
    names = " ".join(setup_environment.SYSTEM_PACKAGES)
    assert f"sudo apt-get install --no-install-recommends {names}\n" in printed


def test_with_rights_only_the_missing_are_installed(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(setup_environment, "is_present", lambda shown: shown != "bwrap")
    monkeypatch.setattr(setup_environment, "may_install", lambda: True)
    monkeypatch.setattr(
        setup_environment, "apt_get", lambda *words: calls.append(words) or True
    )
    install_system_packages()
    assert calls == [
        ("update",),
        ("install", "--no-install-recommends", "bubblewrap"),
    ]
    # It is still missing after a set-up that only pretends: so the line is printed.
    assert "bubblewrap" in capsys.readouterr().out.splitlines()[-1]


def test_failing_apt_is_no_error(monkeypatch, capsys):
    monkeypatch.setattr(setup_environment, "is_present", lambda shown: False)
    monkeypatch.setattr(setup_environment, "may_install", lambda: True)
    monkeypatch.setattr(setup_environment, "apt_get", lambda *words: False)
    install_system_packages()
    assert "chromium" in capsys.readouterr().out.splitlines()[-1]


def test_present_packages_are_left_alone(monkeypatch, capsys):
    monkeypatch.setattr(setup_environment, "is_present", lambda shown: True)
    install_system_packages()
    assert capsys.readouterr().out == ""


def test_presence_is_told_by_program_or_file(tmp_path: Path):
    assert is_present("sh")
    assert is_present(str(tmp_path))
    assert not is_present("no-such-program")
    assert not is_present(str(tmp_path / "missing"))


def test_other_systems_get_the_names_of_the_packages(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "bubblewrap" in install_line(["bubblewrap"])
    assert "apt" not in install_line(["bubblewrap"])


# ------------------------------------------------- tests that need such a package

PROBES = """
import pytest

@pytest.mark.browser
def test_marked():
    pytest.skip("for whatever reason")

@pytest.mark.sandbox
@pytest.mark.skipif(True, reason="for whatever reason")
def test_marked_and_skipped_by_mark(): ...

def test_unmarked():
    pytest.skip("no bwrap here")

def test_of_something_else():
    pytest.skip("no GPU here")

@pytest.mark.xfail
@pytest.mark.sandbox
def test_expected_failure():
    raise ValueError

@pytest.mark.sandbox
def test_that_runs(): ...
"""
SKIPPED_MODULE = """
import pytest
pytest.skip("chromium is missing", allow_module_level=True)
"""


@pytest.fixture
def probes(tmp_path: Path) -> Path:
    """A folder of tests that do not run, under our settings and our conftest."""
    (tmp_path / "test_probes.py").write_text(PROBES)
    (tmp_path / "test_module.py").write_text(SKIPPED_MODULE)
    settings = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(settings.replace('"tests"', '"."'))
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "bin").mkdir()
    for program in ["bwrap", "chromium"]:
        fake_program(tmp_path / "bin", program, "")
    return tmp_path


def run_probes(folder: Path, **environment: str) -> str:
    """What pytest prints about the probes, on a machine where all packages are."""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if k != "FOVEA_REQUIRE_ALL"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no"],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT), "PATH": path} | environment,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def test_skips_count_as_skips_by_default(probes: Path):
    summary = run_probes(probes)
    assert re.search(r"1 passed, 5 skipped, 1 xfailed", summary), summary


def test_where_all_must_run_such_a_skip_is_a_failure(probes: Path):
    summary = run_probes(probes, FOVEA_REQUIRE_ALL="1")
    assert "ERROR test_module.py" in summary, summary
    (probes / "test_module.py").unlink()
    summary = run_probes(probes, FOVEA_REQUIRE_ALL="1")
    assert re.search(r"2 failed, 1 passed, 1 skipped.* 1 error", summary), summary
    for name in ["test_marked", "test_marked_and_skipped_by_mark", "test_unmarked"]:
        assert f"::{name} - FOVEA_REQUIRE_ALL" in summary, summary


def test_a_kernel_without_namespaces_is_no_failure(probes: Path):
    program = probes / "bin" / "unshare"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    (probes / "test_module.py").unlink()
    summary = run_probes(probes, FOVEA_REQUIRE_ALL="1")
    assert re.search(r"SKIPPED .* kernel lets no ordinary user", summary), summary
    assert "test_that_runs - FOVEA_REQUIRE_ALL" not in summary, summary


def test_browser_tests_come_last(probes: Path):
    summary = run_probes(probes, PYTEST_ADDOPTS="--collect-only -q")
    ran = re.findall(r"::(\w+)", summary)
    assert len(ran) == 6
    assert ran[-1] == "test_marked"


def test_missing_package_skips_with_the_line_that_installs_it(probes: Path):
    summary = run_probes(probes, PATH="/nowhere")
    assert re.search(r"SKIPPED .* needs bubblewrap: .*install.* bubblewrap", summary)


# --------------------------------------------------------------------- commands


def makefile_targets() -> dict[str, tuple[str, list[str]]]:
    """Every target of the Makefile: its help, and the lines of its recipe."""
    targets: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in (ROOT / "Makefile").read_text().splitlines():
        if found := re.match(r"([a-z][\w-]*):(?!=)(?:.* ## (.+))?", line):
            name = found[1]
            targets[name] = (found[2] or "", [])
        elif line.startswith("\t"):
            targets[name][1].append(line)
    return targets


@pytest.mark.parametrize("name", makefile_targets())
def test_target_has_help_and_a_short_recipe(name: str):
    text, recipe = makefile_targets()[name]
    assert text
    assert 1 <= len(recipe) <= 2


def test_make_alone_prints_every_target():
    done = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name, (text, _) in makefile_targets().items():
        assert re.search(rf"make {name} +{re.escape(text)}", done.stdout)


def test_lab_may_run_as_root_only_if_it_is_root():
    assert "--allow-root" in lab.lab_command([], is_root=True)
    assert "--allow-root" not in lab.lab_command([], is_root=False)


def test_lab_passes_options_on():
    assert lab.lab_command(["--port=8899"], is_root=False)[-1] == "--port=8899"


def answer(url: str, within_s: float) -> Any:
    """The answer of a server that may still be starting."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return urlopen(url, timeout=within_s)
        except URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.mark.slow
def test_lab_opens_the_lectures_and_asks_about_no_news(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--no-browser", "--IdentityProvider.token=", f"--port={port}"]
    environment = os.environ | {"HOME": str(tmp_path), "JUPYTER_RUNTIME_DIR": ""}
    server = subprocess.Popen(
        [sys.executable, "-m", "tools.lab", *options, "--ip=127.0.0.1"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        page = answer(f"http://127.0.0.1:{port}/", within_s=60)
        assert urlsplit(page.geturl()).path == "/lab/tree/lectures"
        assert b"<title>JupyterLab</title>" in page.read()
        asked = "lab/api/settings/@jupyterlab/apputils-extension:notification"
        found = answer(f"http://127.0.0.1:{port}/{asked}", within_s=60)
        defaults = json.loads(found.read())["schema"]["properties"]
        assert defaults["fetchNews"]["default"] == "false"
        assert defaults["checkForUpdates"]["default"] is False
    finally:
        server.kill()
        server.wait()


def shared_files(prefix: Path) -> dict[Path, Path]:
    """What an installation puts beside the packages: our file, and its place."""
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    return {ROOT / ours: prefix / place for ours, place in wheel["shared-data"].items()}


def test_jupyter_finds_our_page_in_this_environment():
    [(ours, place)] = shared_files(Path(sys.prefix)).items()
    assert place.parent.name == "jupyter_server_config.d"
    assert place.read_text() == ours.read_text(), "set up again: make setup"


# ------------------------------------------------------------------------- pins


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [line for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(n): v for n, v in (line.split("==") for line in found)}


def needed_by(requirement: str, seen: set[str]) -> set[str]:
    """The installed packages that a requirement stands for, itself and all it needs."""
    wanted = Requirement(requirement)
    name = canonicalize_name(wanted.name)
    key = f"{name}[{','.join(sorted(wanted.extras))}]"
    if key in seen:
        return set()
    seen.add(key)
    names = {name}
    for inner in metadata.requires(name) or []:
        marker = Requirement(inner).marker
        extras = [{"extra": extra} for extra in wanted.extras or [""]]
        if marker is None or any(marker.evaluate(extra) for extra in extras):
            names |= needed_by(inner, seen)
    return names


def test_every_package_that_gets_installed_is_pinned():
    needed = needed_by("fovea-course[dev]", set()) - {"fovea-course"}
    assert "torch" in needed
    assert "distributed" in needed
    assert sorted(needed - pins().keys()) == []


def test_pins_satisfy_the_declared_ranges():
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"].values()
    for text in [*project["dependencies"], *(line for e in extras for line in e)]:
        wanted = Requirement(text)
        if wanted.name != project["name"]:
            assert pins()[canonicalize_name(wanted.name)] in wanted.specifier, text


def test_pins_name_no_build_of_one_machine():
    assert [f"{n}=={v}" for n, v in pins().items() if "+" in v or " " in v] == []


# ------------------------------------------------------------------------ conda


def conda_pip_lines() -> list[str]:
    """The `pip:` list of environment.yml, the lines that conda hands to pip."""
    text = (ROOT / "environment.yml").read_text()
    return re.findall(r"^      - (.+)$", text, flags=re.MULTILINE)


def test_conda_takes_the_pins_by_reference():
    assert conda_pip_lines() == ["-c constraints.txt", "-e .[dev]"]


@pytest.mark.slow
def test_conda_pip_part_gives_a_working_environment(tmp_path: Path):
    for name in ["constraints.txt", "pyproject.toml", "README.md"]:
        shutil.copy(ROOT / name, tmp_path)
    for name in ["fovea", "grader"]:
        shutil.copytree(ROOT / name, tmp_path / name)
    # As conda does it: the list in a file beside environment.yml, pip run from there.
    listed = tmp_path / "condaenv.requirements.txt"
    listed.write_text("\n".join(conda_pip_lines()))
    venv = tmp_path / "venv"
    python = venv / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--no-input", "-r", listed]
    subprocess.run(install, cwd=tmp_path, check=True)
    code = "import fovea, nbgrader, torch; print(fovea.__file__, torch.__version__)"
    done = subprocess.run(
        [python, "-c", code], cwd=venv, check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith(f"{tmp_path}/fovea/__init__.py {pins()['torch']}")
    assert all(place.is_file() for place in shared_files(venv).values())
