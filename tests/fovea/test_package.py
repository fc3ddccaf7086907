import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import fovea


def modules_after(code):
    """Return what is imported in a fresh process that runs the code."""
    code = f"{code}\nimport sys; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_fovea_is_cheap_and_brings_no_grader():
    modules = modules_after("import fovea")

    assert "fovea" in modules
    assert not modules & {"torch", "numpy", "matplotlib", "sklearn", "grader"}


def test_training_draws_and_downloads_nothing_until_it_has_to():
    modules = modules_after("import fovea; fovea.fit, fovea.load('digits')")

    assert "torch" in modules
    assert not modules & {"matplotlib", "sklearn", "pooch", "tensorboard", "IPython"}


def test_no_module_of_fovea_brings_the_grader():
    names = "data, personal, plotting, widgets, training, models, scenes, augmentation"
    modules = modules_after(f"from fovea import {names}")

    assert {"fovea.widgets", "fovea.models"} <= modules
    assert "grader" not in {name.split(".")[0] for name in modules}


@pytest.mark.parametrize("name", fovea.__all__)
def test_every_name_of_the_package_is_there_and_explained(name):
    assert getattr(fovea, name).__doc__
    assert name in dir(fovea)


def test_a_name_that_is_not_there_is_refused():
    with pytest.raises(AttributeError, match="'fovea' has no attribute 'train'"):
        _ = fovea.train


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in Path(fovea.__file__).parent.glob("*.py"))
)
def test_examples_in_docstrings_are_right(name):
    tried = doctest.testmod(importlib.import_module(f"fovea.{name}"))
    assert not tried.failed
