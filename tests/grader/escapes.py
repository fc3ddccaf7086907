"""Ways out of the sandbox that its walls have to stop, and what has to work inside.

Run as a program inside: ``python escapes.py FD``. It reads a JSON object from the
socket: which snippets to run and facts about the outside, the names they use. Each runs
in a process of its own; the answers go back as a JSON object, name to "done" or to
what happened instead.
"""

import json
import os
import socket
import sys
import traceback

# Outside, each of these works for an ordinary user; inside, it has to raise OSError.
OPEN_OUTSIDE = {
    "reads the gradebook": "open(gradebook).read()",
    "lists the course folder": "os.listdir(course)",
    "lists the project": "assert os.listdir(project + '/tests')",
    "reads the checks": "open(project + '/grader/check.py').read()",
    "reads the system's configuration": "open('/etc/profile').read()",
    "lists homes": "os.listdir('/home')",
    "lists /sys": "os.listdir('/sys')",
    "sees a process of the outside": "os.stat(f'/proc/{outside}')",
    "sends a signal": "os.kill(outside, 0)",
    "reads the environment of the outside": "open(f'/proc/{outside}/environ').read()",
    "goes by the root of the outside": "os.listdir(f'/proc/{outside}/root')",
    "connects by TCP": "socket.create_connection(('127.0.0.1', port), 1)",
    "asks for a name by UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "listens to the kernel": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
    "connects to an abstract socket": """
with socket.socket(socket.AF_UNIX) as s:
    s.connect(abstract)""",
    "connects to a socket's path": """
with socket.socket(socket.AF_UNIX) as s:
    s.connect(path)""",
    "has memory that no limit counts": "os.memfd_create('x')",
    "has shared memory of System V": """
i = call('shmget', 0, 4096, 0o1600)
libc.shmctl(i, 0, None)""",
    "is traced": "call('ptrace', 0, 0, 0, 0)",
    "reads another's memory": "call('process_vm_readv', outside, 0, 0, 0, 0, 0)",
    "asks for its personality": "call('personality', 0xFFFFFFFF)",
}
# These would do harm, or need rights, outside: they are run inside only.
CLOSED = {
    "connects by IPv6": "socket.socket(socket.AF_INET6)",
    "has a new user namespace": "call('unshare', 0x10000000)",
    "clones into a user namespace": """
pid = call('clone', 0x10000000 | 17, 0, 0, 0, 0)
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)""",
    "has a file's handle": """
buffer = ctypes.create_string_buffer(200)
buffer[0] = 100
call('name_to_handle_at', -100, b'/tmp', buffer, buffer[100:], 0)""",
    "reads root's home": """
for name in os.listdir('/root'):
    if not os.path.commonpath([f'/root/{name}', prefix]) == f'/root/{name}':
        sys.exit('it sees ' + name)
raise OSError('nothing but the interpreter')""",
    "reads passwords": "open('/etc/shadow').read()",
    "writes /usr": "open('/usr/x', 'w')",
    "writes the interpreter": "open(prefix + '/x', 'w')",
    "writes the environment": "open(sys.prefix + '/x', 'w')",
    "changes a package": "os.rename(json.__file__, json.__file__ + 'x')",
    "writes the grader": "open('/opt/fovea/grader/x.py', 'w')",
    "changes the grader": "open('/opt/fovea/grader/__init__.py', 'a')",
    "writes the root": "open('/x', 'w')",
    "makes a folder in the root": "os.mkdir('/work2')",
    "writes /etc": "open('/etc/passwd', 'a')",
    "writes /dev": "open('/dev/x', 'w')",
    "makes a device": "os.mknod('/tmp/device', 0o020666, os.makedev(1, 1))",
    "makes a device of a disk": "os.mknod('/tmp/device', 0o060666, os.makedev(8, 0))",
    "links a file of the environment": "os.link(json.__file__, '/tmp/json.py')",
    "reads the kernel's memory": "open('/dev/mem').read()",
    "reads the kernel's messages": "call('syslog', 3, bytes(9), 9)",
    "sets what runs on a crash": "open('/proc/sys/kernel/core_pattern', 'w')",
    "sets the kernel's memory": "open('/proc/sys/vm/overcommit_memory', 'w')",
    "presses SysRq": "open('/proc/sysrq-trigger', 'w')",
    "maps users": "open('/proc/self/uid_map', 'wb', 0).write(b'0 0 1')",
    "becomes root": "os.setuid(0)",
    "becomes root's group": "os.setgroups([0])",
    "becomes root by su": """
import subprocess
if subprocess.run(['su', '-c', 'true'], stdin=-3, capture_output=True).returncode:
    raise OSError('su failed')""",
    "mounts": "call('mount', b'none', b'/tmp', b'tmpfs', 0, 0)",
    "mounts by the new calls": "call('fsopen', b'tmpfs', 0)",
    "copies a tree of mounts": "call('open_tree', -100, b'/', 1)",
    "unmounts": "call('umount2', b'/tmp', 2)",
    "changes the root": "os.chroot('/tmp')",
    "pivots the root": "call('pivot_root', b'/tmp', b'/tmp')",
    "enters a namespace": "call('setns', os.open('/proc/1/ns/mnt', 0), 0)",
    "clones by clone3": "call(435, ctypes.create_string_buffer(88), 88)",
    "traces pid 1": "call('ptrace', 16, 1, 0, 0)",
    "goes by pid 1's root": """
if os.listdir('/proc/1/root') == os.listdir('/'):
    raise OSError('it is the same root')""",
    "finds secrets in pid 1's environment": """
if b'SECRET' not in open('/proc/1/environ', 'rb').read() + str(os.environ).encode():
    raise OSError('no secret there')""",
    "goes by pid 1's files": """
for fd in os.listdir('/proc/1/fd'):
    if os.path.isdir(f'/proc/1/fd/{fd}'):
        sys.exit('a folder is open')
raise OSError('no folder there')""",
    "finds a process beside its own": """
if {n for n in os.listdir('/proc') if n.isdigit()} <= {'1', str(os.getpid())}:
    raise OSError('only the program and itself')""",
    "ends pid 1": """
os.kill(1, 9)
import time
time.sleep(0.1)
os.kill(1, 0)
raise OSError('it lives')""",
    "uses io_uring": "call('io_uring_setup', 1, ctypes.create_string_buffer(120))",
    "keeps keys": "call('keyctl', 0, -3, 0)",
    "adds a key": "call('add_key', b'user', b'x', b'y', 1, -2)",
    "opens a file by its handle": "call('open_by_handle_at', 0, 0, 0)",
    "loads a program into the kernel": "call('bpf', 0, 0, 0)",
    "handles faults": "call('userfaultfd', 1)",
    "watches the machine": "call('perf_event_open', 0, 0, -1, -1, 0)",
    "steals a descriptor": "call('pidfd_getfd', os.pidfd_open(1), 0, 0)",
    "has a queue of messages": "call('mq_open', b'x', 0o102, 0o600, 0)",
    "has messages of System V": "call('msgget', 0, 0o1600)",
    "has semaphores of System V": "call('semget', 0, 1, 0o1600)",
    "types into a terminal": """
import fcntl, pty
there, here = pty.openpty()
try:
    fcntl.ioctl(here, 0x5412, b'x')
except PermissionError:
    raise
except OSError as error:
    sys.exit(f'not the filter, but {error}')""",
    "uses a call that is too new": "call(470, 0)",
    "uses a call of x32": "call(2**30 + 39 if machine == 'x86_64' else 470)",
    "finds docker": "os.stat('/var/run/docker.sock')",
    "sets the clock": "time.clock_settime(time.CLOCK_REALTIME, time.time())",
    "sets the host's name": "socket.sethostname('x')",
    "fills the disk": """
try:
    with open('/tmp/x', 'wb') as file:
        for _ in range(200):
            file.write(bytes(2**20))
finally:
    os.remove('/tmp/x')""",
    "fills shared memory": """
try:
    with open('/dev/shm/x', 'wb') as file:
        for _ in range(200):
            file.write(bytes(2**20))
finally:
    os.remove('/dev/shm/x')""",
}
ESCAPES = OPEN_OUTSIDE | CLOSED

