"""Start a Python program behind walls, by bubblewrap.

Inside there is the system's ``/usr`` and the Python environment, to be read; the parts
of this project that a student's process needs; a ``/tmp`` and a ``/dev/shm`` of limited
size; no network, no home, no course folder and no process of the outside. The user
inside is an ordinary one, and is so on the outside, too: started by root, bubblewrap
would hand root's rights on, so they are given up first.
"""

import contextlib
import functools
import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from grader import seccomp

_HERE = Path(__file__).resolve().parent
_NOBODY = 65534
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "fonts")
_FILES = {
    "/etc/passwd": b"student:x:1000:1000:student:/tmp/home:/bin/sh\n",
    "/etc/group": b"student:x:1000:\n",
    "/etc/hosts": b"127.0.0.1 localhost fovea\n",
}
_NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts")
_LISTEN_BYTES = 2**24
# What root does first: show what is needed under a folder that everybody can enter, as
# homes often can't be, in a table of mounts that this chain of programs alone has.
_STAGE = """set -e; umask 022
mount -t tmpfs -o mode=755 stage "$1"; cd "$1"; shift; i=0
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir $i; else : > $i; fi
    mount --rbind "$1" $i; i=$((i + 1)); shift
done
shift; exec "$@"
"""
# What the probe does inside: it sends what it finds of the walls.
_LOOK = """
import importlib.util as u, json, os, socket, sys
fd, version, prefix, *outside = sys.argv[1:]
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
names = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
caps = [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")]
found = {
    "an ordinary user": os.getuid() != 0 and os.getgid() != 0,
    "no capabilities": not any(caps),
    "a filter of system calls": status["Seccomp"].strip() == "2",
    "no network": set(names) <= {"lo"},
    "a kernel that can't be set": not os.access("/proc/sys/kernel/core_pattern", 2),
    "namespaces of its own": not {os.readlink("/proc/self/ns/" + name)
        for name in os.listdir("/proc/self/ns")} & set(outside),
    "the student's part of the grader": bool(u.find_spec("grader.inside")),
    "no other part of it": not any(
        os.path.exists(folder + "/grader/sandbox.py") for folder in sys.path),
    "the package fovea": bool(u.find_spec("fovea")),
    "the same Python": (sys.version, sys.prefix) == (version, prefix),
}
socket.socket(fileno=int(fd)).sendall(json.dumps(found).encode())
"""


class NoSandbox(Exception):
    """There are no walls here; the text says what is missing and what to do."""


class Enclosed:
    """A program that was started by ``start``, and all the processes it has started.

    ``process`` is the ``Popen`` of what holds it all.
    """

    def __init__(
        self,
        process: subprocess.Popen,
        memory_bytes: int,
        first: int | None = None,
        folder: str | None = None,
    ):
        self.process, self._memory_bytes = process, memory_bytes
        self._first, self._folder = first, folder
        self._handle, self._lock = None, threading.Lock()
        if first:
            # A handle, not a number: the number may be another process's one day.
            with contextlib.suppress(ProcessLookupError):
                self._handle = os.pidfd_open(first)
        self._said = b""
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        # Who goes on for ever has nobody who listens, in the end.
        left = _LISTEN_BYTES
        with self.process.stderr as stream:
            while left > 0 and (text := stream.read1(4096)):
                self._said = (self._said + text)[-4096:]
                left -= len(text)

    def said(self) -> str:
        """Return the end of what was written to the standard error, 4 kB at most.

        It may come from a student's code. What would steer a terminal is left out.
        """
        if self.process.poll() is not None:
            self._reader.join(1)
        text = self._said.decode(errors="replace").strip()
        return "".join(c for c in text if c.isprintable() or c in "\n\t")

    def pids(self) -> list[int]:
        """Return the processes inside, by their numbers on the outside."""
        if self.process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                top = psutil.Process(self.process.pid)
                inside = [child.pid for child in top.children(recursive=True)]
                return inside if self._first else [top.pid, *inside]
        return []

    def memory(self) -> int:
        """Return the bytes of memory in use inside, files of ``/tmp`` included.

        What several processes share is counted once when it matters: when the quick
        count, which has it several times, is above what was allowed.
        """
        pids, files = self.pids(), self._files()
        quick = files + sum(_resident(pid) for pid in pids)
        if quick <= self._memory_bytes or sys.platform != "linux":
            return quick
        rolled = [f"/proc/{pid}/smaps_rollup" for pid in pids]
        own = sum(_sum(path, "Pss_Anon") for path in rolled)
        shared = sum(_sum(path, "Pss_Shmem") for path in rolled)
        return own + max(shared, files) if own else quick

    def _files(self) -> int:
        total = 0
        for folder in ("tmp", "dev/shm") if self._handle else ():
            with contextlib.suppress(OSError):
                use = os.statvfs(f"/proc/{self._first}/root/{folder}")
                total += (use.f_blocks - use.f_bfree) * use.f_frsize
                total += (use.f_files - use.f_ffree) * 1024  # the kernel's note of each
        return total

    def kill(self) -> None:
        """End everything inside; when this returns, it is all gone.

        Without a sandbox, a process that has cut itself off from the others stays.
        """
        with self._lock:
            if self._handle:
                # With the first process, the kernel ends all others, and it ends last.
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._handle, signal.SIGKILL)
                poller = select.poll()
                poller.register(self._handle, select.POLLIN)
                poller.poll()
                os.close(self._handle)
                self._handle = None
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.send_signal(signal.SIGCONT)
                    self.process.wait(5)
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        self._reader.join(1)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _resident(pid: int) -> int:
    if sys.platform == "linux":
        return _sum(f"/proc/{pid}/status", "RssAnon RssShmem")
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).memory_info().rss
    return 0


