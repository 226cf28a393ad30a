"""Runs one command and writes what it took: meter.py RESULT CONTROL_FOLDER COMMAND…

Everything that the command starts counts, also what it leaves behind: OpenSSH's masters detach themselves, so this
process adopts them, asks them to end once the command has ended, and waits for them. The wall time ends before that.
A process of its own, so that nothing but the command is in its children's resource usage.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36


def end_masters(folder):
    """Asks every OpenSSH master with a socket in the folder to end."""
    for name in os.listdir(folder):
        subprocess.run(
            ["ssh", "-O", "exit", "-o", f"ControlPath={folder}/{name}", "any"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )


def reap(seconds):
    """Waits for all children and what was adopted."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            process, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if process == 0:
            time.sleep(0.01)
    return False


def main():
    """Measures; the exit status is the command's."""
    result, folder, *command = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("cannot adopt processes")
    began = time.monotonic()
    status = subprocess.call(command, stdin=subprocess.DEVNULL)
    wall = time.monotonic() - began
    # What ends the masters is a cost of the measuring: it is taken off again.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    end_masters(folder)
    ending = resource.getrusage(resource.RUSAGE_CHILDREN)
    complete = reap(20)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)

    def seconds(taken):
        return taken.ru_utime + taken.ru_stime

    with open(result, "w", encoding="utf-8") as file:
        json.dump(
            {
                "wall": wall,
                "cpu": seconds(usage) - (seconds(ending) - seconds(before)),
                "memory_mib": usage.ru_maxrss / 1024,
                "complete": complete,
            },
            file,
        )
    sys.exit(status)


if __name__ == "__main__":
    main()
