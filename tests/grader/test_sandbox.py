import json
import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from grader import sandbox, seccomp

ROOT = Path(__file__).parents[2]
ESCAPES = Path(__file__).with_name("escapes.py")
WAYS: dict = {"__name__": "escapes"}
exec(ESCAPES.read_text(), WAYS)
AS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def walls():
    sandbox.probe()


def ask(snippets, facts=None, **options):
    """Run snippets of ``escapes.py`` inside, all in one start."""
    ours, theirs = socket.socketpair()
    program = [sys.executable, "-P", "-c", ESCAPES.read_text(), str(theirs.fileno())]
    inside = sandbox.launch(program, [theirs.fileno()], **options)
    theirs.close()
    try:
        with ours:
            text = json.dumps({"snippets": snippets, "facts": facts or {}})
            ours.sendall(text.encode() + b"\n")
            answer = ours.makefile().read()
        assert answer, inside.said()
        return json.loads(answer)
    finally:
        inside.kill()


@pytest.fixture
def facts(tmp_path):
    """What there is outside: a course, and servers that would answer."""
    (tmp_path / "course").mkdir()
    gradebook = tmp_path / "course" / "gradebook.db"
    gradebook.write_text("ada: 10")
    calls = seccomp.refused(platform.machine())
    calls["clone"] = seccomp._MACHINES[platform.machine()][1]
    kinds = (socket.AF_INET, socket.AF_UNIX, socket.AF_UNIX)
    tcp, abstract, named = servers = [socket.socket(kind) for kind in kinds]
    tcp.bind(("127.0.0.1", 0))
    abstract.bind(f"\0fovea-{os.getpid()}")
    named.bind(str(tmp_path / "socket"))
    for server in servers:
        server.listen()
    yield {
        "course": str(tmp_path / "course"),
        "gradebook": str(gradebook),
        "project": str(ROOT),
        "prefix": os.path.realpath(sys.base_prefix),
        "outside": os.getpid(),
        "port": tcp.getsockname()[1],
        "abstract": f"\0fovea-{os.getpid()}",
        "path": str(tmp_path / "socket"),
        "zone": list(time.tzname),
        "calls": calls,
    }
    for server in servers:
        server.close()


def escaped(answers):
    """What wasn't stopped, or not by the walls: those raise OSError."""
    return {n: a for n, a in answers.items() if not a.startswith("OSError")}


@pytest.mark.sandbox
def test_nothing_gets_out(walls, facts, monkeypatch):
    monkeypatch.setenv("SECRET", "SECRET")
    answers = ask(WAYS["ESCAPES"], facts, memory_bytes=2**28)
    assert len(answers) > 60
    assert escaped(answers) == {}


def test_ways_out_are_ways_out_where_there_are_no_walls(facts):
    answers = ask(WAYS["OPEN_OUTSIDE"], facts, enclosed=False)
    assert {n: a for n, a in answers.items() if a != "done"} == {}


@pytest.mark.sandbox
def test_what_students_use_works(walls, facts):
    answers = ask(WAYS["USES"], facts)
    assert {n: a for n, a in answers.items() if a != "done"} == {}


@pytest.mark.slow
@pytest.mark.sandbox
def test_what_a_course_uses_works(walls, facts):
    answers = ask(WAYS["COURSE_USES"], facts)
    assert {n: a for n, a in answers.items() if a != "done"} == {}


@pytest.mark.sandbox
def test_every_refused_call_is_refused(walls, facts):
    each = """
for name in set(calls) - {'clone'}:
    try:
        call(name, -1, -1, -1, -1, -1, -1)
    except PermissionError:
        continue
    sys.exit(name)"""
    assert ask({"each": each}, facts) == {"each": "done"}


@pytest.mark.sandbox
@pytest.mark.skipif(platform.machine() != "x86_64", reason="calls of x86 only")
def test_calls_of_32_bits_end_the_process(walls, facts):
    old = """
import mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex('b814000000cd80c3'))  # getpid by int 0x80
address = ctypes.addressof(ctypes.c_char.from_buffer(code))
ctypes.CFUNCTYPE(ctypes.c_int)(address)()"""
    assert ask({"old": old}, facts)["old"].startswith("ended by status")


@pytest.mark.sandbox
def test_only_the_sockets_are_passed_on(walls, facts):
    with Path(__file__).open() as file:
        os.set_inheritable(file.fileno(), True)
        # 0 to 2, the socket, the pipe for the answer and the folder being listed.
        listed = "assert len(os.listdir('/proc/self/fd')) == 6"
        assert ask({"fds": listed}) == {"fds": "done"}


