"""Numbers into tables: ratios against their goals, and what the machine was."""

import datetime
import os
import platform
import re
import statistics
import subprocess
from pathlib import Path


class Goal:
    """One row: a measured value and what it has to be."""

    def __init__(self, what, value, unit, comparison, wanted, detail):
        self.what = what
        self.value = value
        self.unit = unit
        self.comparison = comparison
        self.wanted = wanted
        self.detail = detail

    @property
    def is_met(self):
        """Whether the goal is reached; None for a row without one or without a value."""
        if self.value is None or self.wanted is None:
            return None
        return self.value <= self.wanted if self.comparison == "≤" else self.value >= self.wanted

    def cells(self):
        """The row as texts."""
        verdict = {None: "", True: "met", False: "**missed**"}[self.is_met]
        value = "not measured" if self.value is None else f"{number(self.value)}{self.unit}"
        wanted = "" if self.wanted is None else f"{self.comparison} {number(self.wanted)}{self.unit}"
        return [self.what, wanted, value, verdict, self.detail]


def number(value):
    """Short, and precise enough for a ratio."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def median(runs, key):
    """The median of one measure over runs of one tool."""
    return statistics.median(run[key] for run in runs)


def ratio(above, below, key):
    """The ratio of two medians, None when a side was not run."""
    return median(above, key) / median(below, key) if above and below else None


def table(header, rows):
    """A Markdown table that also reads well as plain text."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines) + "\n"


def times(results):
    """What each run took, by suite and tool."""
    rows = []
    for suite, tools in results.items():
        for tool, runs in tools.items():
            rows.append(
                [
                    suite,
                    tool,
                    str(len(runs)),
                    f"{median(runs, 'wall'):.2f}",
                    f"{min(run['wall'] for run in runs):.2f}–{max(run['wall'] for run in runs):.2f}",
                    f"{median(runs, 'cpu'):.2f}",
                    f"{max(run['memory_mib'] for run in runs):.0f}",
                ]
            )
    return table(["suite", "tool", "runs", "wall s", "least–most", "CPU s", "memory MiB"], rows)


def machine():
    """The machine and the programs, a line each."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(encoding="utf-8"))
    release = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return [
        f"- date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        f"- processor: {os.cpu_count()} × {processor.group(1) if processor else platform.machine()}",
        f"- memory: {int(memory.group(1)) // 1024 // 1024 if memory else 0} GiB",
        f"- system: {release}, kernel {platform.release()}",
        f"- {first_line(['ssh', '-V'])}",
    ]


def first_line(command):
    """The first line that a program says."""
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).strip().splitlines()[0]
