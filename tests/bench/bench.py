"""The benchmarks: what is run, in which order, and against which goals. Started by tests/bench/run."""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import report
from hosts import CIPHER, Hosts
from report import Goal, median, ratio
from tools import COMMANDS, TEMPLATES, Tools, sha256

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT = REPOSITORY / "docs" / "benchmarks.md"
SUITES = ["commands", "templates", "upload", "program"]
USUAL = {"HOSTS": 50, "ROUNDS": 3, "SIZE_MIB": 1024, "FORKS": 10}
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
        self.hosts = Hosts(setting("HOSTS"))
        self.tools = Tools(self.hosts, arguments.cache, self.kk, setting("FORKS"))
        self.results = {}
        self.goals = []

    def measure(self, suite, tool, command):
        """Runs one command and remembers what it took. A command that fails ends the benchmarks."""
        if tool.split()[0] in self.without:
            return None
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
        if run["commands"] == 0:
            sys.exit(f"{suite}: {tool} asked no host for anything")
        self.results.setdefault(suite, {}).setdefault(tool, []).append(run)
        print(f"  {suite:9} {tool:22} {run['wall']:7.2f} s wall {run['cpu']:7.2f} s CPU {run['memory_mib']:5.0f} MiB", flush=True)
        return log.read_text(errors="replace")

    def runs(self, suite, tool):
        """What was measured."""
        return self.results.get(suite, {}).get(tool, [])

    # ---- suites ------------------------------------------------------------------------------------------------------

    def commands(self):
        """Facts and ten commands on every host."""
        suite, tools = "commands", self.tools
        # Interleaved, so that what else the machine does meets all sides. The slow ones once, in the middle.
        for number in range(self.rounds):
            self.measure(suite, "kk", tools.kk_run("commands.yaml"))
            self.measure(suite, "ssh", tools.ssh_commands())
            if number < 2:
                self.measure(suite, "pyinfra", tools.pyinfra("pyinfra_commands.py"))
            if number == self.rounds // 2:
                self.measure(suite, "mitogen", tools.ansible("commands.yaml", "mitogen_linear"))
                self.measure(suite, "ansible", tools.ansible("commands.yaml"))
        kk, ssh, ansible = (self.runs(suite, tool) for tool in ("kk", "ssh", "ansible"))
        mitogen, pyinfra = self.runs(suite, "mitogen"), self.runs(suite, "pyinfra")
        what = f"{len(self.hosts.addresses)} hosts, facts + {len(COMMANDS)} commands: "
        self.goal(what + "wall against multiplexed OpenSSH", ratio(kk, ssh, "wall"), "", "≤", 0.55)
        self.goal(what + "faster than ansible-core with pipelining", ratio(ansible, kk, "wall"), " ×", "≥", 40)
        self.goal(what + "faster than ansible-core with mitogen", ratio(mitogen, kk, "wall"), " ×", "≥", 15)
        self.goal(what + "faster than pyinfra", ratio(pyinfra, kk, "wall"), " ×", "≥", 2.2)
        self.goal("the same: CPU of the controller less than ansible-core's", ratio(ansible, kk, "cpu"), " ×", "≥", 100)
        self.goal("the same: memory of the controller", max(run["memory_mib"] for run in kk), " MiB", "≤", 25)

    def templates(self):
        """Ten templates on every host, a second time."""
        suite, tools = "templates", self.tools
        tools.fresh_output()
        self.measure("templates, first", "kk", tools.kk_run("templates.yaml"))
        for number in range(self.rounds):
            said = self.measure(suite, "kk", tools.kk_run("templates.yaml"))
            self.measure(suite, "ssh", tools.ssh_templates())
            if number == self.rounds // 2:
                self.measure(suite, "pyinfra", tools.pyinfra("pyinfra_templates.py"))
                self.measure(suite, "ansible", tools.ansible("templates.yaml"))
        changed = [line for line in said.splitlines() if "changed=" in line and "changed=0" not in line]
        if changed:
            sys.exit("templates: the second run changed something:\n" + "\n".join(changed))
        kk = self.runs(suite, "kk")
        what = f"{len(self.hosts.addresses)} hosts, {TEMPLATES} unchanged templates: "
        each = median(kk, "commands") / len(self.hosts.addresses) / TEMPLATES
        self.goal(what + "commands on the host for each", each, "", "≤", 1)
        self.goal(what + "wall against a hash of each by multiplexed OpenSSH", ratio(kk, self.runs(suite, "ssh"), "wall"), "", "≤", None)
        self.goal(what + "faster than ansible-core with pipelining", ratio(self.runs(suite, "ansible"), kk, "wall"), " ×", "≥", None)
        self.goal(what + "faster than pyinfra", ratio(self.runs(suite, "pyinfra"), kk, "wall"), " ×", "≥", None)

    def upload(self):
        """One big file to one host."""
        suite, tools, size = "upload", self.tools, setting("SIZE_MIB")
        # In memory where there is room: neither side waits for a durable write, so the disk would only add noise.
        memory = Path("/dev/shm")
        roomy = memory.is_dir() and shutil.disk_usage(memory).free > 3 * size * 1024 * 1024
        folder = (memory if roomy else self.hosts.folder) / self.hosts.folder.name
        folder.mkdir(exist_ok=True)
        try:
            source, dest = folder / "source", folder / "dest"
            with open(source, "wb") as file:
                for _ in range(size):
                    file.write(os.urandom(1024 * 1024))
            # Written now: hashing the file is no part of what is measured.
            kk, expected = tools.kk_upload(source, dest), sha256(source)
            for number in range(self.rounds):
                sides = [("kk", kk), ("scp", tools.scp(source, dest)), ("cat | ssh", tools.cat_ssh(source, dest))]
                for tool, command in sides[number % 3 :] + sides[: number % 3]:
                    dest.unlink(missing_ok=True)
                    self.measure(suite, tool, command)
                    if sha256(dest) != expected:
                        sys.exit(f"upload: what {tool} sent is not what arrived")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        kk = self.runs(suite, "kk")
        what = f"upload of {size} MiB, sha256 verified on the host: "
        rate = f"{size / median(kk, 'wall'):.0f} MiB/s, into {'memory' if roomy else 'a file on disk'}"
        self.goal(what + "faster than scp", ratio(self.runs(suite, "scp"), kk, "wall"), " ×", "≥", 1.4, rate)
        self.goal(what + "faster than `cat | ssh 'cat >'`", ratio(self.runs(suite, "cat | ssh"), kk, "wall"), " ×", "≥", 1.0)
        self.goal("the same: memory of the controller", max(run["memory_mib"] for run in kk), " MiB", "≤", None)

    def program(self):
        """The program itself."""
        taken = []
        for _ in range(101):
            began = time.perf_counter()
            subprocess.run([self.kk, "--help"], stdout=subprocess.DEVNULL, env=self.hosts.environment(), check=True)
            taken.append((time.perf_counter() - began) * 1000)
        self.goal("start-up: `kk --help`", statistics.median(taken), " ms", "≤", 10, "median of 101")
        self.goal("size of the release program", os.path.getsize(self.kk) / 1e6, " MB", "≤", 25)

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
                "Not measured here, and why: a delay of 20 ms and many channels (loopback has none), 500 connections, reading of archives.",
                "",
                "## Times",
                "",
                report.times(self.results),
                "## How it is measured",
                "",
                "- The hosts are addresses of loopback, all served by OpenSSH servers with throw-away keys; 50 of them share the machine",
                "  with the tools, so the servers' own cost (some 20 ms of CPU for a connection, 5 ms for a command) is in every wall time.",
                "- `ssh` is a shell loop over the hosts with one master connection each: the facts script of kk, then a call of `ssh` for",
                "  each command. ansible-core has pipelining and ControlPersist, and gathers its own facts; pyinfra asks for eight facts.",
                "- An upload is verified on the host within kk's time, and not within the others'. No side waits for a durable write.",
                "- In `templates` the files are there already and nothing changes; `ssh` only hashes each file by a command of its own.",
                "- The commands that a host was asked to start are counted in its server's log.",
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
    unknown = [suite for suite in arguments.suites if suite not in SUITES]
    if unknown:
        parser.error(f"there is no suite `{unknown[0]}`; there is: {', '.join(SUITES)}")
    # Ended from outside, the servers and what they hold go as well.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    load = os.getloadavg()[0]
    if load > 1:
        print(f"warning: the machine is busy (load average {load:.1f}); ratios will vary", file=sys.stderr)
    bench = Bench(arguments)
    try:
        for suite in arguments.suites or SUITES:
            getattr(bench, suite)()
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
