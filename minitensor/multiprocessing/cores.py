"""The number of cores that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cores"]

_CGROUPS = Path("/sys/fs/cgroup")


def cores() -> int:
    """Return the number of cores that this process may use.

    It is the smallest of the machine's cores, the cores in the process's affinity mask, and the
    quota of its control group (`cpu.max`, of the group and of those around it), rounded up.

    Returns:
        At least 1.

    Example:
        >>> from minitensor.multiprocessing.cores import cores
        >>> cores() >= 1
        True
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on this system
        allowed = os.cpu_count() or 1
    return max(1, min(allowed, *quotas(_groups(), _CGROUPS)))


def quotas(groups: list[str], root: Path) -> list[int]:
    """Return the quotas of control groups and of those around them, in whole cores.

    Args:
        groups: paths of groups, such as "/user.slice/job".
        root: where the file system of the groups is mounted.

    Returns:
        Numbers of cores; a very large one stands for "no quota".
    """
    found = [1 << 30]
    for group in groups:
        place = root / group.lstrip("/")
        for folder in (place, *place.parents):
            found.append(_quota(folder))
            if folder == root:
                break
    return found


def _groups() -> list[str]:
    """Return the control groups of this process: those of version 2, and version 1's of cpu."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found.append(path)
        elif "cpu" in controllers.split(","):
            found += [f"{controllers}{path}", f"cpu{path}"]
    return found


def _quota(folder: Path) -> int:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return 1 << 30
    if quota in ("max", "-1"):
        return 1 << 30
    return -(-int(quota) // int(period))
