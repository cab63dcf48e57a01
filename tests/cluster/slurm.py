"""The workflow through Slurm, on this machine alone: the same tables, byte for byte, as without it.

    python -m tests.cluster.slurm [--config config/ci.yaml]

Needs root, and Debian's packages slurmctld, slurmd, slurm-client and munge (`make cluster` installs them). A controller and
a node of Slurm are started in a temporary folder; once on the way, while jobs wait, files of code are edited, and later the
node's daemon is killed and started again. By default the corpus is one video of the demo with three clips, of which a data
set, a table of quality and two systems are made.
"""

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.pair import RESULTS, same_bytes
from tests.faults.kill import COMMAND, ROOT, TARGETS, make_project

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
LONGEST = 1800  # s
EDITED = ("Snakefile", "pipeline/audio.py", "models/lf_dnn.py")  # while jobs wait: a comment more, which changes no result
# Jobs look for the cluster here: Snakemake takes all variables of Slurm from their environment.
CONFIG_FOLDER = Path("/etc/slurm")
# The node passes for one of eight cores: the jobs of four videos in a group ask for four.
CONFIG = """
ClusterName=here
SlurmctldHost={host}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=60
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort=16817
SlurmdPort=16818
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=1000000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """A controller and a node; `environment` is what its commands need."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.running: dict[str, subprocess.Popen] = {}

    def start(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.log").open("a", encoding="utf-8")
        self.running[name] = subprocess.Popen(command, stdout=log, stderr=log)

    def start_node(self) -> None:
        self.start("slurmd", "slurmd", "-D", "-N", node_name())

    def stop(self, name: str) -> None:
        self.running.pop(name).kill()

    def nodes(self) -> str:
        done = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True)
        return done.stdout.strip() or done.stderr.strip()


def node_name() -> str:
    return socket.gethostname().split(".")[0]


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster of one machine. Raises SystemExit if it does not come up."""
    with tempfile.TemporaryDirectory(prefix="slurm") as name:
        folder, made = Path(name), Cluster(Path(name))
        folder.chmod(0o755)
        for part in ("state", "spool"):
            (folder / part).mkdir()
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        text = CONFIG.format(host=node_name(), folder=folder)
        CONFIG_FOLDER.mkdir(exist_ok=True)
        files = {"slurm.conf": text, "cgroup.conf": "CgroupPlugin=cgroup/v1\n"}
        for name, content in files.items():
            (CONFIG_FOLDER / name).write_text(content, encoding="utf-8")
        places = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "out", "seed-file": "seed"}
        options = [f"--{option}={folder}/munge.{suffix}" for option, suffix in places.items()]
        try:
            made.start("munged", "munged", "--foreground", "--force", *options)
            time.sleep(1)
            made.start("slurmctld", "slurmctld", "-D", "-c")
            time.sleep(1)
            made.start_node()
            for _ in range(60):
                if made.nodes() == "idle":
                    break
                time.sleep(1)
            else:
                raise SystemExit(f"Slurm did not come up: {made.nodes()}\n{(folder / 'slurmd.log').read_text()[-2000:]}")
            yield made
        finally:
            for running in list(made.running):
                made.stop(running)
            for name in files:
                (CONFIG_FOLDER / name).unlink()


def edit_while_jobs_wait(project: Path) -> None:
    """Change code between the submission of jobs and their start."""
    set_partition("down")
    for _ in range(60):
        if subprocess.run(["squeue", "-h", "-t", "pending"], capture_output=True, text=True).stdout.strip():
            break
        time.sleep(1)
    else:
        raise SystemExit("no job came to wait")
    for name in EDITED:
        with (project / name).open("a", encoding="utf-8") as file:
            file.write("# edited while jobs wait\n")
    set_partition("up")
    print("code was edited while jobs waited", flush=True)


def set_partition(state: str) -> None:
    subprocess.run(["scontrol", "update", "partitionname=all", f"state={state}"], check=True)


def restart_node(slurm: Cluster) -> None:
    slurm.stop("slurmd")
    time.sleep(3)
    slurm.start_node()
    print("the node's daemon was killed and started again", flush=True)


def through_slurm(project: Path, targets: list[str], config: str) -> int:
    """Run the workflow, disturbed; returns how many jobs Slurm was given."""
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/slurm", *targets, "--configfile", config]
    log = project / "slurm.log"
    with cluster() as slurm, log.open("w", encoding="utf-8") as file:
        # After how many finished jobs, and what.
        disturbances = [(1, lambda: edit_while_jobs_wait(project)), (4, lambda: restart_node(slurm))]
        begun = time.monotonic()
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        run = subprocess.Popen(command, cwd=project, env=environment, stdout=file, stderr=file)
        while run.poll() is None and time.monotonic() - begun < LONGEST:
            time.sleep(1)
            if disturbances and log.read_text(encoding="utf-8").count("Finished jobid") >= disturbances[0][0]:
                disturbances.pop(0)[1]()
        said = log.read_text(encoding="utf-8")
        if run.poll() != 0:
            run.kill()
            raise SystemExit(f"the workflow failed under Slurm:\n{said[-4000:]}")
        if disturbances:
            raise SystemExit("the workflow ended before it was disturbed")
    return said.count("has been submitted with SLURM jobid")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="", help="in place of the small corpus")
    arguments = parser.parse_args()
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if os.geteuid() or missing:
        print(f"not tried: that needs root{f', and the programs {missing}' if missing else ''}")
        return
    if (CONFIG_FOLDER / "slurm.conf").exists():
        print(f"not tried: {CONFIG_FOLDER}/slurm.conf is there, this machine has a cluster of its own")
        return
    targets, config = (["all"], arguments.config) if arguments.config else (TARGETS, "tiny.yaml")
    with tempfile.TemporaryDirectory() as temporary:
        projects = [Path(temporary) / name for name in ("local", "slurm")]
        for project in projects:
            project.mkdir()
            make_project(project)
            shutil.copy(ROOT / "data_manifest.csv", project)
        local = COMMAND[: COMMAND.index(TARGETS[0])] + [*targets, "--configfile", config]
        done = subprocess.run(local, cwd=projects[0], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
        jobs = through_slurm(projects[1], targets, config)
        print(f"{jobs} jobs of Slurm")
        same = same_bytes(*projects, rooms=("data/", *RESULTS))
    raise SystemExit(not same)


if __name__ == "__main__":
    main()