@pytest.mark.sandbox
def test_mounts_outside_stay_as_they_are(walls):
    before = Path("/proc/mounts").read_text()
    ask({"nothing": "pass"})
    assert Path("/proc/mounts").read_text() == before


def hold(code, **options):
    """Start code inside, which is to say a word on its socket; return both."""
    ours, theirs = socket.socketpair()
    say = f"import os, socket, sys, time\ns = socket.socket(fileno={theirs.fileno()})\n"
    inside = sandbox.launch(
        [sys.executable, "-c", say + code], [theirs.fileno()], **options
    )
    theirs.close()
    with ours:
        ours.settimeout(60)
        assert ours.recv(9), inside.said()
    return inside


DAEMONS = """
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            break
        os._exit(0)
else:
    time.sleep(0.1)
    s.send(b'ready')
time.sleep(600)
"""


@pytest.mark.sandbox
def test_kill_ends_everything(walls):
    inside = hold(DAEMONS)
    pids = inside.pids()
    spaces = {os.readlink(f"/proc/{pid}/ns/pid") for pid in pids}  # noqa: PTH115
    assert len(pids) >= 5  # the first process, the program, three on their own
    assert len(spaces) == 1
    assert not spaces & {str(Path("/proc/self/ns/pid").readlink())}
    inside.kill()
    inside.kill()
    assert not [pid for pid in [*pids, inside.process.pid] if psutil.pid_exists(pid)]
    assert inside.pids() == []
    assert inside.memory() == 0


@pytest.mark.sandbox
def test_kill_ends_what_is_stopped(walls):
    inside = hold("s.send(b'ready')\ntime.sleep(600)")
    pids = inside.pids()
    for pid in [*pids, inside.process.pid]:
        os.kill(pid, signal.SIGSTOP)
    inside.kill()
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


@pytest.mark.sandbox
def test_kill_at_once(walls):
    for _ in range(5):
        inside = sandbox.launch([sys.executable, "-c", "import time; time.sleep(600)"])
        inside.kill()
        assert inside.process.returncode is not None


STARTER = """
import os, socket, sys
sys.path.insert(0, sys.argv[1])
from grader import sandbox
ours, theirs = socket.socketpair()
code = sys.argv[2].format(theirs.fileno())
inside = sandbox.launch([sys.executable, "-c", code], [theirs.fileno()])
if "send" in code:
    ours.recv(9)
print(inside.process.pid, *inside.pids(), flush=True)
os._exit(0)"""


def gone(pid):
    """Whether a process has ended, be it that nobody has asked how yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.sandbox
@pytest.mark.parametrize(
    "code",
    [
        # Deaf, but started; and still starting, but it listens.
        "import socket as s, time; s.socket(fileno={}).send(b'x'); time.sleep(600)",
        "import socket as s; s.socket(fileno={}).recv(9)",
    ],
)
def test_sandbox_ends_with_the_process_that_started_it(walls, code):
    command = [sys.executable, "-c", STARTER, str(ROOT), code]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    end = time.monotonic() + 20
    while not all(gone(int(pid)) for pid in said.split()):
        assert time.monotonic() < end
        time.sleep(0.01)


SLOW = """#!{python}
import json, os, sys, time
options = sys.argv
info = int(options[options.index("--info-fd") + 1])
os.write(info, json.dumps({{"child-pid": os.getpid()}}).encode())
os.close(info)
time.sleep(0.5)
open({written!r}, "w").close()"""


@pytest.mark.sandbox
def test_program_is_past_waiting_for_bwrap_when_start_returns(monkeypatch):
    """Between its telling and its leave, the end of bwrap would leave a process."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        written, slow = Path(folder, "written"), Path(folder, "bwrap")
        slow.write_text(SLOW.format(python=sys.executable, written=str(written)))
        slow.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        inside = sandbox.launch([sys.executable, "-c", ""])
        assert written.exists()
        inside.kill()


@pytest.mark.sandbox
def test_socket_closes_when_the_program_ends(walls):
    ours, theirs = socket.socketpair()
    program = [sys.executable, "-c", "import os; os.write(2, b'x' * 9999 + b'end')"]
    inside = sandbox.launch(program, [theirs.fileno()])
    theirs.close()
    ours.settimeout(60)
    with ours:
        assert ours.recv(1) == b""
    inside.process.wait(60)
    said = inside.said()
    inside.kill()
    assert (len(said), said[-4:]) == (4096, "xend")


