"""Helpers for functions of the checks that run beside a student's objects.

Nothing here decides anything: a verdict is computed elsewhere, from the plain data that
these helpers return. The module imports no other part of the grader, so it can be given
to the process that holds the student's objects, whole and alone.
"""

import copy
import gc
import os
import random
import signal
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np


def seed_all(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's global generators."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    # torch.manual_seed looks for GPUs first: two milliseconds, at every call.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


def seeded(run: Callable, *students: Any, seed: int, data: dict[str, Any]) -> Any:
    """Seed all generators, then return ``run(*students, **data)``."""
    seed_all(seed)
    return run(*students, **data)


def each(run: Callable, *students: Any, seed: int, cases: list[dict[str, Any]]) -> list:
    """Return, for each case, ``{"value": …}`` of ``seeded``, or ``{"error": …}``.

    After a second, the cases that are left wait for the next message.
    """
    told: list[dict[str, Any]] = []
    start = time.monotonic()
    for case in cases:
        if told and time.monotonic() - start > 1:
            break
        try:
            value = seeded(run, *students, seed=seed, data=case)
        # student code may raise anything; an interrupt ends them all
        except (Exception, SystemExit) as error:
            told.append({"error": described(error)})
        else:
            # a function may write each result into the same array
            told.append({"value": copied(value)})
    return told


def described(error: BaseException) -> dict[str, str]:
    """Return an error as data, whatever it does when it is asked what it is."""
    try:
        text = " ".join(str(error).split())[:200]
    except BaseException:
        text = ""
    return {"kind": type(error).__name__[:100], "text": text}


def watch(function: Callable, /, **arguments: Any) -> tuple[Any, dict[str, Any]]:
    """Call ``function`` with the arguments, in this order, and see what happens
    besides.

    Returns its result, and a dict that holds ``"changed"``, the names of the arguments
    that are no longer what they were (contents, shape or dtype), and ``"warnings"``,
    the text of each ``RuntimeWarning``, which is how NumPy tells of overflow and of
    invalid values.
    """
    before = copy.deepcopy(arguments)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function(*arguments.values())
    return result, {
        "changed": [
            name for name in arguments if not same(arguments[name], before[name])
        ],
        "warnings": [str(w.message) for w in caught if w.category is RuntimeWarning],
    }


def unpack(result: Any, *names: str) -> tuple:
    """Return the parts of a result that has to be a tuple of ``names``."""
    several = isinstance(result, (tuple, list))
    if several and len(result) == len(names):
        return tuple(result)
    kind = f"{len(result)} values" if several else type(result).__name__
    raise TypeError(f"returned {kind}, where ({', '.join(names)}) is promised")


def copied(result: Any) -> Any:
    """Return a deep copy, safe from what a later call does to shared memory."""
    return copy.deepcopy(result)


def within(seconds: float, function: Callable, *arguments: Any) -> Any:
    """Call ``function``; raise ``TimeoutError`` if it computes for longer.

    What counts is the time of this process, so a busy machine is no fault; nobody
    looks for garbage meanwhile, which takes long where much is there. Where such
    alarms don't exist (in threads, on Windows), the call takes what it takes.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or not hasattr(signal, "setitimer"):
        return function(*arguments)

    def ring(*_: Any) -> None:
        raise TimeoutError(f"it computes for more than {seconds:g} s")

    def spent() -> float:
        times = os.times()
        return times.user + times.children_user

    had_collector = gc.isenabled()
    gc.disable()
    begin = spent()
    handler = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        result = function(*arguments)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, handler)
        if had_collector:
            gc.enable()
    # the alarm rings once, in this process alone, and can be caught
    if spent() - begin > seconds + 0.05:
        ring()
    return result


def same(a: Any, b: Any) -> bool:
    """Tell whether two pieces of data are equal to the bit, NaN counting as equal to
    NaN."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
