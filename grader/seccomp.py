"""The system calls that are refused inside the sandbox, as a filter for the kernel.

Everything is allowed but what a course's code has no use for and what has helped people
out of a sandbox before: new namespaces and mounts, looking into other processes, memory
that no limit counts, and sockets other than those of the same machine's processes.
"""

import platform
import struct

# Name, number on x86_64, number on aarch64 (None: that system call isn't there).
# A call that is newer than the last one of _NEWEST doesn't exist inside at all.
_REFUSED = """
acct 163 89             add_key 248 217         adjtimex 159 171
bpf 321 280             chroot 161 51           clock_adjtime 305 266
clock_settime 227 112   delete_module 176 106   fanotify_init 300 262
finit_module 313 273    fsconfig 431 431        fsmount 432 432
fsopen 430 430          fspick 433 433          init_module 175 105
io_uring_enter 426 426  io_uring_register 427 427  io_uring_setup 425 425
ioperm 173 None         iopl 172 None           kcmp 312 272
kexec_file_load 320 294 kexec_load 246 104      keyctl 250 219
lookup_dcookie 212 18   memfd_create 319 279    memfd_secret 447 447
modify_ldt 154 None     mount 165 40            mount_setattr 442 442
move_mount 429 429      mq_open 240 180         msgget 68 186
name_to_handle_at 303 264  open_by_handle_at 304 265  open_tree 428 428
perf_event_open 298 241 personality 135 92      pidfd_getfd 438 438
pivot_root 155 41       process_madvise 440 440 process_vm_readv 310 270
process_vm_writev 311 271  ptrace 101 117       quotactl 179 60
quotactl_fd 443 443     reboot 169 142          request_key 249 218
semget 64 190           setdomainname 171 162   sethostname 170 161
setns 308 268           settimeofday 164 170    shmat 30 196
shmget 29 194           swapoff 168 225         swapon 167 224
syslog 103 116          umount2 166 39          unshare 272 97
userfaultfd 323 282     uselib 134 None         vhangup 153 58
"""
_NEWEST = 466  # removexattrat, Linux 6.13; numbers from 424 on are common to all
_CLONE3 = 435  # its flags lie in memory, where a filter can't look
# How the kernel names the architecture; clone, ioctl, socket, socketpair.
_MACHINES = {
    "x86_64": (0xC000003E, 56, 16, 41, 53),
    "aarch64": (0xC00000B7, 220, 29, 198, 199),
}
_NEW_NAMESPACES = 0x7E020000
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: type into a terminal
_AF_UNIX = 1
_EPERM, _ENOSYS = 1, 38

_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _ABOVE, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCH, _FIRST, _SECOND = 0, 4, 16, 24  # in the kernel's struct seccomp_data


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """One instruction: where a test leads is told in instructions to skip."""
    return struct.pack("<HBBI", code, then, otherwise, value)


def refused(machine: str) -> dict[str, int]:
    """Return the names and numbers of the system calls that are always refused."""
    x86, words = machine == "x86_64", _REFUSED.split()
    numbers = words[1::3] if x86 else words[2::3]
    named = zip(words[::3], numbers, strict=True)
    return {name: int(number) for name, number in named if number != "None"}


def program(machine: str | None = None) -> bytes:
    """Return the filter for this machine's architecture, as bwrap's --seccomp reads it.

    Raises ``KeyError`` where the system calls of the architecture aren't known.
    """
    machine = machine or platform.machine()
    arch, clone, ioctl, *sockets = _MACHINES[machine]
    allow = _step(_RETURN, _ALLOW)
    deny = _step(_RETURN, _ERROR | _EPERM)
    missing = _step(_RETURN, _ERROR | _ENOSYS)

    def when(number: int, *steps: bytes) -> list[bytes]:
        return [_step(_EQUAL, number, 0, len(steps)), *steps]

    steps = [_step(_LOAD, _ARCH), _step(_EQUAL, arch, 1, 0), _step(_RETURN, _KILL)]
    # What is newer takes in the x32 calls, too: they are numbered from 2**30 on.
    steps += [_step(_LOAD, _NUMBER), _step(_ABOVE, _NEWEST, 0, 1), missing]
    steps += when(_CLONE3, missing)
    for number in refused(machine).values():
        steps += when(number, deny)
    new_namespace = _step(_ANY_BIT, _NEW_NAMESPACES, 0, 1)
    steps += when(clone, _step(_LOAD, _FIRST), new_namespace, deny, allow)
    typing = [line for request in _TERMINAL_INPUT for line in when(request, deny)]
    steps += when(ioctl, _step(_LOAD, _SECOND), *typing, allow)
    for number in sockets:
        steps += when(number, _step(_LOAD, _FIRST), *when(_AF_UNIX, allow), deny)
    return b"".join([*steps, allow])
