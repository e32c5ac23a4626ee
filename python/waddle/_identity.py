"""Who writes: host, user, process and rank, as an ``open`` event tells them (docs/journal.md, "Who lives")."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Mapping, Optional

#: Rank, local rank and world size, by launcher; the first launcher whose rank is set is believed.
#: torchrun (and most launchers made since), Slurm, Open MPI, MVAPICH, other PMI launchers (MPICH, Intel MPI).
LAUNCHERS = (
    ("RANK", "LOCAL_RANK", "WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_SIZE"),
    ("PMI_RANK", "MPI_LOCALRANKID", "PMI_SIZE"),
)


def read_small(path: str) -> Optional[str]:
    """The text of a small file such as those of ``/proc``; None where it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            return os.read(fd, 4096).decode("utf-8", "replace")
        finally:
            os.close(fd)
    except OSError:
        return None


def boot_id() -> Optional[str]:
    """The kernel's boot id; None where the system has none."""
    text = read_small("/proc/sys/kernel/random/boot_id")
    return text.strip() if text else None


def pid_namespace() -> Optional[str]:
    """The inode of this process's pid namespace, as text; None where the system has none."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return None


def start_ticks(pid: int) -> Optional[int]:
    """When process `pid` started, in clock ticks since boot; None where it is gone or the system does not tell."""
    text = read_small("/proc/%d/stat" % pid)
    if not text:
        return None
    # The command's name, field 2, stands in parentheses and may hold spaces and parentheses itself.
    fields = text[text.rfind(")") + 2 :].split()
    try:
        return int(fields[19])
    except (IndexError, ValueError):
        return None


def host_name() -> str:
    """The host's name, as the kernel gives it."""
    try:
        return os.uname().nodename
    except AttributeError:  # Windows
        return os.environ.get("COMPUTERNAME", "unknown")


def user_name() -> Optional[str]:
    """The login name of the process's user; None where the user has none (a bare uid in a container)."""
    for variable in ("LOGNAME", "USER", "USERNAME"):
        if os.environ.get(variable):
            return os.environ[variable]
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return None


def rank(environment: Mapping[str, str]) -> Dict[str, Optional[int]]:
    """``rank``, ``local_rank`` and ``world_size`` from the launcher's variables, each None where it is not told."""

    def number(name: str) -> Optional[int]:
        try:
            return int(environment[name])
        except (KeyError, ValueError):
            return None

    for names in LAUNCHERS:
        if number(names[0]) is not None:
            return {"rank": number(names[0]), "local_rank": number(names[1]), "world_size": number(names[2])}
    return {"rank": None, "local_rank": None, "world_size": None}


def random_name(length: int) -> str:
    """`length` random characters of lowercase base32 (RFC 4648), 5 bits each."""
    return "".join(["abcdefghijklmnopqrstuvwxyz234567"[byte & 31] for byte in os.urandom(length)])