@pytest.mark.sandbox
def test_memory_counts_memory_and_files(walls):
    mebi = 2**20
    inside = hold("x = b'x' * 2**26\ns.send(b'ready')\ntime.sleep(600)")
    plain = inside.memory()
    inside.kill()
    assert 64 * mebi <= plain < 96 * mebi
    for folder in ("/tmp", "/dev/shm"):
        code = f"open('{folder}/x', 'wb').write(b'x' * 2**26)\n"
        inside = hold(code + "s.send(b'ready')\ntime.sleep(600)")
        with_file = inside.memory()
        inside.kill()
        assert 64 * mebi <= with_file < 96 * mebi


@pytest.mark.sandbox
def test_what_processes_share_is_counted_once_when_it_matters(walls):
    code = """
x = b'x' * 2**26
for _ in range(3):
    if os.fork() == 0:
        time.sleep(600)
s.send(b'ready')
time.sleep(600)"""
    counts = {}
    for limit in (2**30, 2**27):
        inside = hold(code, memory_bytes=limit)
        counts[limit] = inside.memory()
        inside.kill()
    assert counts[2**30] > 4 * 2**26
    assert counts[2**27] < 2 * 2**26


def test_without_walls_the_interface_is_the_same():
    code = """open('here', 'w')
names = 'TMPDIR', 'HOME', 'FOVEA_SANDBOX', 'OMP_NUM_THREADS'
s.send(' '.join([os.getcwd(), *map(os.getenv, names)]).encode())
time.sleep(600)"""
    ours, theirs = socket.socketpair()
    say = f"import os, socket, time\ns = socket.socket(fileno={theirs.fileno()})\n"
    program = [sys.executable, "-c", say + code]
    inside = sandbox.launch(program, [theirs.fileno()], enclosed=False)
    theirs.close()
    with ours:
        folder, *rest = ours.recv(999).decode().split(" ")
    assert rest == [folder, f"{folder}/home", "none", "1"]
    folder = Path(folder)
    assert (folder / "here").exists()
    assert inside.pids() == [inside.process.pid]
    assert inside.memory() > 2**20
    inside.kill()
    inside.kill()
    assert not folder.exists()
    assert inside.pids() == []


def test_module_gets_the_number_of_its_socket(monkeypatch):
    monkeypatch.setattr(sandbox, "launch", lambda *arguments: arguments)
    with socket.socket(socket.AF_UNIX) as sock:
        fd = sock.fileno()
        program, *rest = sandbox.start("x.y", sock, enclosed=False, memory_bytes=7)
    assert program == [sys.executable, "-P", "-m", "x.y", str(fd)]
    assert rest == [[fd], False, 7]


def test_nothing_starts_before_the_walls_are_seen(monkeypatch):
    def refuse():
        raise sandbox.NoSandbox("no walls")

    monkeypatch.setattr(sandbox, "probe", refuse)
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(sandbox.NoSandbox):
        sandbox.start("x.y", sock, memory_bytes=7)


# Makes the interpreter and the project reachable for another user, in a table of mounts
# of its own: a folder of mode 700 on the way is replaced by one that can be entered.
OPEN_WAY = """set -e; umask 022; mount -t tmpfs -o mode=755 x /mnt
while [ "$1" != -- ]; do
    closed=; way=
    for part in $(echo "$1" | tr / ' '); do
        way=$way/$part
        case $(stat -c %a $way) in *[1357]) ;; *) closed=${closed:-$way} ;; esac
    done
    if [ "$closed" ]; then
        mkdir -p /mnt/x; mount --rbind "$1" /mnt/x
        mount -t tmpfs -o mode=755 x "$closed"; mkdir -p "$1"
        mount --rbind /mnt/x "$1"; umount -l /mnt/x
    fi
    shift
done
shift; exec setpriv --reuid 12345 --regid 12345 --clear-groups "$@"
"""
LOOK = """
import os, sys
sys.path.insert(0, sys.argv[1])
from grader import sandbox
sandbox.probe()
print(os.getuid(), sandbox.probe.cache_info().currsize)"""


def as_user(*command):
    """Run a command as an ordinary user; root takes another user for that."""
    if not AS_ROOT:
        return subprocess.run(command, capture_output=True, text=True)
    chain = ["unshare", "--mount", "--propagation", "private", "sh", "-c", OPEN_WAY]
    places = dict.fromkeys([os.path.realpath(sys.base_prefix), sys.prefix, str(ROOT)])
    chain += ["sh", *places, "--", *command]
    return subprocess.run(chain, capture_output=True, text=True, cwd="/")


