"""A SLURM cluster of two small nodes on this machine, in namespaces of its own.

Its daemons see their own process table and their own ``/etc/slurm``, where jobs look for the configuration.
When the first process of the namespace ends, the kernel ends all others.
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "setpriv", "unshare", "nsenter")
# `sbin` is not on the path of everyone.
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"

SLURM_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/spool.%n
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MinJobAge=300
ReturnToService=2
GresTypes=gpu
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=16000
NodeName=two NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=16000 Gres=gpu:1
PartitionName=all Nodes=one,two Default=YES MaxTime=UNLIMITED State=UP OverSubscribe=NO
"""
# A GPU to be counted; there is none.
GRES_CONF = "NodeName=two Name=gpu File=/dev/null\n"

# Forced, as munged distrusts files below a folder where others may write, such as /tmp.
DAEMONS = """
set -e
mount --bind {folder}/etc /etc/slurm
munged --force --key-file={folder}/munge.key --socket={folder}/munge.socket --pid-file={folder}/munged.pid \\
  --log-file={folder}/munged.log --seed-file={folder}/munged.seed
slurmctld
slurmd -N one
slurmd -N two
touch {folder}/started
trap : TERM
while true; do sleep 1; done
"""


def problem() -> str | None:
    """Why there can be no cluster here, or None."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: munge slurmctld slurmd slurm-client)"
    if os.geteuid() != 0:
        return "only root can make a cluster's namespaces"
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True).returncode:
        return "namespaces are not allowed here"
    return None


class Cluster:
    """The cluster, from the start of its daemons to the end of the ``with`` block."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __enter__(self) -> "Cluster":
        folder = self.folder
        for name in ("etc", "state", "spool.one", "spool.two"):
            (folder / name).mkdir(parents=True)
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o400)
        settings = {"folder": folder, "host": socket.gethostname().split(".")[0], "ports": _free_ports(3)}
        (folder / "etc/slurm.conf").write_text(SLURM_CONF.format(**settings))
        (folder / "etc/gres.conf").write_text(GRES_CONF)
        with_us = ("setpriv", "--pdeathsig", "KILL")  # should the tests be killed themselves
        separate = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        with (folder / "daemons.log").open("w") as log:
            self.daemons = subprocess.Popen(
                [*with_us, "unshare", *separate, "bash", "-c", DAEMONS.format(folder=folder)],
                env=os.environ | {"PATH": PATH},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_for_nodes()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.daemons.kill()
        self.daemons.wait()

    def within(self, folder: Path) -> tuple[str, ...]:
        """What to put before a command so that it runs on the cluster's login node, in ``folder``."""
        children = Path(f"/proc/{self.daemons.pid}/task/{self.daemons.pid}/children").read_text().split()
        entered = (f"--target={children[0]}", "--mount", "--pid", f"--wd={folder}")
        return ("nsenter", *entered, "env", f"PATH={PATH}")

    def run(self, *command: str) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run(
            [*self.within(self.folder), *command], capture_output=True, text=True, timeout=60
        )
        return done.stdout + done.stderr

    def _wait_for_nodes(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.daemons.poll() is not None:
                break
            started = (self.folder / "started").exists()
            if started and self.run("sinfo", "--noheader", "--Node", "--format=%T").split() == ["idle"] * 2:
                return
            time.sleep(0.5)
        logs = "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in self.folder.glob("*.log"))
        raise RuntimeError(f"the cluster did not start\n{logs}")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
