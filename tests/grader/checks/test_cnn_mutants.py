"""How many mutants of the solution the hidden checks of topic 04 catch, and which not.

Every function of the solution is mutated by machine, but for the one that trains: it is
judged by what it reaches. A mutant that behaves like the
original on broad random inputs is no mutant, and is left out; each of the others has to
lose points in a check that takes the function.
"""

import contextlib
import warnings
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from grader.checks import cnn
from tests.grader.checks import cnn_cells as cells
from tests.grader.checks import cnn_probes as probes
from tests.grader.mutation import TimeUp, mutants, time_limit

# A mutant that loops for ever is stopped
TIME_LIMIT_S = 3

# All 1,524 were tried, and caught, when the checks were written; this many save time
EVERY = 4

# Mutants that survive, and why: {(function, what was done): reason}
SURVIVORS: dict[tuple[str, str], str] = {}


def _pair(name, probe):
    def both(names, rng):
        return probe(*(names[name.format(way)] for way in ("forward", "backward")), rng)

    return both


def _max_pool(names, rng):
    pair = names["max_pool_forward_naive"], names["max_pool_backward_naive"]
    return probes.poolings(*pair, rng) + probes.max_ties(*pair, rng)


def _single(name, probe):
    return lambda names, rng: probe(names[name], rng)


_naive = _pair("conv_{}_naive", probes.convolutions)
_im2col = _pair("conv_{}_im2col", probes.convolutions)
_average = _pair("avg_pool_{}_naive", probes.poolings)

# what a cell's functions do, by a name that the cell defines
PROBES = {
    "filter2d": _single("filter2d", probes.filters),
    "conv_output_size": _single("conv_output_size", probes.sizes),
    "conv_forward_naive": _naive,
    "conv_backward_naive": _naive,
    "conv_forward_im2col": _im2col,
    "conv_backward_im2col": _im2col,
    "max_pool_forward_naive": _max_pool,
    "max_pool_backward_naive": _max_pool,
    "avg_pool_forward_naive": _average,
    "avg_pool_backward_naive": _average,
    "conv1x1": _single("conv1x1", probes.pixels),
    "receptive_field": _single("receptive_field", probes.fields),
    "count_parameters": _single("count_parameters", probes.counts),
    "count_operations": _single("count_operations", probes.counts),
    "ThreeLayerConvNet": _single("ThreeLayerConvNet", probes.convnets),
    "torch_twin": _single("torch_twin", probes.twins),
}
SOURCES = {
    name: source
    for name in PROBES
    for source in cells.solution_sources().values()
    if f"def {name}(" in source or f"class {name}:" in source
}
CALLS = cells.graded_calls()


@contextlib.contextmanager
def quiet():
    """Let mutants warn and print as they like."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(None):
        warnings.simplefilter("ignore")
        yield


def behaviour(names, function):
    with time_limit(TIME_LIMIT_S):
        return PROBES[function](names, np.random.default_rng(7))


def behaves_otherwise(names, function, usual):
    try:
        return not probes.same(behaviour(names, function), usual)
    # whatever ends the probe is another behaviour
    except (Exception, TimeUp):
        return True


def caught(names, function):
    """Tell whether some check that takes the function takes points off."""
    for _, _, exercise, arguments in CALLS:
        if function in arguments:
            functions = [names[argument] for argument in arguments]
            if any(loses(check, functions) for check in parts(exercise)):
                return True
    return False


def parts(exercise):
    """The check, property by property: most mutants fall at once."""
    check = replace(getattr(cnn, exercise), mistakes=())
    # what is timed takes longest
    for prop in sorted(check.properties, key=lambda prop: bool(prop.hint)):
        yield replace(check, properties=(prop,))


def loses(check, functions):
    try:
        with time_limit(TIME_LIMIT_S):
            return check(*functions).score < check.points
    except TimeUp:
        return True


def survivors_of(function):
    """Return the number of mutants that behave otherwise, and those never caught."""
    solved, source = cells.namespace(), SOURCES[function]
    with quiet():
        usual = behaviour(solved, function)
        assert probes.same(behaviour(solved, function), usual)
        count, survivors = 0, []
        for name, mutant in islice(mutants(source), 0, None, EVERY):
            names = dict(solved)
            try:
                exec(compile(mutant, "<mutant>", "exec"), names)
            # a class can fail while it is defined
            except Exception:
                count += 1
                continue
            if behaves_otherwise(names, function, usual):
                count += 1
                if not caught(names, function):
                    survivors.append(name)
    return count, survivors


RESULTS: dict[str, tuple[int, list[str]]] = {}


@pytest.mark.slow
@pytest.mark.parametrize("function", SOURCES)
def test_mutants_are_caught(function, monkeypatch):
    monkeypatch.delenv("FOVEA_STUDENT", raising=False)
    RESULTS[function] = count, survivors = survivors_of(function)
    explained = [what for where, what in SURVIVORS if where == function]
    print(f"{function}: {count - len(survivors)} of {count} mutants caught {survivors}")
    assert sorted(survivors) == sorted(explained)


@pytest.mark.slow
def test_98_of_100_mutants_are_caught():
    if set(RESULTS) != set(SOURCES):
        pytest.skip("counts need the tests above, in the same process")
    total = sum(count for count, _ in RESULTS.values())
    alive = sum(len(survivors) for _, survivors in RESULTS.values())
    print(f"mutants caught: {total - alive} of {total} ({1 - alive / total:.1%})")
    assert total >= 150
    assert alive <= 0.02 * total