@pytest.mark.sandbox
def test_ordinary_user(walls):
    done = as_user(sys.executable, "-c", LOOK, str(ROOT))
    uid = 12345 if AS_ROOT else os.getuid()
    assert (done.stdout, done.stderr) == (f"{uid} 1\n", "")


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.skipif(not AS_ROOT, reason="the other tests run as an ordinary user")
def test_ordinary_user_gets_nothing_out(walls):
    names = "nothing_gets_out", "kill_ends_everything", "memory_counts_memory_and_files"
    tests = [f"{__file__}::test_{name}" for name in names]
    flags = "-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT)
    done = as_user(sys.executable, "-m", "pytest", *flags, *tests)
    assert "3 passed" in done.stdout, done.stdout + done.stderr


@pytest.fixture
def home(tmp_path):
    """A clone of the project with an environment, in a home of mode 700."""
    clone = tmp_path / "home" / "clone"
    ignored = shutil.ignore_patterns("__pycache__")
    for package in ("grader", "fovea"):
        shutil.copytree(ROOT / package, clone / package, ignore=ignored)
    environment = [sys.executable, "-m", "venv", "--without-pip", str(clone / "env")]
    subprocess.run(environment, check=True)
    (site,) = (clone / "env" / "lib").glob("python*/site-packages")
    # For psutil, which is needed on the outside.
    (site / "more.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (tmp_path / "home").chmod(0o700)
    return clone


def look_from(clone, path=None, **options):
    command = [str(clone / "env/bin/python"), "-P", "-c", LOOK, path or str(clone)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.mark.sandbox
def test_home_that_only_its_owner_can_enter(walls, home):
    done = look_from(home)
    assert (done.stdout, done.stderr) == (f"{os.getuid()} 1\n", "")


@pytest.mark.sandbox
def test_checks_are_hidden_where_the_project_is_installed(walls, home):
    (site,) = (home / "env" / "lib").glob("python*/site-packages")
    shutil.move(home / "grader", site)
    shutil.move(home / "fovea", site)
    done = look_from(home, str(site))
    assert (done.stdout, done.stderr) == (f"{os.getuid()} 1\n", "")


@pytest.mark.sandbox
def test_interpreter_behind_links(walls, home):
    away = home.parent / "away"
    shutil.move(home / "env", away)
    (home / "between").symlink_to("../away")
    (home / "env").symlink_to("between")
    done = look_from(home)
    assert (done.stdout, done.stderr) == (f"{os.getuid()} 1\n", "")


@pytest.mark.sandbox
@pytest.mark.skipif(not AS_ROOT, reason="only root needs another user inside")
@pytest.mark.parametrize("part", ["fovea/data.py", "grader/inside", "env/bin/python"])
def test_files_that_only_root_can_read_are_named(walls, home, part):
    if part.startswith("env"):
        (home / part).unlink()
        shutil.copy(os.path.realpath(sys.executable), home / part)
    (home / part).chmod(0o700)
    said = look_from(home).stderr
    assert "NoSandbox" in said
    assert str(home / part) in said
    assert "chmod -R go+rX" in said


@pytest.mark.sandbox
def test_project_inside_of_the_environment_is_refused(walls, home):
    (home / "env" / "project").mkdir()
    shutil.move(home / "grader", home / "env" / "project")
    shutil.move(home / "fovea", home / "env" / "project")
    done = look_from(home, str(home / "env" / "project"))
    assert "Each has to have a folder of its own" in done.stderr


@pytest.mark.sandbox
def test_environment_that_is_a_home_is_refused(walls, home):
    done = look_from(home, env=os.environ | {"HOME": str(home / "env")})
    assert "Each has to have a folder of its own" in done.stderr


@pytest.mark.sandbox
def test_what_is_said_is_harmless_and_ends(walls, monkeypatch):
    monkeypatch.setattr(sandbox, "_LISTEN_BYTES", 2**20)
    code = "import os\nwhile True: os.write(2, b'x\\x1b[2J\\n' * 999)"
    inside = sandbox.launch([sys.executable, "-c", code])
    assert inside.process.wait(60) != 0  # it can't write any more
    said = inside.said()
    inside.kill()
    assert set(said) <= set("x[2J\n")
    assert len(said) < 4096


def fails(monkeypatch):
    """Return what the probe says, asked anew."""
    sandbox.probe.cache_clear()
    with pytest.raises(sandbox.NoSandbox) as caught:
        sandbox.probe()
    return str(caught.value)


@pytest.fixture
def fake(monkeypatch):
    """Put a program called bwrap first on the path, by what it does."""
    monkeypatch.setattr(sandbox, "_readable", lambda: None)

    def make(script):
        Path(folder, "bwrap").write_text(f"#!/bin/sh\n{script}\n")
        Path(folder, "bwrap").chmod(0o755)
        monkeypatch.setenv("PATH", folder, prepend=os.pathsep)

    # Not tmp_path: that is closed to the user that root turns into.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield make
    sandbox.probe.cache_clear()


def test_missing_bubblewrap(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    assert "sudo apt-get install bubblewrap" in fails(monkeypatch)


def test_other_systems(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "--no-sandbox" in fails(monkeypatch)


def test_other_processors(monkeypatch, fake):
    fake("exit 1")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert "this machine is 'riscv64'" in fails(monkeypatch)


REFUSALS = {
    "bwrap: Creating new namespace failed: Operation not permitted": "--security-opt",
    "bwrap: setting up uid map: Permission denied": "--security-opt",
    "bwrap: Can't mount proc on /newroot/proc: Operation not permitted": "systempaths",
    "bwrap: Unknown option --size": "0.7 or later",
    "bwrap: strange": "another machine",
}


@pytest.mark.parametrize("said", REFUSALS)
def test_refusal_says_what_to_do(monkeypatch, fake, said):
    monkeypatch.setattr(sandbox, "_setting", lambda name: "")
    fake(f"echo {json.dumps(said)} >&2; exit 1")
    text = fails(monkeypatch)
    assert said in text
    assert REFUSALS[said] in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
        ("kernel/unprivileged_userns_clone", "0"),
        ("user/max_user_namespaces", "0"),
    ],
)
def test_refusal_names_the_kernel_setting(monkeypatch, fake, name, value):
    monkeypatch.setattr(sandbox, "_setting", lambda n: value if n == name else "")
    fake("echo bwrap: No permissions to create new namespace >&2; exit 1")
    assert f"sudo sysctl -w {name.replace('/', '.')}=" in fails(monkeypatch)


@pytest.mark.sandbox
def test_walls_with_holes_are_refused(walls, monkeypatch, fake):
    fake("exit 1")  # restores the cache at the end
    monkeypatch.undo()
    monkeypatch.setattr(
        seccomp, "program", lambda: struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000)
    )
    whole = sandbox._command
    monkeypatch.setattr(
        sandbox,
        "_command",
        lambda *a: ["--share-net" if x == "--new-session" else x for x in whole(*a)],
    )
    text = fails(monkeypatch)
    assert "needs: no network, namespaces of its own." in text


def verdict(machine, arch, number, first=0, second=0):
    """What the filter says of a call: a small machine for its instructions."""
    program = list(struct.iter_unpack("<HBBI", seccomp.program(machine)))
    data = struct.pack("<IIQQQ", number, arch, 0, first, second)
    value = at = 0
    while True:
        code, then, otherwise, k = program[at]
        if code == 0x06:
            return {0x7FFF0000: "allow", 0x50001: "EPERM", 0x50026: "ENOSYS"}.get(k)
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, k)
            at += 1
        else:
            tests = {0x15: value == k, 0x25: value > k, 0x45: value & k}
            at += 1 + (then if tests[code] else otherwise)


