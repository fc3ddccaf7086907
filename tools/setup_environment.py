"""Set up what the course runs on: the Python environment and the system packages.

    python3 tools/setup_environment.py            .venv, as constraints.txt pins it
    python3 tools/setup_environment.py --system   bubblewrap, chromium and a font
    python3 tools/setup_environment.py --pin      a new constraints.txt

Standard library only, since it runs before anything is installed. It has to start
under any Python 3, so that a too old one gets a sentence and no traceback: hence
annotations that old versions can evaluate.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
# Tried in this order when the Python that starts this file is too old.
CANDIDATES = ("python3.13", "python3.12", "python3.11", "python3.14", "python3")
# What the environment is made of: when one of these changes, it is set up again.
INPUTS = ("constraints.txt", "pyproject.toml")
# Debian's package, and the program or file that shows it is there.
SYSTEM_PACKAGES = {
    "bubblewrap": "bwrap",
    "chromium": "chromium",
    "fonts-dejavu-core": "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
}
PINS_HEADER = """\
# The complete environment, exactly, as it was tested with Python 3.11 on Linux.
# Made by `python3 tools/setup_environment.py --pin`: run it after a change to the
# dependencies in pyproject.toml, or to take newer releases. Newer Pythons and other
# systems use the same pins; the few packages that only they need are not listed.
"""


# ---------------------------------------------------------------- which Python


def version_of(python: str) -> tuple:
    """The (major, minor) of an interpreter, or () when it does not start."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        text = subprocess.check_output([python, "-c", code], stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return ()
    return tuple(int(part) for part in text.split())


def too_old(python: str, version: tuple) -> str:
    """The line for someone whose Python will not do: what came, what to do."""
    found = "Python {}.{}".format(*version) if version else "no working Python"
    return (
        "Fovea needs Python {}.{} or newer; {} is {}. Install a newer one, "
        "then name it: make setup PYTHON=/path/to/python3.13"
    ).format(*OLDEST, python, found)


def choose_python(wanted: str) -> str:
    """The interpreter to build the environment from, `wanted` when it is given."""
    if wanted:
        if version_of(wanted) < OLDEST:
            raise SystemExit(too_old(wanted, version_of(wanted)))
        return wanted
    if sys.version_info[:2] >= OLDEST:
        # With an environment active, the Python that it was made from: .venv itself
        # may be what has to be made anew.
        return sys._base_executable
    for name in CANDIDATES:
        if version_of(name) >= OLDEST:
            return name
    raise SystemExit(too_old(sys.executable, sys.version_info[:2]))


# ------------------------------------------------------- the Python environment


def environment_python(root: Path) -> Path:
    return root / ".venv" / "bin" / "python"


def stamp_path(root: Path) -> Path:
    return root / ".venv" / "fovea-setup-finished"


def fingerprint(root: Path, version: tuple) -> str:
    """A digest of all that a finished set-up depends on.

    The folder belongs to it, since the scripts in an environment name it: a copy
    of the project at another place has to be set up again.
    """
    parts = [(root / name).read_bytes() for name in INPUTS]
    parts += [str(root).encode(), repr(version).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def is_set_up(root: Path, wanted: str) -> bool:
    """Whether the set-up was finished for just these pins (and this Python)."""
    stamp, version = stamp_path(root), version_of(str(environment_python(root)))
    if not stamp.exists() or (wanted and version_of(wanted) != version):
        return False
    return stamp.read_text() == fingerprint(root, version)


def is_reusable(root: Path, python: str) -> bool:
    """Whether `.venv` has pip, lies where it was made, and is of this Python."""
    inside, venv = environment_python(root), root / ".venv"
    if version_of(str(inside)) != version_of(python):
        return False
    pip = venv / "bin" / "pip"
    if not pip.exists() or str(venv) not in pip.read_text().split("\n", 1)[0]:
        return False
    return subprocess.call([str(inside), "-c", "import pip"]) == 0


def run(*command: object) -> None:
    """Run a command, or end with the line that shows which one failed."""
    words = [str(word) for word in command]
    if subprocess.call(words, cwd=str(ROOT), stdin=subprocess.DEVNULL) != 0:
        raise SystemExit("Set-up stopped: this failed, see above: " + " ".join(words))


def pip_install(python: Path, *arguments: object) -> None:
    # A terminal sees the progress of the downloads, a log would only be flooded.
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    options = ["--disable-pip-version-check", "--no-input"]
    run(python, "-m", "pip", "install", *quiet, *options, *arguments)


def set_up(root: Path, wanted: str) -> None:
    """Bring `.venv` up to date; leaves the stamp only when all of it worked."""
    if is_set_up(root, wanted):
        return
    python = choose_python(wanted)
    stamp = stamp_path(root)
    if stamp.exists():
        stamp.unlink()
    print("Setting up .venv (once; most of it is PyTorch) ...", flush=True)
    if not is_reusable(root, python):
        run(python, "-m", "venv", "--clear", root / ".venv")
    inside = environment_python(root)
    pip_install(inside, "-c", root / "constraints.txt", "-e", str(root) + "[dev]")
    write_whole(stamp, fingerprint(root, version_of(str(inside))))


def write_whole(path: Path, text: str) -> None:
    """Write a file so that an interruption leaves the old one or the new one."""
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text)
    draft.replace(path)