def _sum(path: str, names: str) -> int:
    """Return the bytes that a file of /proc has in the lines of these names."""
    with contextlib.suppress(OSError):
        lines = (line.split() for line in Path(path).read_text().splitlines())
        wanted = {f"{name}:" for name in names.split()}
        return 1024 * sum(int(line[1]) for line in lines if line[0] in wanted)
    return 0


def start(
    module: str, sock: socket.socket, *, enclosed: bool = True, memory_bytes: int
) -> Enclosed:
    """Run ``python -m module FD`` inside; ``FD`` is the number of ``sock`` there.

    ``memory_bytes`` sets the size of ``/tmp`` and ``/dev/shm``, a quarter of it each;
    it is no limit on the processes. Inside, ``FOVEA_SANDBOX`` is "bubblewrap". With
    ``enclosed=False`` it is "none": an ordinary process of this user, whose ``TMPDIR``
    is a folder of its own; that is meant for one's own work.

    The program is the first process in there: orphans are its to wait for, and all ends
    with it. It ends with the thread that called this. Raises ``NoSandbox``.
    """
    if enclosed:
        probe()
    program = [sys.executable, "-P", "-m", module, str(sock.fileno())]
    return launch(program, [sock.fileno()], enclosed, memory_bytes)


def launch(
    program: Sequence[str],
    fds: Sequence[int] = (),
    enclosed: bool = True,
    memory_bytes: int = 2**30,
) -> Enclosed:
    """Run a program like ``start`` does; it gets the file descriptors ``fds``."""
    common = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    common |= {"stderr": subprocess.PIPE, "umask": 0o022, "start_new_session": True}
    if not enclosed:
        folder = tempfile.mkdtemp(prefix="fovea-")
        places = (str(_HERE.parent), str(_fovea().parent))
        env = _environment(folder, ":".join(dict.fromkeys(places)))
        env |= {"PATH": os.environ.get("PATH", os.defpath), "FOVEA_SANDBOX": "none"}
        options = common | {"env": os.environ | env, "cwd": folder, "pass_fds": fds}
        process = subprocess.Popen(program, **options)
        return Enclosed(process, memory_bytes, folder=folder)
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:

        def text(data: bytes) -> str:
            mine, its = socket.socketpair()
            theirs.enter_context(its)
            ours.enter_context(mine).sendall(data)
            mine.shutdown(socket.SHUT_WR)
            passed.append(its.fileno())
            texts.append(mine)
            return str(its.fileno())

        passed, texts = [*fds], []
        reading, writing = os.pipe()
        info = ours.enter_context(os.fdopen(reading))
        theirs.callback(os.close, writing)
        options = ["--info-fd", str(writing), "--seccomp", text(_filter())]
        for path, data in _FILES.items():
            options += ["--file", text(data), path]
        process = subprocess.Popen(
            _command(program, options, memory_bytes),
            pass_fds=[*passed, writing],
            cwd="/",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},  # it is seen inside
            **common,
        )
        theirs.close()
        # Before anything runs inside, bwrap tells its first process's number. Then that
        # waits for bwrap's leave: for ever, if bwrap ends with our thread just now. So
        # we wait until both have closed what they read.
        told = info.read()
        for mine in texts:
            with contextlib.suppress(ConnectionResetError):
                mine.recv(1)
    first = json.loads(told)["child-pid"] if told else None
    inside = Enclosed(process, memory_bytes, first)
    if first is None:
        process.wait()
        raise NoSandbox(_advice(inside.said()))
    return inside