USES = {
    "user": "import getpass; assert getpass.getuser() == 'student'",
    "home": "assert os.path.expanduser('~') == os.environ['TMPDIR'] + '/home'",
    "subprocess": """
import subprocess
assert subprocess.check_output(['sh', '-c', 'echo $((6 * 7))']) == b'42\\n'
assert subprocess.check_output([sys.executable, '-c', 'print(1)']) == b'1\\n'""",
    "temporary files": """
import tempfile
with tempfile.TemporaryDirectory() as folder:
    open(folder + '/x', 'w').write('x')""",
    "shared memory": """
from multiprocessing.shared_memory import SharedMemory
memory = SharedMemory(create=True, size=2**20)
memory.buf[0] = 1
memory.close()
memory.unlink()""",
    "a database": """
import sqlite3
with sqlite3.connect(os.environ['TMPDIR'] + '/x.db') as base:
    base.execute('create table t (x)')
    base.execute('insert into t values (1)')
    assert base.execute('select * from t').fetchall() == [(1,)]""",
    "unicode": """
import locale
assert locale.getpreferredencoding() == 'UTF-8'
assert sys.getfilesystemencoding() == 'utf-8'
path = os.environ['TMPDIR'] + '/é日本'
open(path, 'w').write('é日本')
assert open(path, encoding='utf-8').read() == 'é日本'""",
    "time zone": "assert list(time.tzname) == zone, time.tzname",
    "threads": """
import threading
thread = threading.Thread(target=str)
thread.start()
thread.join()""",
    "socket pair": "a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'",
    "random": "assert len(open('/dev/random', 'rb').read(8) + os.urandom(8)) == 16",
    "name of the machine": "assert socket.gethostname() == 'fovea'",
}
# These take seconds.
COURSE_USES = {
    "pool": """
import multiprocessing
with multiprocessing.Pool(2) as pool:
    assert pool.map(abs, [-1, 2]) == [1, 2]""",
    "torch": """
import torch
w = torch.ones(3, requires_grad=True)
(w * 2).sum().backward()
torch.optim.SGD([w], lr=0.5).step()
assert w.tolist() == [0, 0, 0]
torch.save({'w': w}, '/tmp/w.pt')
assert torch.load('/tmp/w.pt')['w'].equal(w)""",
    "data loader": """
import torch
data = torch.arange(8.0)
loader = torch.utils.data.DataLoader(data, batch_size=4, num_workers=2)
assert [batch.sum().item() for batch in loader] == [6, 22]""",
    "figures": """
import matplotlib.pyplot as plt
import fovea.plotting
plt.plot([1, 2])
plt.savefig('/tmp/x.png')""",
    "shell": """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
assert shell.run_cell('6 * 7').result == 42""",
}


def attempt(source: str, facts: dict) -> str:
    """Run a snippet in a process of its own; tell how it went."""
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        with os.fdopen(reading) as answer:
            said = answer.read()
        _, status = os.waitpid(pid, 0)
        return said or f"ended by status {status}"
    os.close(reading)
    try:
        exec(source, _names(facts))
        said = "done"
    except OSError as error:
        said = f"OSError: {error}"
    except BaseException:
        said = traceback.format_exc()
    os.write(writing, said.encode())
    os._exit(0)


def _names(facts: dict) -> dict:
    import ctypes
    import platform
    import time

    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str | int, *arguments: object) -> int:
        number = name if isinstance(name, int) else facts["calls"][name]
        whole = (ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)
        result = libc.syscall(number, *whole)
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)
        return result

    modules = {"os": os, "sys": sys, "json": json, "socket": socket, "time": time}
    modules |= {"ctypes": ctypes, "libc": libc, "machine": platform.machine()}
    return modules | facts | {"call": call}


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        asked = json.loads(sock.makefile().readline())
        facts = asked["facts"]
        answers = {n: attempt(code, facts) for n, code in asked["snippets"].items()}
        sock.sendall(json.dumps(answers).encode())
