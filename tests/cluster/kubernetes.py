"""The workflow by profiles/kubernetes: the same bytes as without it.

    python -m tests.cluster.kubernetes

No cluster is here. A server answers Snakemake as Kubernetes does, and runs every pod as a process of this machine, in an empty
folder: it stands for the network, the scheduler and the containers. What Snakemake asks for, what a job unpacks, fetches and
sends back is as on a cluster.
"""

import base64
import contextlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from flask import Flask, jsonify, request
from werkzeug.serving import make_server

from tests.cluster.pair import edit, make_pair, nothing_again, one_run_again, run, same_bytes
from tests.faults.kill import TARGETS


@dataclass
class Pod:
    """A job of Kubernetes and its only pod."""

    definition: dict
    folder: Path
    process: subprocess.Popen

    @property
    def container(self) -> dict:
        return self.definition["spec"]["template"]["spec"]["containers"][0]

    @property
    def status(self) -> dict:
        code = self.process.poll()
        return {} if code is None else {"succeeded": int(code == 0), "failed": int(code != 0)}


@dataclass
class Pods:
    """All that were asked for; `environment` is what the image holds."""

    folder: Path
    environment: dict[str, str]
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    running: dict[str, Pod] = field(default_factory=dict)

    def start(self, definition: dict) -> None:
        name = definition["metadata"]["name"]
        container = definition["spec"]["template"]["spec"]["containers"][0]
        workdir = self.folder / name
        workdir.mkdir()
        variables = dict(self.environment)
        for item in container["env"]:
            source = item["valueFrom"]["secretKeyRef"]
            variables[item["name"]] = base64.b64decode(self.secrets[source["name"]][source["key"]]).decode()
        log = (self.folder / f"{name}.log").open("w", encoding="utf-8")
        process = subprocess.Popen(
            [*container["command"], *container["args"]], cwd=workdir, env=variables, stdout=log, stderr=log
        )
        self.running[name] = Pod(definition, workdir, process)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8")


def server_of(pods: Pods) -> Flask:
    app = Flask(__name__)

    @app.post("/api/v1/namespaces/<namespace>/secrets")
    def new_secret(namespace):
        secret = request.get_json()
        pods.secrets[secret["metadata"]["name"]] = secret.get("data", {})
        return jsonify(secret), 201

    @app.delete("/api/v1/namespaces/<namespace>/secrets/<name>")
    def delete_secret(namespace, name):
        del pods.secrets[name]
        return jsonify({})

    @app.post("/apis/batch/v1/namespaces/<namespace>/jobs")
    def new_job(namespace):
        pods.start(request.get_json())
        return jsonify(request.get_json()), 201

    @app.get("/apis/batch/v1/namespaces/<namespace>/jobs/<name>/status")
    def job_status(namespace, name):
        return jsonify({**pods.running[name].definition, "status": pods.running[name].status})

    @app.delete("/apis/batch/v1/namespaces/<namespace>/jobs/<name>")
    def delete_job(namespace, name):
        pods.running[name].process.kill()
        shutil.rmtree(pods.running[name].folder)
        return jsonify({})

    @app.get("/api/v1/namespaces/<namespace>/pods")
    def list_pods(namespace):
        name = request.args["labelSelector"].removeprefix("job-name=")
        code = pods.running[name].process.poll()
        state = {"running": {}} if code is None else {"terminated": {"exitCode": code}}
        container = {"name": "snakemake", "state": state, "image": "", "imageID": "", "ready": False, "restartCount": 0}
        return jsonify({"items": [{"metadata": {"name": name}, "status": {"containerStatuses": [container]}}]})

    @app.get("/api/v1/namespaces/<namespace>/pods/<name>/log")
    def pod_log(namespace, name):
        return pods.log(name)

    @app.delete("/api/v1/namespaces/<namespace>/pods/<name>")
    def delete_pod(namespace, name):
        return jsonify({})

    return app


@contextlib.contextmanager
def kubernetes_of_processes() -> Iterator[Pods]:
    """The server; `KUBECONFIG` of this process names it as long as it runs."""
    with tempfile.TemporaryDirectory(prefix="pods") as name:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # The libraries of mathematics round as they do here: what they read from the environment is the machine's.
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SNAKEMAKE"))}
        pods = Pods(Path(name), environment | {"PATH": path, "HOME": name, "HF_HUB_OFFLINE": "1"})
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = make_server("127.0.0.1", 0, server_of(pods), threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        here = {"name": "here"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [here | {"cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "contexts": [here | {"context": {"cluster": "here", "user": "here"}}],
            "users": [here | {"user": {}}],
        }
        place = Path(name) / "config.yaml"
        place.write_text(yaml.safe_dump(config), encoding="utf-8")
        os.environ["KUBECONFIG"] = str(place)
        try:
            yield pods
        finally:
            del os.environ["KUBECONFIG"]
            server.shutdown()
            thread.join()
            for pod in pods.running.values():
                pod.process.kill()


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary, kubernetes_of_processes() as pods:
        here, there = make_pair(Path(temporary))
        for command in (["init", "--quiet"], ["add", "."]):  # the pods get the files that git knows
            subprocess.run(["git", *command], cwd=there, check=True)
        options = ["--profile", "profiles/kubernetes", "--jobs", "2", "--default-storage-prefix", str(there)]
        try:
            run(there, *options, "--", *TARGETS)
        except SystemExit:
            print(*(pods.log(name)[-2000:] for name in pods.running), sep="\n")
            raise
        asked = sorted({pod.container["resources"]["requests"]["memory"] for pod in pods.running.values()})
        print(f"{len(pods.running)} pods, which asked for {', '.join(asked)} of memory")
        held = [same_bytes(here, there), nothing_again(there, *options)]
        edit(there)
        held.append(one_run_again(there, *options))
    raise SystemExit(not all(held))


if __name__ == "__main__":
    main()
