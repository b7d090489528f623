"""CPU and memory of processes and all that they have started, as the kernel counts them."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# Of linux/posix-timers.h: the clock of what a process has run, in nanoseconds.
_CPUCLOCK_SCHED = 2


def tree(pid: int) -> list[int]:
    """Return the process and all below it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text("ascii").split()]
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """Return the seconds that these processes have run, with their threads, to the nanosecond."""
    return sum(time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED) for pid in pids) / 1e9


def whole_cpu_s(pid: int) -> float:
    """Return the seconds that a process, those below it and those of them that have ended have run, to 10 ms each."""
    ticks = 0
    for each in tree(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text("ascii").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # its time is now its parent's
        # utime, stime, and with the root those of children that it has waited for.
        ticks += sum(int(field) for field in fields[11 : 15 if each == pid else 13])
    return ticks / _TICKS


def forget_peaks(pids: Iterable[int]) -> None:
    """Start the peaks of memory anew."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")


def peak_mb(pids: Iterable[int]) -> float:
    """Return the sum of the highest resident memory of each process since `forget_peaks`, in MB."""
    total_kb = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                total_kb += int(line.split()[1])
    return total_kb / 1024
