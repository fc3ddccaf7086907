"""Open the course in JupyterLab: `python -m tools.lab [options for JupyterLab]`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def lab_command(extra: list[str], is_root: bool) -> list[str]:
    """The command that starts JupyterLab on the lectures, with `extra` options."""
    command = [sys.executable, "-m", "jupyterlab"]
    command += ["--LabApp.default_url=/lab/tree/lectures"]
    # Settings that keep it offline: no question about news, no look for updates.
    command += [f"--LabApp.app_settings_dir={ROOT / 'tools' / 'jupyterlab'}"]
    # Jupyter refuses to run as root unless told to, and containers are often root.
    command += ["--allow-root"] if is_root else []
    return command + extra


def main() -> None:
    # nbgrader finds its configuration by the folder that Jupyter starts in, and runs
    # programs (alembic) that lie beside this Python.
    os.chdir(ROOT)
    programs = str(Path(sys.executable).parent)
    os.environ["PATH"] = programs + os.pathsep + os.environ.get("PATH", "")
    command = lab_command(sys.argv[1:], is_root=os.geteuid() == 0)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
