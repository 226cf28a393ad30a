"""The benchmarks: what is run, in which order, and against which goals. Started by tests/bench/run."""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import report
import suites
from hosts import CIPHER, Hosts
from report import Goal
from tools import Tools

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT = REPOSITORY / "docs" / "benchmarks.md"
USUAL = {"HOSTS": 50, "FLEET": 500, "ROUNDS": 3, "SIZE_MIB": 1024, "PACKAGE_MIB": 477, "FORKS": 10}
LIMIT_SECONDS = 600


def setting(name):
    """A number from the environment, or the usual one."""
    return int(os.environ.get(name) or USUAL[name])


class Bench:
    """One run of the benchmarks."""

    def __init__(self, arguments):
        self.kk = os.environ["KK"]
        self.without = arguments.without.split()
        self.rounds = setting("ROUNDS")
        self.fleet = setting("FLEET")
        self.size_mib = setting("SIZE_MIB")
        self.package_mib = setting("PACKAGE_MIB")
        self.hosts = Hosts(setting("HOSTS"))
        self.tools = Tools(self.hosts, arguments.cache, self.kk, setting("FORKS"))
        self.results = {}
        self.goals = []

    def measure(self, suite, tool, command, is_remote=True):
        """Runs one command and remembers what it took. A command that fails ends the benchmarks. The command may be
        made only now: what a tool needs is not there when the tool is left out."""
        if tool.split()[0] in self.without:
            return None
        if callable(command):
            command = command()
        result = self.hosts.folder / "result.json"
        log = self.hosts.folder / "tool.log"
        before = self.hosts.commands_started()
        meter = [sys.executable, "-S", "-E", str(REPOSITORY / "tests/bench/meter.py"), result, self.hosts.control]
        with open(log, "wb") as output:
            done = subprocess.run(
                [*meter, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.hosts.environment(),
                timeout=LIMIT_SECONDS,
                check=False,
            )
        if done.returncode != 0:
            sys.exit(f"{suite}: {tool} ended with {done.returncode}:\n{log.read_text(errors='replace')[-4000:]}")
        run = json.loads(result.read_text())
        if not run["complete"]:
            sys.exit(f"{suite}: {tool} left processes behind; its CPU time is not known")
        run["commands"] = self.hosts.commands_started() - before
        if is_remote and run["commands"] == 0:
            sys.exit(f"{suite}: {tool} asked no host for anything")
        self.results.setdefault(suite, {}).setdefault(tool, []).append(run)
        print(f"  {suite:16} {tool:10} {run['wall']:7.2f} s wall {run['cpu']:7.2f} s CPU {run['memory_mib']:5.0f} MiB", flush=True)
        return log.read_text(errors="replace")

    def runs(self, suite, tool):
        """What was measured."""
        return self.results.get(suite, {}).get(tool, [])

    # ---- results -----------------------------------------------------------------------------------------------------

    def goal(self, what, value, unit, comparison, wanted, detail=""):
        """Adds a row to the table of goals."""
        self.goals.append(Goal(what, value, unit, comparison, wanted, detail))

    def peers(self):
        """The peers with their versions, as the marks of their installation have them."""
        marks = sorted(self.tools.cache.glob("*/installed:*"))
        return [name for mark in marks for name in mark.name.removeprefix("installed:").split(",")]

    def text(self, load):
        """The whole report."""
        return "\n".join(
            [
                "# Benchmarks",
                "",
                "Written by `make bench`; the numbers of one run on one machine. All sides ran interleaved in that run, so the ratios",
                "count and single times are noise. Medians of the rounds; CPU is that of the control side, with everything it starts.",
                "",
                *report.machine(),
                f"- load average when it began: {load:.1f}",
                f"- all tools: {setting('FORKS')} hosts at a time, `{CIPHER}`, curve25519-sha256, empty home folders, hosts and controller on this machine",
                f"- {report.first_line([self.kk, '--version'])}; {', '.join(self.peers())}",
                "",
                "## Goals",
                "",
                report.table(["what", "goal", "measured", "", "note"], [goal.cells() for goal in self.goals]),
                "Not measured here: reading of archives.",
                "",
                "## Times",
                "",
                report.times(self.results),
                "## How it is measured",
                "",
                "- The hosts are addresses of loopback, all served by OpenSSH servers with throw-away keys; 50 of them share the machine",
                "  with the tools, so the servers' own cost (some 20 ms of CPU for a connection, 5 ms for a command) is in every wall time.",
                "- `ssh` is a shell loop over the hosts with one master connection each: the facts script that kk sends, then a call of",
                "  `ssh` for each command. ansible-core has pipelining and ControlPersist, and gathers its own facts; pyinfra asks for eight.",
                "- An upload is verified on the host within kk's time, and not within the others'. No side waits for a durable write.",
                "- `distance` goes through a program that hands on each byte 10 ms later, for all sides alike; `package` goes to ten",
                "  hosts at once, against ten scp at once. `relay` is the same by kk alone, held to 40 MiB/s by `--bwlimit`; there the",
                "  hosts' copies to each other cost this machine's processors as well.",
                "- `templates` begins with empty folders; the second run finds every file as it should be. `ssh` sends files that are",
                "  rendered already by a command each, and the second time only hashes them.",
                "- The sessions that a host was asked for are counted in its server's log; kk runs most commands in one shell per host.",
                "- `fleet` is the playbook of `commands` on ten times as many hosts, by kk alone.",
                "- `connect` opens connections and closes them, on both numbers of hosts.",
                "- `load` reads an inventory and a playbook and checks both, without a host: a tenth of the hosts, a tenth of the tasks,",
                "  and the whole.",
                "",
            ]
        )


def main():
    """Runs what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", required=True)
    parser.add_argument("--without", default="")
    parser.add_argument("suites", nargs="*")
    arguments = parser.parse_args()
    unknown = [suite for suite in arguments.suites if suite not in suites.ALL]
    if unknown:
        parser.error(f"there is no suite `{unknown[0]}`; there is: {', '.join(suites.ALL)}")
    # Ended from outside, the servers and what they hold go as well.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    load = os.getloadavg()[0]
    if load > 1:
        print(f"warning: the machine is busy (load average {load:.1f}); ratios will vary", file=sys.stderr)
    bench = Bench(arguments)
    try:
        for suite in arguments.suites or suites.ALL:
            suites.ALL[suite](bench)
        text = bench.text(load)
    finally:
        bench.hosts.close()
    print("\n" + text)
    is_usual = not arguments.suites and not bench.without and all(setting(name) == USUAL[name] for name in USUAL)
    if is_usual:
        DOCUMENT.write_text(text, encoding="utf-8")
        print(f"written to {DOCUMENT.relative_to(REPOSITORY)}")
    missed = [goal.what for goal in bench.goals if goal.is_met is False]
    print(f"{len(missed)} of {sum(goal.wanted is not None for goal in bench.goals)} goals missed")


if __name__ == "__main__":
    main()
