"""The processes of a server that runs."""

from tests.lib.stack import Stack, wait_until
from tests.lib.template import has_processes


def wait_for_processes(stack: Stack, **arguments) -> int:
    """Wait until WEB_CONCURRENCY processes run the application, or none but the server's own.

    That depends on whether the server has worker processes. The arguments are those of a request.
    Returns the number of worker processes.
    """
    container = stack.container("app")

    def read(file: str) -> str:
        return container.exec_run(["cat", f"/proc/{file}"]).output.decode()

    # The server itself is the child of process 1; it loads the application if it has no workers.
    server = int(read("1/task/1/children").split()[0])
    environ = dict(entry.split("=", 1) for entry in read(f"{server}/environ").split("\0") if entry)
    workers = int(environ["WEB_CONCURRENCY"]) if has_processes(stack.pair.server) else 0

    def found() -> bool:
        running = stack.get("/probe/processes", **arguments).json()["running"]
        return len(set(running) - {server}) == workers

    wait_until(found, timeout=10, told=stack.evidence)
    return workers