X86, ARM = ("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)


@pytest.mark.parametrize(
    ("machine", "call", "result"),
    [
        (X86, (0,), "allow"),  # read
        (X86, (101,), "EPERM"),  # ptrace
        (X86, (61,), "allow"),  # wait4
        (X86, (56, 0x11), "allow"),  # clone, as fork does
        (X86, (56, 0x3D0F00), "allow"),  # clone, as threads do
        (X86, (56, 0x10000011), "EPERM"),
        (X86, (435,), "ENOSYS"),
        (X86, (41, 1), "allow"),
        (X86, (41, 2), "EPERM"),
        (X86, (53, 1), "allow"),
        (X86, (53, 16), "EPERM"),
        (X86, (16, 3, 0x5401), "allow"),
        (X86, (16, 3, 0x5412), "EPERM"),
        (X86, (16, 3, 0x541C), "EPERM"),
        (X86, (466,), "allow"),
        (X86, (467,), "ENOSYS"),
        (X86, (2**30,), "ENOSYS"),
        (("x86_64", 0x40000003), (20,), None),  # 32 bits: the process is ended
        (ARM, (63,), "allow"),  # read
        (ARM, (117,), "EPERM"),  # ptrace
        (ARM, (220, 0x11), "allow"),
        (ARM, (220, 0x20000011), "EPERM"),
        (ARM, (198, 1), "allow"),
        (ARM, (198, 10), "EPERM"),
        (ARM, (29, 3, 0x5412), "EPERM"),
        (ARM, (265,), "EPERM"),  # open_by_handle_at
        (("aarch64", 0x40000028), (20,), None),
    ],
)
def test_filter(machine, call, result):
    assert verdict(*machine, *call) == result
