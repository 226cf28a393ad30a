#!/usr/bin/env python3
"""Stands in for `ansible-playbook` and `ansible` where a script of Ansible's own tests calls them, and runs kk.

It translates options that are spelled otherwise, and prints the events of the run as Ansible's default callback lays them
out, because those scripts look for its lines. What runs, and in which order, is kk's alone. Called as

    as-ansible.py KK WORKDIR CALLS ansible-playbook|ansible [ARGUMENT…]

it appends the exit code and the arguments to the file CALLS.
"""

import json
import os
import subprocess
import sys

KK, WORKDIR, CALLS, PROGRAM, *GIVEN = sys.argv[1:]

# Options of Ansible with a value that kk spells otherwise; None: has no meaning here.
VALUES = {
    "-i": "-i", "--inventory": "-i", "--inventory-file": "-i", "-e": "-e", "--extra-vars": "-e", "-t": "--tags", "--tags": "--tags",
    "--skip-tags": "--skip-tags", "-l": "--limit", "--limit": "--limit", "-f": "--forks", "--forks": "--forks", "-u": "--user",
    "--user": "--user", "--start-at-task": "--start-at-task", "--vault-password-file": "--vault-password-file", "--vault-id":
    "--vault-id", "--private-key": "--private-key", "--key-file": "--private-key", "-T": "--timeout", "--timeout": "--timeout",
    "-M": None, "--module-path": None, "-m": "-m", "--module-name": "-m", "-a": "-a", "--args": "-a", "--ssh-common-args": None,
    "--ssh-extra-args": None, "--vault-pass-file": "--vault-password-file",
}  # fmt: skip
VARIABLES = {
    "-c": "ansible_connection", "--connection": "ansible_connection", "--become-user": "ansible_become_user",
    "--become-method": "ansible_become_method", "--become-password-file": None,
}  # fmt: skip
FLAGS = {
    "-C": "--check", "--check": "--check", "-D": "--diff", "--diff": "--diff", "--force-handlers": "--force-handlers",
    "--list-hosts": "--list-hosts", "--list-tasks": "--list-tasks", "--list-tags": "--list-tags", "--step": "--step",
    "-k": "-k", "-K": "-K", "--ask-pass": "-k", "--ask-become-pass": "-K", "--flush-cache": None,
    "--syntax-check": "--syntax-check",
}  # fmt: skip


def translated():
    """The arguments for kk: what is named, options, inventories."""
    named, options, inventories = [], [], []
    words = list(GIVEN)
    while words:
        word = words.pop(0)
        name, glued, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if name[:2] in VALUES and len(name) > 2 and not name.startswith("--"):
            name, glued, value = name[:2], "=", name[2:]
        if name in VALUES or name in VARIABLES:
            value = value if glued else words.pop(0)
            if VARIABLES.get(name):
                options += ["-e", json.dumps({VARIABLES[name]: value})]
            elif name in ("-i", "--inventory", "--inventory-file"):
                inventories.append(value)
            elif VALUES.get(name):
                options += [VALUES[name], value]
        elif name in FLAGS:
            options += [FLAGS[name]] if FLAGS[name] else []
        elif name in ("-b", "--become"):
            options += ["-e", json.dumps({"ansible_become": True})]
        elif name.startswith("-v") or name == "--verbose":
            options.append("-v")
        elif word.startswith("-"):
            options.append(word)
        else:
            named.append(word)
    if not inventories and os.environ.get("ANSIBLE_INVENTORY"):
        inventories = os.environ["ANSIBLE_INVENTORY"].split(",")
    found = []
    for inventory in inventories:
        # Ansible goes on without one that is not there.
        if "," in inventory or os.path.exists(inventory):
            found += ["-i", inventory]
        else:
            print(f"[WARNING]: Unable to parse {os.path.abspath(inventory)} as an inventory source", file=sys.stderr)
    if inventories and not found:
        found = ["-i", "localhost,"]
    return named, options, found


def environment():
    """The environment, with what kk calls otherwise."""
    given = dict(os.environ)
    for ours, theirs in (("KK_ROLES_PATH", "ANSIBLE_ROLES_PATH"), ("KK_FORKS", "ANSIBLE_FORKS")):
        if given.get(theirs):
            given[ours] = given[theirs]
    return given


def banner(text):
    """A line that opens a part."""
    return f"\n{text} ".ljust(80, "*")


