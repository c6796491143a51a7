"""`make run`: generate a service, start it, and show that it works.

The pair runs in containers if a Docker engine is available or can be installed. Otherwise the
generated application runs on the chosen server in a virtual environment, without its proxy.
"""

import argparse
import os
import platform
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests

from tests.engine import EngineError, ensure, environment
from tests.lib.stack import prepare_engine
from tests.lib.template import FACTS, PROXIES, PYTHON_VERSIONS, ROOT, SERVERS, generate
from tests.lib.venv import make

# The folder of the generated projects: one folder per pair, ignored by git.
FOLDER = ROOT / ".run"


def say(line: str) -> None:
    """Print a message for the user on stderr."""
    print(line, file=sys.stderr, flush=True)


def make_project(server: str, proxy: str, python_version: str) -> Path:
    """Generate the pair's project; overwrite an earlier one, but keep its secret."""
    slug = f"run-{server}-{proxy}".replace("_", "-")
    titles = FACTS["_servers"][server]["title"], FACTS["_proxies"][proxy]["title"]
    return generate(
        FOLDER,
        overwrite_if_exists=True,
        project_name=" behind ".join(titles),
        project_slug=slug,
        package_name="demo",
        wsgi_server=server,
        proxy=proxy,
        python_version=python_version,
    )


def run_in_containers(project: Path) -> None:
    """Build and start the pair, and show its response. Raises SystemExit if there is none."""
    if subprocess.run(
        ["docker", "compose", "up", "--build", "--wait"], cwd=project, check=False
    ).returncode:
        subprocess.run(["docker", "compose", "logs", "--tail", "30"], cwd=project, check=False)
        raise SystemExit(f"The pair did not start. See its logs above, and its files in {project}.")
    address = subprocess.run(
        ["docker", "compose", "port", "proxy", "8080"],
        cwd=project,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    show(f"http://{address}/")
    say(f"Files:  {project}\nStop:   make stop")


def run_in_venv(project: Path, server: str) -> None:
    """Run the generated application on this machine until it is interrupted."""
    folder = project / ".venv"
    say("Installing the application and its server …")
    make(folder, project / "requirements.txt", project / "server" / "requirements.txt")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project / "src"),
        "SECRET_KEY_FILE": str(project / "secrets" / "secret_key"),
        "PORT": str(port),
    }
    process = subprocess.Popen(
        [folder / "bin" / "python", "server/start.py", *FACTS["_servers"][server]["command"]],
        cwd=project,
        env=os.environ | settings,
    )
    try:
        show(f"http://127.0.0.1:{port}/", running=process)
        say("Stop:   Ctrl-C")
        process.wait()
    except KeyboardInterrupt:
        pass
    finally:
        process.terminate()
        process.wait()


def show(url: str, running: subprocess.Popen | None = None) -> None:
    """Print the response of ``url``. Raises SystemExit if there is none within 20 s."""
    deadline = time.monotonic() + 20
    while True:
        try:
            response = requests.get(url, timeout=5)
            break
        except requests.ConnectionError:
            if time.monotonic() > deadline or (running and running.poll() is not None):
                raise SystemExit(f"No response from {url}. See the reason above.") from None
            time.sleep(0.1)  # polling interval; the response ends the wait
    # The heading is the project's name, which names the pair: see make_project().
    (name,) = re.findall("<h1>(.*)</h1>", response.text)
    say(f"\nURL:    {url}\nStatus: {response.status_code}, {name}")
    say(f"Proxy:  {'none' if running else response.headers['Server']}")
    if response.status_code != 200:
        raise SystemExit("The status should be 200.")


def stop() -> None:
    """Stop all pairs that make run started, and remove their containers."""
    reach = environment()
    if reach is None:
        say("No Docker engine runs, so nothing does.")
        return
    os.environ.update(reach)
    for project in sorted(FOLDER.glob("*/compose.yaml")):
        subprocess.run(["docker", "compose", "down"], cwd=project.parent, check=True)


def main() -> None:
    """Parse the command line and run the command."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("server", nargs="?", choices=SERVERS, default=SERVERS[0])
    parser.add_argument("proxy", nargs="?", choices=PROXIES, default=PROXIES[0])
    parser.add_argument("--python-version", choices=PYTHON_VERSIONS, default=PYTHON_VERSIONS[0])
    parser.add_argument("--stop", action="store_true")
    chosen = parser.parse_args()
    if chosen.stop:
        stop()
        return
    started = time.monotonic()
    project = make_project(chosen.server, chosen.proxy, chosen.python_version)
    try:
        ensure()
    except EngineError as error:
        say(f"Without its proxy, and on Python {platform.python_version()}: {error}.")
        run_in_venv(project, chosen.server)
        return
    try:
        prepare_engine([chosen.python_version], [chosen.proxy])
    except EngineError as error:
        raise SystemExit(f"The base images are not available: {error}.") from error
    run_in_containers(project)
    say(f"Took:   {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
