"""Resident memory of this process, from Linux's /proc; for the other scripts here."""

from pathlib import Path


def forget_peak() -> None:
    """Let the peak begin again at what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def resident(entry: str) -> int:
    """In bytes: "VmRSS", what is resident now, or "VmHWM", its peak."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[entry].split()[0]) * 1024