class Printer:
    """Prints events."""

    def __init__(self):
        self.tasks = {}
        self.is_verbose = any(word.startswith("-v") for word in GIVEN)

    def say(self, event):
        """Prints one."""
        kind = event.get("event")
        if kind == "play_started":
            print(banner(f"PLAY [{event['name']}]"))
        elif kind == "task_started":
            self.tasks[event["task"]] = event
            role = f"{event['role']} : " if event.get("role") else ""
            word = "RUNNING HANDLER" if event.get("handler") else "TASK"
            name = "Gathering Facts" if event["name"] == "gather facts" else event["name"]
            print(banner(f"{word} [{role}{name}]"))
        elif kind == "host_task_finished":
            self.result(event)
        elif kind == "run_finished":
            print(banner("PLAY RECAP"))
            for host, counts in event["recap"]:
                counts.pop("bytes_sent", None)
                if any(counts.values()):
                    shown = " ".join(f"{name}={count}".ljust(len(name) + 5) for name, count in counts.items())
                    print(f"{host.ljust(26)} : {shown}")
            print()

    def result(self, event):
        """Prints what came of a task on a host."""
        outcome, host, item = event["outcome"], event["host"], event.get("item")
        if event.get("delegated_to") and event["delegated_to"] != host:
            host = f"{host} -> {event['delegated_to']}"
        task = self.tasks.get(event["task"], {})
        module = task.get("module")
        said = event.get("message")
        if isinstance(event.get("result"), dict):
            content = dict(event["result"])
        else:
            content = {"msg": said}
            if module == "debug" and said is not None:
                try:
                    content = {"msg": json.loads(said)}
                except ValueError:
                    pass
        if module == "debug" and item is not None:
            try:
                content["item"] = json.loads(item)
            except ValueError:
                content["item"] = item
        label = f" => (item={item})" if item is not None else ""
        is_indented = module in ("debug", "assert") and outcome in ("ok", "changed")
        text = json.dumps(content, indent=4 if is_indented else None, sort_keys=True, ensure_ascii=False)
        if outcome in ("failed", "ignored", "rescued"):
            word = "failed" if item is not None else "fatal"
            gap = "" if item is not None else ": FAILED!"
            print(f"{word}: [{host}]{gap}{label} => {text}")
            if outcome == "ignored":
                print("...ignoring")
        elif outcome == "unreachable":
            print(f"fatal: [{host}]: UNREACHABLE! => {text}")
        elif outcome == "skipped":
            print(f"skipping: [{host}]{label}")
        elif outcome in ("ok", "changed"):
            if module in ("include_tasks", "include_role") and said and said.startswith("included"):
                print(f"{said} for {host}")
            elif module == "debug" and said is not None:
                print(f"ok: [{host}]{label} => {text}")
            elif self.is_verbose and isinstance(event.get("result"), dict):
                print(f"{outcome}: [{host}]{label} => {text}")
            else:
                print(f"{outcome}: [{host}]{label}")


def main():
    """Runs kk."""
    if "--version" in GIVEN:
        return subprocess.run([KK, "version"], check=False).returncode
    named, options, inventories = translated()
    shared = ["--yes", "--workdir", WORKDIR]
    if os.environ.get("ANSIBLE_FORCE_HANDLERS", "").lower() in ("1", "true", "yes"):
        shared.append("--force-handlers")
    if PROGRAM == "ansible":
        if "-m" not in options:
            at = options.index("-a") if "-a" in options else None
            words = ["--", "sh", "-c", options[at + 1]] if at is not None else ["-m", "ping"]
            if at is not None:
                del options[at : at + 2]
        else:
            words = []
        command = [KK, "exec", *named, *inventories, *options, *shared, *words]
    else:
        command = [KK, "run", *named, *inventories, *options, *shared]
    lists = any(option.startswith("--list-") for option in options)
    if lists or PROGRAM == "ansible":
        status = subprocess.run(command, env=environment(), check=False).returncode
    else:
        running = subprocess.Popen([*command, "-o", "jsonl"], stdout=subprocess.PIPE, env=environment(), text=True)
        printer = Printer()
        for line in running.stdout:
            try:
                printer.say(json.loads(line))
            except ValueError:
                print(line, end="")
            sys.stdout.flush()
        status = running.wait()
    with open(CALLS, "a", encoding="utf-8") as calls:
        calls.write(f"{status} {' '.join(GIVEN)}\n")
    return status


sys.exit(main())
