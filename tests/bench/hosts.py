"""The hosts of the benchmarks: OpenSSH servers on addresses of loopback, with keys and settings that are thrown away.

All sides get the same: one cipher and one key exchange that all of them know, an empty home folder (a login shell
that reads someone's start files costs more than what is measured), and host keys that are known.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# sshd takes no more than 16 addresses each.
ADDRESSES_PER_SERVER = 12
CIPHER = "aes128-gcm@openssh.com"
KEY_EXCHANGE = "curve25519-sha256,curve25519-sha256@libssh.org"


class Hosts:
    """Servers that run, and the files by which each tool finds them."""

    def __init__(self, count):
        self.folder = Path(tempfile.mkdtemp(prefix="kk-bench-"))
        self.user = getpass.getuser()
        self.addresses = [f"127.0.{1 + n // 250}.{1 + n % 250}" for n in range(count)]
        self.port = free_port(self.addresses[0])
        self.processes = []
        self.served = set()
        self.key = self.folder / "key"
        self.known_hosts = self.folder / "known_hosts"
        self.home = self.folder / "home"
        self.control = self.folder / "control"
        self.log = self.folder / "sshd.log"
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self):
        self.folder.chmod(0o755)
        self.home.mkdir()
        self.control.mkdir(mode=0o700)
        for name in ("key", "host_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", self.folder / name], check=True
            )
        shutil.copy(self.folder / "key.pub", self.folder / "authorized_keys")
        self._know(self.addresses)
        self.inventory(self.addresses, "inventory.ini")
        self._ssh_config()
        self._serve(self.addresses)

    def _serve(self, addresses):
        program = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        for first in range(0, len(addresses), ADDRESSES_PER_SERVER):
            config = self.folder / f"sshd_config.{len(self.processes)}"
            listen = "".join(f"ListenAddress {a}\n" for a in addresses[first : first + ADDRESSES_PER_SERVER])
            config.write_text(
                f"Port {self.port}\n{listen}HostKey {self.folder}/host_key\nPidFile none\nStrictModes no\n"
                f"UsePAM no\nAuthorizedKeysFile {self.folder}/authorized_keys\nPasswordAuthentication no\n"
                "KbdInteractiveAuthentication no\nPermitRootLogin yes\nPrintMotd no\nPrintLastLog no\n"
                "MaxStartups 500\nLogLevel VERBOSE\nUseDNS no\nSubsystem sftp internal-sftp\n"
                f"Ciphers {CIPHER}\nKexAlgorithms {KEY_EXCHANGE}\nSetEnv HOME={self.home}\n"
            )
            with open(self.log, "ab") as log:
                self.processes.append(
                    subprocess.Popen(
                        [program, "-D", "-e", "-f", config],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        for address in addresses:
            self._wait_for(address)
        self.served.update(addresses)

    def grow(self, count):
        """More hosts, so many in all, for those who name their inventory; their addresses."""
        addresses = [f"127.0.{1 + n // 250}.{1 + n % 250}" for n in range(count)]
        self._know(addresses)
        self._serve([address for address in addresses if address not in self.served])
        return addresses

    def _know(self, addresses):
        host_key = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        self.known_hosts.write_text("".join(f"[{address}]:{self.port} {host_key}\n" for address in addresses))

    def _wait_for(self, address):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with socket.create_connection((address, self.port), 5) as connection:
                    if connection.recv(4) == b"SSH-":
                        return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"sshd did not start on {address}: {self.log.read_text()}")

    def inventory(self, addresses, name):
        """An inventory in Ansible's INI form, which kk reads as well. Addresses of loopback would be this machine itself."""
        path = self.folder / name
        lines = [
            f"{address} ansible_connection=ssh ansible_host={address} ansible_port={self.port} ansible_user={self.user} "
            f"ansible_ssh_private_key_file={self.key}\n"
            for address in addresses
        ]
        path.write_text("[all]\n" + "".join(lines))
        return path

    def _ssh_config(self):
        common = (
            f"Host *\n  Port {self.port}\n  User {self.user}\n  IdentityFile {self.key}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
            f"  StrictHostKeyChecking yes\n  BatchMode yes\n  Ciphers {CIPHER}\n  KexAlgorithms {KEY_EXCHANGE}\n"
        )
        (self.folder / "ssh_config").write_text(common)
        (self.folder / "ssh_config_multiplexed").write_text(
            common + f"  ControlMaster auto\n  ControlPath {self.control}/%h\n  ControlPersist 60\n"
        )

    def distant(self, milliseconds):
        """The first host over a line on which a byte needs so long: an inventory, and a configuration for OpenSSH."""
        line = Path(__file__).with_name("line.py")
        process = subprocess.Popen(
            [sys.executable, "-S", "-E", line, self.addresses[0], str(self.port), str(milliseconds)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        port = int(process.stdout.readline())
        host_key = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        with open(self.known_hosts, "a", encoding="utf-8") as known:
            known.write(f"[127.0.0.1]:{port} {host_key}\n")
        inventory = self.folder / "distant.ini"
        near = self.inventory(self.addresses[:1], "distant.ini").read_text()
        near = near.replace(f"ansible_host={self.addresses[0]}", "ansible_host=127.0.0.1")
        inventory.write_text(near.replace(f"ansible_port={self.port}", f"ansible_port={port}"))
        for name in ("ssh_config", "ssh_config_multiplexed"):
            text = (self.folder / name).read_text().replace(f"Port {self.port}", f"HostName 127.0.0.1\n  Port {port}")
            (self.folder / f"distant_{name}").write_text(text)
        return inventory

    def commands_started(self):
        """How many commands the servers have started so far."""
        return self.log.read_bytes().count(b"Starting session: ")

    def environment(self):
        """The environment for every tool: nothing of whoever runs this but PATH."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8", "TERM": "dumb"}

    def close(self):
        """Ends the servers and their sessions and removes everything."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        # Sessions lead sessions of their own, so they are found by what they were started with.
        for process in sessions_of(str(self.folder)):
            try:
                os.kill(process, signal.SIGTERM)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)


def sessions_of(text):
    """Processes, other than this one, whose home folder or arguments lie in the folder of this run."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            said = (entry / "cmdline").read_bytes() + b"\0" + (entry / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in said:
            found.append(int(entry.name))
    return found


def free_port(address):
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind((address, 0))
        return listener.getsockname()[1]