def pin(root: Path, wanted: str) -> None:
    """Resolve the dependencies afresh and write what came out of it.

    torch keeps its pin: its releases decide which GPUs and drivers will do, and so
    are taken on purpose, by editing that one line.
    """
    old_pins = (root / "constraints.txt").read_text().splitlines()
    torch = [line for line in old_pins if line.startswith("torch==")]
    folder = root / "build" / "pin"
    run(choose_python(wanted), "-m", "venv", "--clear", folder)
    python = folder / "bin" / "python"
    pip_install(python, *torch, "-e", str(root) + "[dev]")
    freeze = ["freeze", "--all", "--exclude-editable", "--exclude", "pip"]
    pins = subprocess.check_output([str(python), "-m", "pip", *freeze])
    # torch 2.13.0+cpu is a build of torch 2.13.0: which build is up to the machine.
    lines = [line.split("+")[0] + "\n" for line in pins.decode().splitlines()]
    write_whole(root / "constraints.txt", PINS_HEADER + "".join(lines))


# --------------------------------------------------------- the system packages


def is_present(program: str) -> bool:
    """Whether a program is on PATH; a full path may be that of any file."""
    if Path(program).is_absolute():
        return Path(program).exists()
    return shutil.which(program) is not None


def missing_packages() -> list:
    return [name for name, shown in SYSTEM_PACKAGES.items() if not is_present(shown)]


def install_line(packages: list) -> str:
    """The one line with which a person installs these packages."""
    names = " ".join(packages)
    if shutil.which("apt-get"):
        return "sudo apt-get install --no-install-recommends " + names
    return "install with your system's package manager: " + names


def may_install() -> bool:
    """Whether we are root on Debian, so that installing is our business."""
    release = Path("/etc/os-release")
    is_debian = release.exists() and "ID=debian" in release.read_text().split("\n")
    return is_debian and os.geteuid() == 0


def apt_get(*arguments: str) -> bool:
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    command = ["apt-get", "-q", "-y", *arguments]
    # What apt says is of interest when it fails, and only then.
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode != 0:
        print(done.stdout.decode(errors="replace"), end="")
    return done.returncode == 0


def install_system_packages() -> None:
    """Install what is missing if we may, else say how: the rest works without."""
    missing = missing_packages()
    if missing and may_install():
        print("Installing " + ", ".join(missing) + " ...", flush=True)
        if apt_get("update"):
            apt_get("install", "--no-install-recommends", *missing)
        missing = missing_packages()
    if missing:
        print("Missing, and skipped where it is needed: " + ", ".join(missing))
        print("    " + install_line(missing), flush=True)


# ------------------------------------------------------------------ command line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--system", action="store_true", help="the system packages")
    kind.add_argument("--pin", action="store_true", help="write constraints.txt anew")
    parser.add_argument("--python", default="", help="build the environment from it")
    options = parser.parse_args()
    if options.system:
        install_system_packages()
    elif options.pin:
        pin(ROOT, options.python)
    else:
        set_up(ROOT, options.python)


if __name__ == "__main__":
    main()
