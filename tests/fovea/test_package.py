import subprocess
import sys

IMPORTS = "import fovea, sys; print(*sys.modules)"


def test_importing_fovea_is_cheap_and_brings_no_grader():
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.split())

    assert "fovea" in modules
    assert not modules & {"torch", "numpy", "matplotlib", "sklearn", "grader"}


def test_no_module_of_fovea_brings_the_grader():
    names = "fovea.data, fovea.personal, fovea.plotting, fovea.widgets"
    code = f"import {names}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert "fovea.widgets" in done.stdout.split()
    assert "grader" not in {name.split(".")[0] for name in done.stdout.split()}
