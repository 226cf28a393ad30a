"""How each tool is told to do the same work. Every function answers a command line; files go into the run's folder."""

import hashlib
import json
import os
import shlex
import shutil
from pathlib import Path

# What a task of a real playbook does at least: start a program and hand back what it says.
COMMANDS = [
    "true",
    "id -u",
    "uname -r",
    "hostname",
    "cat /etc/os-release",
    "ls /etc",
    "df -P /",
    "date +%s",
    "stat -c %a /tmp",
    "test -d /var",
]
TEMPLATES = 10
PROBES = Path(__file__).resolve().parents[2] / "src" / "facts" / "probes"
# What kk sends for a playbook that gathers facts.
FACTS = ("00-environment", "00-prelude", "10-system", "12-limit", "15-ansible", "17-links", "20-network", "60-end")


class Tools:
    """Command lines for the hosts of one run."""

    def __init__(self, hosts, cache, kk, forks):
        self.hosts = hosts
        self.folder = hosts.folder
        self.cache = Path(cache)
        self.kk = kk
        self.forks = str(forks)
        self.inventory = self.folder / "inventory.ini"
        self._write_common()

    def _write_common(self):
        lines = ["- hosts: all", "  gather_facts: true", "  tasks:"]
        for command in COMMANDS:
            lines += [f"    - name: {json.dumps(command)}", f"      ansible.builtin.command: {json.dumps(command)}"]
        (self.folder / "commands.yaml").write_text("\n".join(lines) + "\n")

        lines[1] = "  gather_facts: false"
        (self.folder / "only_commands.yaml").write_text("\n".join(lines) + "\n")
        (self.folder / "connect.yaml").write_text("- hosts: all\n  gather_facts: false\n  tasks: [{meta: noop}]\n")

        templates = self.folder / "templates"
        templates.mkdir()
        lines = ["- hosts: all", "  gather_facts: false", "  vars:", "    greeting: hello", "  tasks:"]
        for number in range(TEMPLATES):
            text = f"# template {number}\nhost = {{{{ inventory_hostname }}}}\ngreeting = {{{{ greeting }}}}\n"
            text += "".join(f"setting_{line} = value of line {line}\n" for line in range(40))
            (templates / f"{number}.conf.j2").write_text(text)
            lines += [
                f"    - name: template {number}",
                "      ansible.builtin.template:",
                f"        src: {number}.conf.j2",
                f"        dest: {self.folder}/out/{{{{ inventory_hostname }}}}/{number}.conf",
                '        mode: "0644"',
            ]
        (self.folder / "templates.yaml").write_text("\n".join(lines) + "\n")

        # The same script that kk sends, as a command for those who read facts by a shell.
        script = "".join((PROBES / f"{name}.sh").read_text() for name in FACTS)
        (self.folder / "facts").write_text(f"exec sh -c {shlex.quote(script)} sh '' '' /")

    # ---- kk ----------------------------------------------------------------------------------------------------------

    def kk_run(self, playbook, inventory=None):
        """kk with a playbook."""
        return [
            self.kk, "run", str(self.folder / playbook), "-i", str(inventory or self.inventory), "--yes",
            "--known-hosts", str(self.hosts.known_hosts), "--workdir", str(self.folder / "work"),
            "--forks", self.forks,
        ]

    def kk_upload(self, source, dest, inventory=None):
        """kk with one big file for the first host; its sha256 is known before, as an offline package's is."""
        one = inventory or self.hosts.inventory(self.hosts.addresses[:1], "one.ini")
        (self.folder / "upload.yaml").write_text(
            "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: upload\n      package_file:\n"
            f"        src: {source}\n        dest: {dest}\n        mode: \"0644\"\n"
            f"        size: {source.stat().st_size}\n        sha256: {sha256(source)}\n"
        )
        return self.kk_run("upload.yaml", one)

    # ---- OpenSSH -----------------------------------------------------------------------------------------------------

    def _for_each_host(self, body, name):
        """A shell loop over the hosts, as many at once as every other tool; `$1` is the host."""
        ssh = f"ssh -F {self.folder}/ssh_config_multiplexed"
        script = self.folder / f"{name}.sh"
        script.write_text(f"set -eu\nssh() {{ command {ssh} \"$@\"; }}\n{body}\n")
        names = self.folder / "names"
        names.write_text("".join(f"{address}\n" for address in self.hosts.addresses))
        return ["sh", "-c", f"xargs -P {self.forks} -n 1 sh {script} <{names} >/dev/null"]

    def ssh_commands(self):
        """Facts and commands over one master per host."""
        lines = [f'ssh -n "$1" "$(cat {self.folder}/facts)"']
        lines += [f"ssh -n \"$1\" {shlex.quote(command)}" for command in COMMANDS]
        return self._for_each_host("\n".join(lines), "commands")

    def ssh_templates(self):
        """Files that somebody has rendered, each sent by a command of its own and renamed into its place."""
        lines = []
        for number in range(TEMPLATES):
            dest = f"{self.folder}/out/$1/{number}.conf"
            source = self.folder / "templates" / f"{number}.conf.j2"
            lines.append(f'ssh "$1" "cat >{dest}.new && chmod 0644 {dest}.new && mv {dest}.new {dest}" <{source}')
        return self._for_each_host("\n".join(lines), "files")

    def ssh_hashes(self):
        """What looking at unchanged files costs at least: one hash per file."""
        lines = [f'ssh -n "$1" "sha256sum {self.folder}/out/$1/{number}.conf"' for number in range(TEMPLATES)]
        return self._for_each_host("\n".join(lines), "hashes")

    def scp(self, source, dest, config="ssh_config"):
        """scp of one file to the first host."""
        return ["scp", "-q", "-F", f"{self.folder}/{config}", str(source), f"{self.hosts.addresses[0]}:{dest}"]

    def scp_each(self, source, dest):
        """scp of one file to every host of the inventory, all at once; `{}` in the destination is the host."""
        scp = f"scp -q -F {self.folder}/ssh_config {source} {{}}:{dest}"
        return ["sh", "-c", f"printf '%s\\n' {' '.join(self.hosts.addresses[:10])} | xargs -P 10 -I {{}} {scp}"]

    def sftp(self, source, dest, config="ssh_config"):
        """The same by sftp's own client."""
        batch = self.folder / "sftp.batch"
        batch.write_text(f"put {source} {dest}\n")
        return ["sftp", "-q", "-b", str(batch), "-F", f"{self.folder}/{config}", self.hosts.addresses[0]]

    def rsync(self, source, dest, config="ssh_config"):
        """The same by rsync, which compares a checksum at the end."""
        return ["rsync", "--whole-file", "-e", f"ssh -F {self.folder}/{config}", str(source), f"{self.hosts.addresses[0]}:{dest}"]

    def cat_ssh(self, source, dest, config="ssh_config"):
        """The fastest that OpenSSH's client can be made to send one file."""
        ssh = f"ssh -F {self.folder}/{config} {self.hosts.addresses[0]}"
        return ["sh", "-c", f"cat {source} | {ssh} 'cat >{dest}'"]

    def ssh_each_command(self, config):
        """The commands on the first host, an exec each over one master."""
        ssh = f"ssh -n -F {self.folder}/{config} {self.hosts.addresses[0]}"
        return ["sh", "-ec", "\n".join(f"{ssh} {shlex.quote(command)} >/dev/null" for command in COMMANDS)]

    # ---- others ------------------------------------------------------------------------------------------------------

    def ansible(self, playbook, strategy="linear"):
        """ansible-playbook with pipelining and ControlPersist."""
        home = self.cache / "ansible"
        plugins = next(home.glob("lib/python*/site-packages")) / "ansible_mitogen" / "plugins" / "strategy"
        control = "" if strategy != "linear" else "-o ControlMaster=auto -o ControlPersist=60"
        config = self.folder / f"ansible.{strategy}.cfg"
        config.write_text(
            f"[defaults]\nforks = {self.forks}\nstrategy = {strategy}\nstrategy_plugins = {plugins}\n"
            "deprecation_warnings = false\ninterpreter_python = /usr/bin/python3\nretry_files_enabled = false\n"
            f"local_tmp = {self.folder}/ansible\nnocows = true\n"
            f"[ssh_connection]\npipelining = true\ncontrol_path_dir = {self.hosts.control}\ncontrol_path = %(directory)s/%%h\n"
            f"ssh_args = -F {self.folder}/ssh_config {control}\n"
        )
        return [
            "env", f"ANSIBLE_CONFIG={config}", f"PATH={home}/bin:{os.environ['PATH']}",
            str(home / "bin" / "ansible-playbook"), "-i", str(self.inventory), str(self.folder / playbook),
        ]

    def pyinfra(self, deploy):
        """pyinfra with a deploy file."""
        (self.folder / "pyinfra_commands.py").write_text(
            "from pyinfra import host\nfrom pyinfra.facts import hardware, server\nfrom pyinfra.operations import server as run\n"
            "for fact in (server.LinuxDistribution, server.Kernel, server.Arch, server.Hostname, server.Mounts,\n"
            "             hardware.Cpus, hardware.Memory, hardware.NetworkDevices):\n    host.get_fact(fact)\n"
            + "".join(f"run.shell(name={command!r}, commands=[{command!r}])\n" for command in COMMANDS)
        )
        (self.folder / "pyinfra_templates.py").write_text(
            "from pyinfra import host\nfrom pyinfra.operations import files\n"
            f"for number in range({TEMPLATES}):\n"
            f"    files.template(name=f'template {{number}}', src=f'{self.folder}/templates/{{number}}.conf.j2',\n"
            f"                   dest=f'{self.folder}/out/{{host.name}}/{{number}}.conf', mode='644',\n"
            "                   inventory_hostname=host.name, greeting='hello')\n"
        )
        data = {
            "ssh_port": self.hosts.port, "ssh_user": self.hosts.user, "ssh_key": str(self.hosts.key),
            "ssh_known_hosts_file": str(self.hosts.known_hosts), "ssh_strict_host_key_checking": "yes",
        }
        inventory = self.folder / "pyinfra_inventory.py"
        inventory.write_text(f"hosts = {[(address, data) for address in self.hosts.addresses]!r}\n")
        return [
            str(self.cache / "pyinfra" / "bin" / "pyinfra"), "-y", "--parallel", self.forks,
            str(inventory), str(self.folder / deploy),
        ]

    def large(self, hosts, tasks):
        """An inventory with so many hosts, in racks and rows, and a playbook with so many tasks."""
        name = f"{hosts}x{tasks}"
        inventory, playbook = self.folder / f"{name}.ini", self.folder / f"{name}.yaml"
        racks = hosts // 100
        lines = []
        for rack in range(racks):
            lines.append(f"[rack{rack:03}]")
            for number in range(rack * 100, rack * 100 + 100):
                role = "web" if number % 3 else "db"
                address = f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}"
                lines.append(f"node{number:05} ansible_host={address} role={role} number={number}")
            lines.append(f"[rack{rack:03}:vars]\nrack={rack}")
        lines += ["[row:children]", *(f"rack{rack:03}" for rack in range(0, racks, 2)), "[all:vars]", "region=north"]
        inventory.write_text("\n".join(lines) + "\n")
        lines = ["- hosts: all", "  gather_facts: false", "  vars: {greeting: hello}", "  tasks:"]
        kinds = [
            "command: echo {n} '{{{{ rack }}}}'\n      register: said\n      changed_when: false",
            'debug: {{msg: "{{{{ greeting }}}} {{{{ inventory_hostname }}}} {n}"}}\n      when: role == "web"',
            'copy: {{content: "{{{{ number }}}}", dest: /tmp/kk-{n}, mode: "0644"}}\n      notify: again',
            'file: {{path: "/tmp/{{{{ item }}}}", state: directory}}\n      loop: [a, b, c]\n      tags: [files]',
            "set_fact: {{fact_{n}: \"{{{{ said.stdout | default('') | upper }}}}\"}}",
        ]
        for number in range(tasks):
            text = kinds[number % len(kinds)].format(n=number)
            lines += [f"    - name: task {number}", f"      ansible.builtin.{text}"]
        lines += ["  handlers:", "    - name: again", "      ansible.builtin.command: 'true'"]
        playbook.write_text("\n".join(lines) + "\n")
        return inventory, playbook

    def kk_validate(self, inventory, playbook):
        """kk reads and checks, and asks no host."""
        return [self.kk, "validate", str(playbook), "-i", str(inventory)]

    def fresh_output(self):
        """The empty folders that templates go to: all hosts are this machine, so each has its own."""
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        for address in self.hosts.addresses:
            (self.folder / "out" / address).mkdir(parents=True)


def sha256(path):
    """The sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