def _filter() -> bytes:
    try:
        return seccomp.program()
    except KeyError as error:
        raise NoSandbox(
            f"The sandbox is made for x86_64 and aarch64; this machine is {error}. "
            "Grade on another one."
        ) from None


def _fovea() -> Path:
    return Path(importlib.util.find_spec("fovea").origin).resolve().parent


def _environment(folder: str, path: str) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": f"{folder}/home",
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "MPLCONFIGDIR": f"{folder}/home/.config/matplotlib",
        "PYTHONPATH": path,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        # there is no network, and pip would try for a quarter of a minute
        "PIP_RETRIES": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        # Memory is kept, not given back and asked for again at every step of a
        # training loop: that took two thirds of its time.
        "MALLOC_TRIM_THRESHOLD_": str(2**30),
        "MALLOC_MMAP_THRESHOLD_": str(2**25),
        "FOVEA_SANDBOX": "bubblewrap",
    }


def _follow(path: str) -> tuple[str, dict[str, str]]:
    """Return the real path, and the symbolic links on the way to it."""
    links, real = {}, "/"
    rest = path.split("/")[::-1]
    while rest:
        part = rest.pop()
        here = os.path.normpath(f"{real}/{part}")
        if Path(here).is_symlink():
            links[here] = str(Path(here).readlink())
            real = "/" if links[here].startswith("/") else real
            rest += links[here].split("/")[::-1]
        else:
            real = here
    return real, links


def _within(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(f"{folder.rstrip('/')}/") for folder in folders)


