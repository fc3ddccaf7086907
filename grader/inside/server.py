"""The fork server: a warm Python inside the sandbox, one forked student process at a
time.

Started as ``python -m grader.inside.server FD``; FD is a socket to the trusted side.
Requests and replies are small JSON messages, strictly in turn:

- ``fork`` comes with a socket for the new process and with its limits;
- ``alive`` asks whether that process still runs;
- ``interrupt`` sends it SIGINT;
- ``end`` kills all that is left of it, wipes what it could have written, and replies
  whether all is as it was before.

Nothing here ever reads what a student's process says.
"""

import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from grader import alongside
from grader.inside import session
from grader.inside.shell import Shell, warm_up

PR_SET_DUMPABLE = 4
WRITABLE = (Path("/tmp"), Path("/dev/shm"))


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    warm = warm_up()
    import torch  # after the warm-up, which imports it fast

    # threads that wait for each other on busy cores take twenty times as long
    torch.set_num_threads = lambda num_threads: None
    # out of reach of ptrace and of /proc/PID/mem from the processes forked later
    _dumpable(False)
    server = _Server(control, warm, enclosed=os.environ["FOVEA_SANDBOX"] != "none")
    server.tell(server.state())
    server.serve()


class _Server:
    def __init__(self, control: socket.socket, shell: Shell, enclosed: bool):
        self.control, self.shell = control, shell
        self.enclosed = enclosed
        self.student = 0
        # one's own process outside a sandbox keeps to the folder it was started in
        self.writable = WRITABLE if enclosed else (Path.cwd(),)
        self.home = self.writable[0]
        # an environment below /tmp is shown there
        self.mounted = _mounted() if enclosed else set()
        self.wipe()

    def tell(self, message: dict) -> None:
        self.control.send(json.dumps(message).encode())

    def serve(self) -> None:
        while True:
            text, handles, _, _ = socket.recv_fds(self.control, 65536, 1)
            if not text:
                return
            request = json.loads(text)
            operation = request.pop("op")
            self.tell(getattr(self, operation)(*handles, **request))

    # --- requests ---

    def fork(
        self, handle: int, environment: dict, limits: dict, output_bytes: int
    ) -> dict:
        # a child forked beside other threads could hang on the locks they hold
        assert self.state()["threads"] == 1, "the fork server runs threads"
        self.student = os.fork()
        if not self.student:
            self.control.close()
            self.shell.collector.limit = output_bytes
            _become_student(handle, environment, limits, self.home, self.shell)
        os.close(handle)
        return {"pid": self.student}

    def alive(self) -> dict:
        # orphans come here, too: this is the first process of the sandbox
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitpid(-1, os.WNOHANG)[0]:
                if ended == self.student:
                    self.student = 0
        return {"alive": bool(self.student)}

    def interrupt(self) -> dict:
        if self.alive()["alive"]:
            os.kill(self.student, signal.SIGINT)
        return {}

    def end(self) -> dict:
        self.kill()
        self.wipe()
        return self.state()

    # --- leaving nothing behind ---

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.enclosed:
                # everything but this process
                os.kill(-1, signal.SIGKILL)
            elif self.student:
                os.killpg(self.student, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0):
                pass
        self.student = 0

    def wipe(self) -> None:
        for folder in self.writable:
            if folder.exists():
                folder.chmod(0o755)
                for entry in list(self._entries(folder)):
                    _remove(entry)
        for name in ("home", "work"):
            (self.home / name).mkdir()

    def _entries(self, folder: Path) -> Iterator[Path]:
        """Yield what was put into a folder: not what is mounted below it."""
        for entry in folder.iterdir() if folder.exists() else ():
            if any(entry in path.parents for path in self.mounted):
                yield from self._entries(entry)
            elif entry not in self.mounted:
                yield entry

    def state(self) -> dict:
        """Return all that a student could have changed: what there is besides this
        process, and what the kernel lets processes of one user set for each other."""
        if not self.enclosed:
            return {"threads": 1, "others": 0}
        processes = {p.name for p in Path("/proc").iterdir() if p.name.isdigit()}
        return {
            "threads": len(list(Path("/proc/self/task").iterdir())),
            "others": len(processes) - 1,
            "limits": [resource.getrlimit(n) for n in range(16)],
            "priority": os.getpriority(os.PRIO_PROCESS, 0),
            "scheduler": os.sched_getscheduler(0),
            "processors": sorted(os.sched_getaffinity(0)),
            "files": sorted(str(e) for f in self.writable for e in self._entries(f)),
            "mounted": [path.exists() for path in sorted(self.mounted)],
        }


def _mounted() -> set[Path]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {Path(line.split()[4].replace("\\040", " ")) for line in lines}


def _remove(entry: Path) -> None:
    def unlock(function: Callable, path: str, _: Any) -> None:
        Path(path).parent.chmod(0o700)
        Path(path).chmod(0o700)
        function(path)

    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, onerror=unlock)
    else:
        entry.unlink()


def _become_student(
    handle: int, environment: dict, limits: dict, home: Path, shell: Shell
) -> None:
    """Turn this forked process into a student's; never returns."""
    status = 1
    try:
        os.setsid()
        # as in any process of one's own, /proc/self is there to be read
        _dumpable(True)
        os.chdir(home / "work")
        os.environ.update(environment, HOME=str(home / "home"))
        for name, value in limits.items():
            number = getattr(resource, name)
            resource.setrlimit(number, (value, value))
        # the same submission gives the same numbers
        alongside.seed_all(0)
        session.serve(socket.socket(fileno=handle), shell)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _dumpable(yes: bool) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, int(yes), 0, 0, 0)


if __name__ == "__main__":
    main()
