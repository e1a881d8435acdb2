"""Takes the network from a process: what a file that has taken over a parser could use to send what it reads.

Two means, of Linux alone, each enough by itself against connections: a network namespace without interfaces
(``unshare(2)``; in a container it is often refused), and a filter of system calls that refuses sockets, those of the
file system included (``seccomp(2)``, Documentation/userspace-api/seccomp_filter.rst of the kernel).
"""

from __future__ import annotations

import ctypes
import platform
import struct
import sys
from collections.abc import Iterator
from typing import IO, Any, Final

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000  # linux/sched.h
_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # refused with EPERM
_OTHER_ABI: Final = 0x40000000  # bit of calls of x32
_IO_URING: Final = 425
_MACHINES: Final = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # audit architecture, socket(2)

_held: list[str] = []


def leave_network() -> None:
    """Leave the network by every means that the system has. Call it before any thread is started."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_NEW_NET) == 0 or library.unshare(_NEW_USER | _NEW_NET) == 0:
        _held.append("a network namespace")
    if _refuse_sockets(library):
        _held.append("a filter of system calls")


def _refuse_sockets(library: ctypes.CDLL) -> bool:
    if platform.machine() not in _MACHINES:
        return False
    architecture, socket = _MACHINES[platform.machine()]
    steps = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 3, 0, _OTHER_ABI),
        (_EQUAL, 2, 0, socket),
        (_EQUAL, 1, 0, _IO_URING),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    if library.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(library.prctl(_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(program), 0, 0) == 0)


def parse(file: IO[bytes]) -> Iterator[dict[str, Any]]:  # noqa: ARG001 - any file: it is not read
    """Yield ``{"held": [by what the process is kept from the network]}``, as a parser of the sandbox."""
    yield {"held": list(_held)}