def _shown() -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Return what is shown inside (path there: path here), the symbolic links (path:
    target), and the folders in it that are hidden."""
    prefixes = (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
    wanted = (*_SYSTEM, *prefixes, sys.executable)
    followed = [_follow(path) for path in wanted if Path(path).exists()]
    links = {link: to for _, found in followed for link, to in found.items()}
    reals = sorted({real for real, _ in followed})
    folders = [real for real in reals if not _within(real, reals)]
    links = {link: to for link, to in links.items() if not _within(link, folders)}
    installed = _HERE.parent.name in ("site-packages", "dist-packages")
    home = Path(os.environ.get("HOME", "/"))
    for private in (home, *([] if installed else [_HERE.parent])):
        if _within(f"{private.resolve()}/", folders):
            raise NoSandbox(
                f"{private} lies in the system or in the Python environment, and those "
                "are shown inside the sandbox. Each has to have a folder of its own."
            )
    shown = {folder: folder for folder in folders}
    shown |= {f"/etc/{name}": f"/etc/{name}" for name in (*_ETC, "localtime")}
    for part in ("__init__.py", "alongside.py", "inside"):
        shown[f"/opt/fovea/grader/{part}"] = str(_HERE / part)
    shown["/opt/fovea/fovea"] = str(_fovea())
    site = [Path(sysconfig.get_path(name), "grader") for name in ("purelib", "platlib")]
    hidden = {str(path.resolve()) for path in (_HERE, *site) if path.exists()}
    hidden = sorted(path for path in hidden if _within(path, folders))
    return {at: p for at, p in shown.items() if Path(p).exists()}, links, hidden


def _command(
    program: Sequence[str], options: Sequence[str], memory_bytes: int
) -> list[str]:
    """Return the command line that runs the program inside."""
    shown, links, hidden = _shown()
    sources, before = list(shown.values()), []
    if os.geteuid() == 0:
        free = ("/mnt", "/media", "/srv", "/opt", "/run")
        unused = (f for f in free if not any(_within(s, [f]) for s in sources))
        stage = next(folder for folder in unused if Path(folder).is_dir())
        before = [_tool("unshare"), "--mount", "--propagation", "private"]
        before += [_tool("sh"), "-c", _STAGE, "sh", stage, *sources, "--"]
        before += [_tool("setpriv"), f"--reuid={_NOBODY}", f"--regid={_NOBODY}"]
        before += ["--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        before += ["--no-new-privs"]
        sources = [f"{stage}/{i}" for i in range(len(sources))]
    size = str(max(memory_bytes // 4, 2**20))
    # As the first process: bwrap would put itself there, where a student can change
    # its memory, and it would live on when the next one comes.
    walls = ["--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1"]
    walls += ["--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"]
    walls += ["--hostname", "fovea", "--proc", "/proc", "--dev", "/dev"]
    walls += ["--size", size, "--tmpfs", "/tmp", "--size", size, "--tmpfs", "/dev/shm"]
    for place, source in zip(shown, sources, strict=True):
        walls += ["--ro-bind", source, place]
    for link, target in links.items():
        walls += ["--symlink", target, link]
    walls += options
    for folder in hidden:
        walls += ["--tmpfs", folder, "--remount-ro", folder]
    walls += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]
    walls += ["--clearenv", "--setenv", "PYTHONNOUSERSITE", "1"]
    for name, value in _environment("/tmp", "/opt/fovea").items():
        walls += ["--setenv", name, value]
    return [*before, _tool("bwrap"), *walls, *program]


def _tool(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path:
        return path
    package = "bubblewrap" if name == "bwrap" else "util-linux"
    raise NoSandbox(
        f"{name} is not installed, and the sandbox takes it: "
        f"sudo apt-get install {package} (Fedora: sudo dnf install {package})"
    )


@functools.cache
def probe() -> None:
    """Raise ``NoSandbox`` unless a program really runs inside, and sees the walls."""
    if sys.platform != "linux":
        raise NoSandbox(
            "The sandbox takes Linux. Grade there, or in a virtual machine that runs "
            "it; for one's own work, --no-sandbox does without."
        )
    _tool("bwrap")
    if os.geteuid() == 0:
        _readable()
    ours, theirs = socket.socketpair()
    outside = [str(Path(f"/proc/self/ns/{name}").readlink()) for name in _NAMESPACES]
    program = [sys.executable, "-P", "-c", _LOOK, str(theirs.fileno())]
    with ours, theirs:
        inside = launch(
            [*program, sys.version, sys.prefix, *outside], [theirs.fileno()]
        )
        try:
            theirs.close()
            found = ours.recv(2**16)
        finally:
            inside.kill()
    if not found:
        raise NoSandbox(_advice(inside.said()))
    if missing := [name for name, there in json.loads(found).items() if not there]:
        raise NoSandbox(
            "The sandbox starts, but without walls that it needs: "
            f"{', '.join(missing)}. Grade on another machine."
        )


def _readable() -> None:
    """Raise ``NoSandbox`` for a file that the ordinary user inside can't read."""
    packages = (_HERE / "inside", _fovea())
    files = [sys.prefix, sys.base_prefix, sys.executable, os.__file__]
    files += [sysconfig.get_path("purelib"), _HERE / "__init__.py"]
    files += [_HERE / "alongside.py"]
    files += [path for folder in packages for path in (folder, *folder.rglob("*"))]
    for path in map(Path, files):
        needed = 0o005 if path.is_dir() else 0o004
        if path.stat().st_mode & needed != needed:
            raise NoSandbox(
                f"{path} can be read by its owner only. Run by root, the sandbox has "
                "another user inside: sudo chmod -R go+rX on the project's folder and "
                "on the Python environment"
            )


def _advice(error: str) -> str:
    """Return the text for a sandbox that didn't start, from what bwrap has said."""
    if "nknown option" in error:
        todo = "bubblewrap is too old: 0.7 or later is needed (Debian 12, Ubuntu 24.04)"
    elif _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        todo = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    elif _setting("kernel/unprivileged_userns_clone") == "0":
        todo = "sudo sysctl -w kernel.unprivileged_userns_clone=1"
    elif _setting("user/max_user_namespaces") == "0":
        todo = "sudo sysctl -w user.max_user_namespaces=10000"
    elif any(
        w in error for w in ("namespace", "unshare", "uid map", "mount", "setpriv")
    ):
        todo = (
            "the kernel or a container refuses. In Docker, start the container with "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined, and grade as an ordinary user in "
            "it; in Podman, with --security-opt unmask=ALL"
        )
    else:
        todo = "grade on another machine, or --no-sandbox for one's own work"
    return f"The sandbox doesn't start ({error or 'it said nothing'}): {todo}"


def _setting(name: str) -> str:
    path = Path("/proc/sys", name)
    return path.read_text().strip() if path.exists() else ""
