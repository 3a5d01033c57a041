"""Runs the dashboard as a plan has it: `unshare --mount --net python -m tests.tofu.pod SPECIFICATION SCRATCH`.

Around it is what Kubernetes would make: a root file system that is this machine's, read-only; volumes where the plan
mounts them, with the owners and links that a kubelet gives them; user, group and environment of the plan; no
capabilities. Probes are asked as the plan asks them. Printed is a JSON document of what came of it.

Not made: cgroups, the system call filter, the image.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
# What the program itself is made of; the image would have it.
PROGRAM = sorted({REPOSITORY, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()})
TOKEN = "ecd_0123456789abcdef_" + "0" * 43


def mount(*arguments: str | Path) -> None:
    """Mount something."""
    subprocess.run(["mount", *arguments], check=True)


def projected(directory: Path, files: dict[str, str], mode: int, group: int) -> None:
    """Write a volume as a kubelet does: files in a directory of their own, reached by two links."""
    real = directory / "..2026_11_24"
    real.mkdir(parents=True)
    (directory / "..data").symlink_to(real.name)
    for name, text in files.items():
        (real / name).write_text(text)
        (real / name).chmod(mode)
        os.chown(real / name, 0, group)
        (directory / name).symlink_to(f"..data/{name}")


def volumes(spec: dict[str, Any], root: Path) -> None:
    """Mount every volume of the pod below *root*."""
    group = int(spec["security_context"][0]["fs_group"])
    kinds = {volume["name"]: volume for volume in spec["volume"]}
    for place in spec["container"][0]["volume_mount"]:
        volume, target = kinds[place["name"]], root / place["mount_path"].lstrip("/")
        size = (volume["empty_dir"] or [{}])[0].get("size_limit", "64Mi").removesuffix("i").lower()
        mount("-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", target)
        if volume["projected"]:
            mode = int(volume["projected"][0]["default_mode"], 8)
            paths = [item["path"] for one in volume["projected"][0]["sources"] for item in one["secret"][0]["items"]]
            projected(target, dict.fromkeys(paths, TOKEN), mode, group)
        elif volume["config_map"]:
            projected(target, spec["files"], int(volume["config_map"][0]["default_mode"], 8), group)
        elif volume["persistent_volume_claim"]:
            os.chown(target, 0, group)
            target.chmod(0o2775)
        if place["read_only"]:
            mount("-o", "remount,ro", target)


def file_system(spec: dict[str, Any], scratch: Path) -> Path:
    """Make the pod's file system, and return its root."""
    mount("-t", "tmpfs", "tmpfs", scratch)
    root, upper, work = scratch / "root", scratch / "upper", scratch / "work"
    for directory in (root, upper, work):
        directory.mkdir()
    mount("-t", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", "overlay", root)
    for place in spec["container"][0]["volume_mount"]:
        (root / place["mount_path"].lstrip("/")).mkdir(parents=True, exist_ok=True)
    for path in PROGRAM:
        for parent in [path, *path.parents][:-1]:
            below = root / str(parent).lstrip("/")
            below.mkdir(exist_ok=True)
            below.chmod(0o755)
    mount("-o", "remount,ro", root)
    volumes(spec, root)
    for path in PROGRAM:
        # A volume, or another file system, may lie over it.
        below = root / str(path).lstrip("/")
        if not (below / ".").exists() or not any(below.iterdir()):
            below.mkdir(parents=True, exist_ok=True)
            mount("--bind", path, below)
            mount("-o", "remount,bind,ro", below)
    for name in ("dev", "proc"):
        mount("--rbind", f"/{name}", root / name)
    return root


def asked(port: int, path: str, token: str = "") -> int:
    """Ask the dashboard, and return the status of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        return connection.getresponse().status
    finally:
        connection.close()


def lived(spec: dict[str, Any], root: Path) -> dict[str, Any]:
    """Start the pod's container, ask its probes, stop it, and return what was seen."""
    container, context = spec["container"][0], spec["security_context"][0]
    user, group = context["run_as_user"], context["run_as_group"]
    command: list[str | Path] = [
        "chroot", root, "setpriv", f"--reuid={user}", f"--regid={group}", f"--groups={context['fs_group']}",
        "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--",
        f"{sysconfig.get_path('scripts')}/runner-dashboard", *container["args"],
    ]  # fmt: skip
    environment = {"PATH": os.environ["PATH"], "RUNNER_DASHBOARD_LOG_FORM": "json"}
    environment |= {variable["name"]: variable["value"] for variable in container["env"]}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if server.stdout is None or server.stderr is None:
        raise RuntimeError
    log = []
    # It says when it serves, and ends when it does not.
    for line in server.stderr:
        log.append(line)
        if '"event": "serving"' in line:
            break
    port = container["port"][0]["container_port"]
    probes = {}
    if log and '"serving"' in log[-1]:
        for probe in ("startup_probe", "liveness_probe", "readiness_probe"):
            probes[probe] = asked(port, container[probe][0]["http_get"][0]["path"])
        probes["nodes"] = asked(port, "/api/v1/nodes", TOKEN)
        probes["stranger"] = asked(port, "/api/v1/nodes")
    server.terminate()
    code = server.wait(timeout=spec["termination_grace_period_seconds"])
    state = root / "var/lib/runner-dashboard"
    return {
        "code": code,
        "probes": probes,
        "printed": server.stdout.read(),
        "log": "".join(log) + server.stderr.read(),
        "state": {file.name: [file.stat().st_uid, oct(file.stat().st_mode & 0o777)] for file in state.glob("*")},
    }


if __name__ == "__main__":
    specification = json.loads(Path(sys.argv[1]).read_text())
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    made = file_system(specification, Path(sys.argv[2]))
    sys.stdout.write(json.dumps(lived(specification, made)))
