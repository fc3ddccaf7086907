"""Tests that need a system package: skipped without it, failed where all must run.

With FOVEA_REQUIRE_ALL set, a test that was skipped for want of a system package is a
failure, whoever skipped it: a mark, the test itself, or its whole module. What no
package can mend, a kernel that lets nobody build a sandbox, is no failure.
"""

import functools
import os
import shutil
import subprocess

import pytest

from tools.setup_environment import SYSTEM_PACKAGES, install_line, is_present

# What a mark stands for: the Debian packages without which its tests cannot run.
NEEDED = {"browser": ["chromium"], "sandbox": ["bubblewrap"]}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run browser tests last: Playwright leaves an event loop running behind it, in
    which nothing else can start one."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a marked test whose packages are missing, and say what installs them."""
    needed = {name for mark in marks_of(item) for name in NEEDED[mark]}
    missing = sorted(p for p in needed if not is_present(SYSTEM_PACKAGES[p]))
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: {install_line(missing)}")
    if item.get_closest_marker("sandbox") and not namespaces_allowed():
        pytest.skip(NO_NAMESPACES)


NO_NAMESPACES = "this kernel lets no ordinary user have namespaces, so no sandbox"


@functools.cache
def namespaces_allowed() -> bool:
    """Ask the kernel itself, not our sandbox, whose faults must not hide here."""
    if not shutil.which("unshare"):
        return True
    command = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork"]
    if os.geteuid() == 0:
        drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        command = [*drop, *command]
    return subprocess.run([*command, "true"], capture_output=True).returncode == 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    reason = skip_reason(report)
    if NO_NAMESPACES not in reason and (marks_of(item) or names_a_package(reason)):
        refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    if names_a_package(skip_reason(report)):
        refuse_skip(report)
    return report


def marks_of(item: pytest.Item) -> list[str]:
    return [mark for mark in NEEDED if item.get_closest_marker(mark)]


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a report says "skipped"; nothing for other outcomes and expected failures."""
    skipped = report.outcome == "skipped" and not hasattr(report, "wasxfail")
    return str(report.longrepr[2]) if skipped else ""


def names_a_package(reason: str) -> bool:
    words = [*SYSTEM_PACKAGES, *SYSTEM_PACKAGES.values()]
    return any(word in reason.lower() for word in words)


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure where every test must run."""
    reason = skip_reason(report)
    if reason and os.environ.get("FOVEA_REQUIRE_ALL"):
        report.outcome = "failed"
        report.longrepr = f"FOVEA_REQUIRE_ALL is set, yet this was skipped: {reason}"
