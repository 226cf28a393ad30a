"""The suites: what is run, in which order, and against which goals."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from report import median, ratio
from tools import COMMANDS, TEMPLATES, sha256


def commands(bench):
    """Facts and ten commands on every host."""
    suite, tools = "commands", bench.tools
    # Interleaved, so that what else the machine does meets all sides. The slow ones once, in the middle.
    for number in range(bench.rounds):
        bench.measure(suite, "kk", tools.kk_run("commands.yaml"))
        bench.measure(suite, "ssh", tools.ssh_commands())
        if number < 2:
            bench.measure(suite, "pyinfra", lambda: tools.pyinfra("pyinfra_commands.py"))
        if number == bench.rounds // 2:
            bench.measure(suite, "mitogen", lambda: tools.ansible("commands.yaml", "mitogen_linear"))
            bench.measure(suite, "ansible", lambda: tools.ansible("commands.yaml"))
    kk, ssh, ansible = (bench.runs(suite, tool) for tool in ("kk", "ssh", "ansible"))
    mitogen, pyinfra = bench.runs(suite, "mitogen"), bench.runs(suite, "pyinfra")
    what = f"{len(bench.hosts.addresses)} hosts, facts + {len(COMMANDS)} commands: "
    bench.goal(what + "wall against multiplexed OpenSSH", ratio(kk, ssh, "wall"), "", "≤", 0.55)
    bench.goal(what + "faster than ansible-core with pipelining", ratio(ansible, kk, "wall"), " ×", "≥", 40)
    bench.goal(what + "faster than ansible-core with mitogen", ratio(mitogen, kk, "wall"), " ×", "≥", 15)
    bench.goal(what + "faster than pyinfra", ratio(pyinfra, kk, "wall"), " ×", "≥", 2.2)
    bench.goal("the same: CPU of the controller less than ansible-core's", ratio(ansible, kk, "cpu"), " ×", "≥", 100)
    bench.goal("the same: memory of the controller", memory(kk), " MiB", "≤", 25)
    bench.goal("the same: sessions on each host", median(kk, "commands") / len(bench.hosts.addresses), "", "≤", None)


def templates(bench):
    """Ten templates on every host, into empty folders and again."""
    suite, tools = "templates", bench.tools
    first = suite + ", first"

    def both(tool, command, again=None):
        """From nothing, and then with nothing to do; the output of the second."""
        tools.fresh_output()
        bench.measure(first, tool, command)
        return bench.measure(suite, tool, again or command)

    for number in range(bench.rounds):
        both("ssh", tools.ssh_templates(), tools.ssh_hashes())
        if number == bench.rounds // 2:
            both("pyinfra", lambda: tools.pyinfra("pyinfra_templates.py"))
            both("mitogen", lambda: tools.ansible("templates.yaml", "mitogen_linear"))
            both("ansible", lambda: tools.ansible("templates.yaml"))
        said = both("kk", tools.kk_run("templates.yaml"))
        changed = [line for line in said.splitlines() if "changed=" in line and "changed=0" not in line]
        if changed:
            sys.exit("templates: the second run changed something:\n" + "\n".join(changed))
    hosts = len(bench.hosts.addresses)
    for runs, words, ssh in (
        (first, "new", "the rendered files by multiplexed OpenSSH"),
        (suite, "unchanged", "a hash of each by multiplexed OpenSSH"),
    ):
        kk = bench.runs(runs, "kk")
        what = f"{hosts} hosts, {TEMPLATES} {words} templates: "
        bench.goal(what + f"wall against {ssh}", ratio(kk, bench.runs(runs, "ssh"), "wall"), "", "≤", None)
        for tool, name in (
            ("ansible", "ansible-core with pipelining"),
            ("mitogen", "ansible-core with mitogen"),
            ("pyinfra", "pyinfra"),
        ):
            bench.goal(what + f"faster than {name}", ratio(bench.runs(runs, tool), kk, "wall"), " ×", "≥", None)


def fleet(bench):
    """The same commands on ten times as many hosts: what a host costs must not grow with their number."""
    suite, tools = "fleet", bench.tools
    few = bench.hosts.addresses
    many = bench.hosts.grow(bench.fleet)
    inventories = {
        f"kk, {len(few)}": bench.hosts.inventory(few, "few.ini"),
        f"kk, {len(many)}": bench.hosts.inventory(many, "many.ini"),
    }
    for _ in range(2):
        for tool, inventory in inventories.items():
            bench.measure(suite, tool, tools.kk_run("commands.yaml", inventory))
    small, large = (bench.runs(suite, tool) for tool in inventories)
    times = len(many) / len(few)
    what = f"{len(many)} hosts, facts + {len(COMMANDS)} commands, against {len(few)}: "
    bench.goal(what + "wall for each host", ratio(large, small, "wall") / times, " ×", "≤", 1.3)
    bench.goal(what + "CPU of the controller for each host", ratio(large, small, "cpu") / times, " ×", "≤", 1.3)
    grown = (memory(large) - memory(small)) * 1024 / (len(many) - len(few))
    bench.goal(what + "memory of the controller for each more", grown, " KiB", "≤", 400)


def connect(bench):
    """Connections alone, many against some: what one costs this side, and whether some wait long."""
    suite, tools = "connect", bench.tools
    few = bench.hosts.addresses
    many = bench.hosts.grow(bench.fleet)
    inventories = [bench.hosts.inventory(few, "few.ini"), bench.hosts.inventory(many, "many.ini")]
    durations = []
    for _ in range(3):
        for addresses, inventory in zip((few, many), inventories):
            command = [*tools.kk_run("connect.yaml", inventory), "-o", "jsonl"]
            said = bench.measure(suite, f"kk, {len(addresses)}", command, is_remote=False)
        events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        durations += [event["duration"] for event in events if event["event"] == "host_connected"]
    small, large = (bench.runs(suite, f"kk, {len(addresses)}") for addresses in (few, many))
    more = len(many) - len(few)
    what = f"{len(many)} hosts connected: "
    cpu = (median(large, "cpu") - median(small, "cpu")) * 1000 / more
    bench.goal(what + "CPU of the controller for each more than " + str(len(few)), cpu, " ms", "≤", 1)
    grown = (memory(large) - memory(small)) * 1024 / more
    bench.goal(what + "memory of the controller for each more", grown, " KiB", "≤", 100)
    durations.sort()
    late = durations[len(durations) * 99 // 100] / durations[len(durations) // 2]
    bench.goal(what + "the slowest of a hundred against the median", late, " ×", "≤", 1.5)


def load(bench):
    """A big inventory and a long playbook, read and checked: time and memory grow with them and no faster."""
    suite, tools = "load", bench.tools
    sizes = {"whole": (10_000, 1_000), "hosts / 10": (1_000, 1_000), "tasks / 10": (10_000, 100)}
    files = {name: tools.large(*size) for name, size in sizes.items()}
    for _ in range(5):
        for name, (inventory, playbook) in files.items():
            bench.measure(suite, f"kk, {name}", tools.kk_validate(inventory, playbook), is_remote=False)
    whole, fewer, shorter = (bench.runs(suite, f"kk, {name}") for name in sizes)
    what = "inventory of 10,000 hosts and playbook of 1,000 tasks, read and checked: "
    bench.goal(what + "time", min(run["wall"] for run in whole), " s", "≤", 1)
    bench.goal(what + "CPU against a tenth of the hosts", ratio(whole, fewer, "cpu"), " ×", "≤", 12)
    bench.goal(what + "CPU against a tenth of the tasks", ratio(whole, shorter, "cpu"), " ×", "≤", 12)
    bench.goal(what + "memory against a tenth of the hosts", ratio(whole, fewer, "memory_mib"), " ×", "≤", 10)


class Room:
    """A folder for big files: in memory where there is room. No side waits for a durable write, so the disk would only
    add noise."""

    def __init__(self, bench, mebibytes):
        shared = Path("/dev/shm")
        self.roomy = shared.is_dir() and shutil.disk_usage(shared).free > 1.5 * mebibytes * 1024 * 1024
        self.path = (shared if self.roomy else bench.hosts.folder) / f"{bench.hosts.folder.name}-files"

    def __enter__(self):
        self.path.mkdir()
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def file(self, mebibytes):
        """A file of random bytes, and its sha256."""
        source = self.path / "source"
        with open(source, "wb") as file:
            for _ in range(mebibytes):
                file.write(os.urandom(1024 * 1024))
        return source, sha256(source)


def send(bench, suite, sides, rounds, dests, expected):
    """Runs each side as often, interleaved; what arrives must be what was sent. Hashing is no part of what is measured."""
    for number in range(rounds):
        turn = number % len(sides)
        for tool, command in sides[turn:] + sides[:turn]:
            for dest in dests:
                dest.unlink(missing_ok=True)
            if bench.measure(suite, tool, command) is None:
                continue
            for dest in dests:
                if sha256(dest) != expected:
                    sys.exit(f"{suite}: what {tool} sent is not what arrived")


def upload(bench):
    """One big file to one host."""
    suite, tools, size = "upload", bench.tools, bench.size_mib
    with Room(bench, 2 * size) as room:
        source, expected = room.file(size)
        dest = room.path / "dest"
        sides = [
            ("kk", tools.kk_upload(source, dest)),
            ("scp", tools.scp(source, dest)),
            ("cat | ssh", tools.cat_ssh(source, dest)),
            ("sftp", tools.sftp(source, dest)),
            ("rsync", tools.rsync(source, dest)),
        ]
        send(bench, suite, sides, bench.rounds, [dest], expected)
    kk = bench.runs(suite, "kk")
    what = f"upload of {size} MiB, sha256 verified on the host: "
    rate = f"{size / median(kk, 'wall'):.0f} MiB/s, into {'memory' if room.roomy else 'a file on disk'}"
    bench.goal(what + "faster than scp", ratio(bench.runs(suite, "scp"), kk, "wall"), " ×", "≥", 1.4, rate)
    bench.goal(what + "faster than `cat | ssh 'cat >'`", ratio(bench.runs(suite, "cat | ssh"), kk, "wall"), " ×", "≥", 1.0)
    for tool in ("sftp", "rsync"):
        bench.goal(what + f"faster than {tool}", ratio(bench.runs(suite, tool), kk, "wall"), " ×", "≥", None)
    bench.goal("the same: memory of the controller", memory(kk), " MiB", "≤", None)


def package(bench):
    """One package to ten hosts at once."""
    suite, tools, size = "package", bench.tools, bench.package_mib
    hosts = bench.hosts.addresses[:10]
    with Room(bench, (len(hosts) + 1) * size) as room:
        source, expected = room.file(size)
        dests = [room.path / host for host in hosts]
        inventory = bench.hosts.inventory(hosts, "ten.ini")
        sides = [
            ("kk", tools.kk_upload(source, room.path / "{{ inventory_hostname }}", inventory)),
            ("scp", tools.scp_each(source, room.path / "{}")),
        ]
        send(bench, suite, sides, 2, dests, expected)
    kk = bench.runs(suite, "kk")
    what = f"package of {size} MiB to {len(hosts)} hosts at once: "
    bench.goal(what + "faster than as many scp", ratio(bench.runs(suite, "scp"), kk, "wall"), " ×", "≥", 1.3)
    bench.goal(what + "CPU of the controller less than theirs", ratio(bench.runs(suite, "scp"), kk, "cpu"), " ×", "≥", None)
    bench.goal(what + "memory of the controller", memory(kk), " MiB", "≤", 32)


def relay(bench):
    """The same package over a line from here that is narrow, while the hosts are beside each other."""
    suite, tools, size, rate = "relay", bench.tools, bench.package_mib, 40
    hosts = bench.hosts.addresses[:10]
    keys = bench.hosts.folder / "authorized_keys"
    before = keys.read_bytes()
    with Room(bench, (len(hosts) + 1) * size) as room:
        source, expected = room.file(size)
        dests = [room.path / host for host in hosts]
        inventory = bench.hosts.inventory(hosts, "ten.ini")
        command = tools.kk_upload(source, room.path / "{{ inventory_hostname }}", inventory)
        command += ["--bwlimit", f"{rate}M", "-o", "jsonl"]
        copies = []
        for tool, more in (("kk --relay", ["--relay"]), ("kk", []), ("kk --relay", ["--relay"])):
            for dest in dests:
                dest.unlink(missing_ok=True)
            said = bench.measure(suite, tool, command + more)
            for dest in dests:
                if sha256(dest) != expected:
                    sys.exit(f"{suite}: what {tool} sent is not what arrived")
            if more:
                copies.append(sent(said) / (size * 1024 * 1024))
    if keys.read_bytes() != before:
        sys.exit(f"{suite}: something is left in the file of authorized keys")
    kk = bench.runs(suite, "kk --relay")
    what = f"package of {size} MiB to {len(hosts)} hosts over a line of {rate} MiB/s, with `--relay`: "
    bench.goal(what + "faster than without", ratio(bench.runs(suite, "kk"), kk, "wall"), " ×", "≥", None)
    bench.goal(what + "copies that went over the line", max(copies), "", "≤", 1)
    bench.goal(what + "memory of the controller", memory(kk), " MiB", "≤", 32)


def sent(said):
    """The bytes of files that a run sent from here, as its events say it."""
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    (end,) = [event for event in events if event["event"] == "run_finished"]
    return sum(counters["bytes_sent"] for _, counters in end["recap"])


def distance(bench):
    """One host that answers after 20 ms."""
    suite, tools, size = "distance", bench.tools, bench.size_mib
    inventory = bench.hosts.distant(10)
    with Room(bench, 2 * size) as room:
        source, expected = room.file(size)
        dest = room.path / "dest"
        sides = [
            ("kk", tools.kk_upload(source, dest, inventory)),
            ("scp", tools.scp(source, dest, "distant_ssh_config")),
            ("cat | ssh", tools.cat_ssh(source, dest, "distant_ssh_config")),
        ]
        send(bench, suite, sides, 2, [dest], expected)
    commands_suite = suite + ", commands"
    for _ in range(bench.rounds):
        bench.measure(commands_suite, "kk", tools.kk_run("only_commands.yaml", inventory))
        bench.measure(commands_suite, "ssh", tools.ssh_each_command("distant_ssh_config_multiplexed"))
    kk = bench.runs(suite, "kk")
    what = f"upload of {size} MiB at a round trip of 20 ms: "
    for tool, goal in (("scp", 3.5), ("cat | ssh", None)):
        bench.goal(what + f"faster than {tool}", ratio(bench.runs(suite, tool), kk, "wall"), " ×", "≥", goal)
    what = f"{len(COMMANDS)} commands, one after the other, at 20 ms: wall against one exec each"
    bench.goal(what, ratio(bench.runs(commands_suite, "kk"), bench.runs(commands_suite, "ssh"), "wall"), "", "≤", 0.4)


def program(bench):
    """The program itself."""
    taken = []
    for _ in range(101):
        began = time.perf_counter()
        subprocess.run([bench.kk, "--help"], stdout=subprocess.DEVNULL, env=bench.hosts.environment(), check=True)
        taken.append((time.perf_counter() - began) * 1000)
    bench.goal("start-up: `kk --help`", statistics.median(taken), " ms", "≤", 10, "median of 101")
    bench.goal("size of the release program", os.path.getsize(bench.kk) / 1e6, " MB", "≤", 25)


def memory(runs):
    """The most memory that any of the runs took, in MiB."""
    return max(run["memory_mib"] for run in runs)


ALL = {suite.__name__: suite for suite in (commands, templates, fleet, connect, load, upload, package, relay, distance, program)}
