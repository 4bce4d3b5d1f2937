"""How many files may be open at once: what the system grants this process, less what everything else of it needs."""

from __future__ import annotations

import resource

MOST = 10_000
"""Files of one input that are open at once, however many the system grants."""
OTHERS = 64
"""Descriptors that are left for the state, the store and connections."""
WANTED = 65_536


def open_files(inputs: int) -> int:
    """For each of so many inputs. Raises the process's soft limit towards its hard one first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            pass  # then with what there is
    granted = WANTED if soft == resource.RLIM_INFINITY else soft
    return max(8, min(MOST, (granted - OTHERS) * 3 // 4 // max(1, inputs)))
