"""What the processes of a container use."""

import json
from dataclasses import dataclass

from docker.models.containers import Container

# Program for the container, whose image has no ps.
READ = """
import json, os
found = dict.fromkeys(("processes", "threads", "zombies", "files", "sockets", "memory"), 0)
for pid in set(filter(str.isdigit, os.listdir("/proc"))) - {str(os.getpid())}:
    try:
        with open(f"/proc/{pid}/status") as file:
            status = dict(line.rstrip().split(":", 1) for line in file)
        if "Z" in status["State"].split():
            found["zombies"] += 1
            continue
        files = [os.readlink(file.path) for file in os.scandir(f"/proc/{pid}/fd")]
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        continue  # it has ended by now, or closed this file
    found["processes"] += 1
    found["threads"] += int(status["Threads"])
    found["memory"] += int(status["RssAnon"].split()[0])
    sockets = sum(file.startswith("socket:") for file in files)
    found["sockets"] += sockets
    found["files"] += len(files) - sockets
tmp = os.statvfs("/tmp")
found["tmp_files"] = tmp.f_files - tmp.f_ffree
found["tmp_bytes"] = (tmp.f_blocks - tmp.f_bfree) * tmp.f_frsize
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Use:
    """Total resource usage of a container's processes; memory in KiB, without shared memory."""

    processes: int
    threads: int
    zombies: int
    files: int
    sockets: int
    memory: int
    tmp_files: int
    tmp_bytes: int


def use(container: Container) -> Use:
    """Return the current resource usage of a container's processes."""
    status, output = container.exec_run(["python", "-c", READ])
    assert status == 0, output.decode()
    return Use(**json.loads(output))
