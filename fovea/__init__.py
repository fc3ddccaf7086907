"""Fovea: data, training, figures and widgets for hands-on lessons in computer vision.

``fovea.fit``, ``fovea.load`` and the other names below are fetched from their modules
when they are first used, so that ``import fovea`` itself costs next to nothing.
"""

import importlib

_MODULES = {
    "augmentation": ("add_noise", "color_jitter", "random_crop", "random_flip"),
    "data": ("Dataset", "Split", "is_local", "load"),
    "device": ("choose_device", "set_seed"),
    "downloads": ("DataError", "fetch"),
    "progress": ("History",),
    "training": (
        "count_parameters",
        "evaluate",
        "find_learning_rate",
        "fit",
        "overfit_one_batch",
        "predict",
    ),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'fovea' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fovea.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
