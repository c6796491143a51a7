"""PythonAnywhere: the commands of its page with the real client; the result, emulated.

Emulated: nothing here ran on PythonAnywhere. Its API is tests/hosting/pythonanywhere.py.
https://help.pythonanywhere.com/pages/Flask https://help.pythonanywhere.com/pages/ASGICommandLine
https://help.pythonanywhere.com/pages/WebAppClientIPAddresses
"""

import os
import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

import docker
import pytest
import requests
from docker.models.containers import Container

from tests.lib.stack import run, wait_until
from tests.lib.template import FACTS, FOLDER, PROXIES, PYTHON_VERSIONS, SERVERS, Pair, generate

from . import contract
from .balancer import APPENDS, balancer
from .conftest import EACH_SERVER, PACKAGE
from .page import follow
from .pythonanywhere import Account, api
from .runtime import add_probe, install, network, served, stop_in_the_midst

# The client needs older packages than the tests do, so it has a separate environment.
CLIENT = "pythonanywhere==0.19.3"
DOMAIN = "you.pythonanywhere.com"
HOME = "/home/you"
WSGI_FILE = "/var/www/you_pythonanywhere_com_wsgi.py"

# Replaces virtualenvwrapper's function, which needs the platform's Python versions: creates an
# environment whose programs record their arguments.
VIRTUALENVWRAPPER = """
mkvirtualenv() {
    test $# = 2 && mkdir -p "$WORKON_HOME/$2/bin"
    echo "${1#--python=}" > "$WORKON_HOME/$2/python"
    for program in pip flask; do
        printf '#!/bin/sh\\necho "$*" >> "$0.calls"\\n' > "$WORKON_HOME/$2/bin/$program"
        chmod +x "$WORKON_HOME/$2/bin/$program"
    done
}
"""


@dataclass
class Followed:
    """The result of the page's commands, in an account with a different home folder here."""

    account: Account
    home: Path

    @property
    def project(self) -> Path:
        return self.home / DOMAIN

    @property
    def virtualenv(self) -> Path:
        return self.home / ".virtualenvs" / DOMAIN

    def there(self, text: str) -> str:
        """Return a text with the platform's home folder in place of the local one."""
        return text.replace(str(self.home), HOME)

    def installed(self, call: int) -> str:
        """Return the requirements of one of pip's calls: the contents of its files, joined."""
        calls = (self.virtualenv / "bin" / "pip.calls").read_text(encoding="utf-8").splitlines()
        assert calls[call].startswith("install --require-hashes --requirement ")
        files = re.findall(r"--requirement (\S+)", calls[call])
        return "".join((self.project / file).read_text(encoding="utf-8") for file in files)


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of PythonAnywhere's own client, `pa`."""
    folder = tmp_path_factory.mktemp("client")
    uv = Path(sys.executable).with_name("uv")
    run([uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"], cwd=folder)
    python = folder / "venv" / "bin" / "python"
    run([uv, "pip", "install", "--quiet", "--python", python, CLIENT], cwd=folder)
    programs = python.parent
    (programs / "virtualenvwrapper.sh").write_text(VIRTUALENVWRAPPER, encoding="utf-8")
    return programs


def follow_page(project: Path, client: Path, folder: Path) -> Followed:
    """Run the commands of a project's page. Git maps the page's URL to the local project."""
    git = ["git", "-c", "user.name=you", "-c", "user.email=you@example.com"]
    run([*git, "init", "--quiet"], cwd=project)
    run([*git, "add", "."], cwd=project)
    run([*git, "commit", "--quiet", "--message", "The project"], cwd=project)
    home = folder / "home"
    home.mkdir()
    address = f"https://github.com/you/{project.name}.git"
    (home / ".gitconfig").write_text(
        f'[url "file://{project}"]\n    insteadOf = {address}\n', encoding="utf-8"
    )
    account = Account("you", "a-token")
    with api(account, folder) as environment, pytest.MonkeyPatch.context() as changed:
        # The client is installed already.
        changed.setenv("PATH", f"{client}:{os.environ['PATH']}")
        follow(
            project / "deploy" / "pythonanywhere" / "README.md",
            home,
            folder / "programs",
            {"pip": {"*' install --upgrade pythonanywhere '*": ":", "*": "exit 1"}},
            HOME=str(home),
            WORKON_HOME=str(home / ".virtualenvs"),
            **environment,
        )
    return Followed(account, home)


def make_project(folder: Path, pair: Pair) -> Path:
    return generate(
        folder,
        package_name=PACKAGE,
        wsgi_server=pair.server,
        proxy=pair.proxy,
        python_version=PYTHON_VERSIONS[PROXIES.index(pair.proxy) % len(PYTHON_VERSIONS)],
        deploy_to="pythonanywhere",
    )


@pytest.fixture(scope="module")
def followed(pair: Pair, client: Path, tmp_path_factory: pytest.TempPathFactory) -> Followed:
    folder = tmp_path_factory.mktemp("followed")
    found = follow_page(make_project(folder, pair), client, folder)
    add_probe(found.project, PACKAGE)
    # Trust the hosts that the tests request, instead of only the domain.
    file = found.project / "deploy" / "pythonanywhere" / "application.py"
    text = file.read_text(encoding="utf-8")
    trusted = '"TRUSTED_HOSTS": PROJECT.name,'
    assert trusted in text
    file.write_text(text.replace(trusted, '"TRUSTED_HOSTS": "service.example,127.0.0.1",'))
    return found


@pytest.mark.parametrize("server", SERVERS)
def test_servers_that_need_no_image_can_listen_on_a_socket(server: str):
    folder = FOLDER / "variants" / "wsgi_server" / server
    files = [path for path in folder.rglob("*") if path.suffix in (".py", ".ini", ".conf")]
    listens = any("UNIX_SOCKET" in path.read_text(encoding="utf-8") for path in files)
    assert listens == (not FACTS["_servers"][server]["without_image"])


CALLS = {
    "webapps": "https://{site}/api/v0/user/you/webapps/",
    "webapp": f"https://{{site}}/api/v0/user/you/webapps/{DOMAIN}/",
    "static": f"https://{{site}}/api/v0/user/you/webapps/{DOMAIN}/static_files/",
    "file": f"https://{{site}}/api/v0/user/you/files/path{WSGI_FILE}",
    "websites": "https://{site}/api/v1/user/you/websites/",
}
WEBAPP = {"domain_name": DOMAIN, "python_version": "python314"}
WEBSITE = {"domain_name": "www.example.com", "enabled": True, "webapp": {"command": "python"}}


@pytest.mark.parametrize(
    ("method", "place", "status", "sent"),
    [
        ("POST", "webapps", 400, {"data": WEBAPP}),
        ("POST", "webapps", 400, {"data": WEBAPP | {"domain_name": ""}}),
        ("POST", "webapps", 400, {"data": {"domain": "www.example.com"}}),
        ("POST", "webapps", 400, {"data": {"domain_name": "a.b", "python_version": "3.14"}}),
        ("POST", "webapps", 415, {"json": WEBAPP}),
        ("PUT", "webapps", 404, {"data": WEBAPP}),
        ("POST", "webapp", 404, {"data": WEBAPP}),
        ("PATCH", "webapp", 400, {"data": {"virtualenv": "x", "source_directory": "y"}}),
        ("POST", "static", 400, {"json": {"url": "/static/", "folder": "x"}}),
        ("POST", "file", 400, {"files": {"contents": b"x"}}),
        ("POST", "websites", 400, {"json": WEBSITE | {"domain_name": DOMAIN}}),
        ("POST", "websites", 400, {"json": WEBSITE | {"command": "python"}}),
        ("POST", "websites", 400, {"json": WEBSITE | {"webapp": {"comand": "python"}}}),
        ("POST", "websites", 401, {"json": WEBSITE, "headers": {"Authorization": "Token b"}}),
    ],
    ids=str,
)
def test_mistakes_are_detected(method: str, place: str, status: int, sent: dict, tmp_path: Path):
    account = Account("you", "a-token", webapps={DOMAIN: {}}, static_files={DOMAIN: {}})
    with api(account, tmp_path) as environment:
        url = CALLS[place].format(site=environment["PYTHONANYWHERE_SITE"])
        response = requests.request(
            method,
            url,
            **{"headers": {"Authorization": "Token a-token"}} | sent,
            verify=environment["REQUESTS_CA_BUNDLE"],
            timeout=10,
        )
    assert response.status_code == status
    assert len(account.refused) == 1


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("--python-version", "--python_version"),
        ('pa webapp delete --domain "$domain"\n', ""),
    ],
)
def test_mistakes_of_the_page_are_detected(right: str, wrong: str, client: Path, tmp_path: Path):
    project = make_project(tmp_path, EACH_SERVER[0])
    page = project / "deploy" / "pythonanywhere" / "README.md"
    text = page.read_text(encoding="utf-8")
    assert right in text
    page.write_text(text.replace(right, wrong), encoding="utf-8")
    with pytest.raises(AssertionError, match="README"):
        follow_page(project, client, tmp_path)


@pytest.mark.pairs(EACH_SERVER)
def test_the_commands_of_the_page_work(followed: Followed):
    account = followed.account
    assert account.refused == []
    webapp = account.deleted[DOMAIN]
    python = (followed.virtualenv / "python").read_text(encoding="utf-8").strip()
    # The virtual environment and the web app must use the same version.
    assert webapp["python_version"] == python.replace(".", "")
    assert python.removeprefix("python") in PYTHON_VERSIONS
    assert webapp["virtualenv_path"] == str(followed.virtualenv)
    # Once by the client, before there is an application; then after the setup and the release.
    assert webapp["reloads"] == 3
    assert account.calls[-1] == f"POST /api/v1/user/you/websites/{DOMAIN}/reload/"
    key = (followed.project / "secrets" / "secret_key").read_text(encoding="utf-8").strip()
    assert len(key) >= 43
    assert key.encode() not in b"".join(account.files.values())


@contextmanager
def on_the_platform(
    docker_client: docker.DockerClient,
    followed: Followed,
    folder: Path,
    command: str,
    requirements: str,
    *,
    static: Mapping[str, Path] = MappingProxyType({}),
) -> Iterator[tuple[str, Container, Callable[[], str]]]:
    """Run a command with a Python that has these requirements, behind the platform's front end.

    It listens on a socket whose file exists already, left behind by an earlier process. It starts
    outside the project's folder, and PATH does not include the virtual environment.
    """
    tag = f"pythonanywhere-{uuid4().hex[:12]}"
    bundle, sockets = folder / "bundle", folder / "sockets"
    bundle.mkdir()
    (bundle / "requirements.txt").write_text(requirements, encoding="utf-8")
    python = (followed.virtualenv / "python").read_text(encoding="utf-8").strip()
    virtual_env = followed.there(str(followed.virtualenv))
    install(bundle, python.removeprefix("python"), tag, virtual_env=virtual_env)
    # Writable for the container's user. On the platform, one account owns everything.
    sockets.mkdir()
    sockets.chmod(0o777)
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(sockets / "app.sock"))
    (followed.project / "secrets").chmod(0o755)
    wsgi_file = folder / "wsgi.py"
    content = followed.account.files[WSGI_FILE].decode()
    wsgi_file.write_text(followed.there(content), encoding="utf-8")
    try:
        with (
            network(docker_client) as inside,
            served(
                docker_client,
                tag,
                followed.project,
                f"{HOME}/{DOMAIN}",
                f"cd / && PATH=/usr/local/bin:/usr/bin:/bin exec {command}",
                {"DOMAIN_SOCKET": f"/var/sockets/{DOMAIN}/app.sock"},
                memory="512m",
                network=inside,
                volumes={
                    str(sockets): {"bind": f"/var/sockets/{DOMAIN}", "mode": "rw"},
                    str(wsgi_file): {"bind": WSGI_FILE, "mode": "ro"},
                },
            ) as app,
        ):

            def log() -> str:
                return app.logs().decode()

            with balancer(
                docker_client, "app.sock", APPENDS, network=inside, static=static, sockets=sockets
            ) as url:
                yield url, app, log
    finally:
        run(["docker", "image", "rm", tag], cwd=folder)


def check(url: str, server: str, log: Callable[[], str]) -> None:
    """Check the service behind the platform's front end."""
    ready = f"{url}/health/ready"
    wait_until(lambda: contract.get(ready).status_code == 200, timeout=30, told=log)
    # Not every server reads chunked bodies, and it is not documented what the front end does with
    # them.
    contract.check_application_alone(url, drops=contract.drops_spellings(server), chunked=False)


@pytest.mark.pairs(EACH_SERVER[:1])
def test_the_web_app(docker_client: docker.DockerClient, followed: Followed, tmp_path: Path):
    """The WSGI file works in the platform's own server, for any chosen one: uWSGI, no threads."""
    platforms = FOLDER / "variants" / "wsgi_server" / "uwsgi" / "server" / "requirements.txt"
    # The packages that the page installs for a web app, and the platform's own server.
    requirements = followed.installed(0) + platforms.read_text(encoding="utf-8")
    assert followed.installed(0) == followed.installed(1)
    virtual_env = followed.there(followed.account.deleted[DOMAIN]["virtualenv_path"])
    command = (
        f"{virtual_env}/bin/uwsgi --master --processes 2 --need-app --virtualenv {virtual_env}"
        f" --http-socket $DOMAIN_SOCKET --chmod-socket=666 --wsgi-file {WSGI_FILE}"
    )
    mapped = followed.account.static_files[DOMAIN].items()
    static = {url: Path(path) for url, path in mapped if Path(path).is_dir()}
    assert list(static) == ["/static/"]
    with on_the_platform(
        docker_client, followed, tmp_path, command, requirements, static=static
    ) as running:
        url, _, log = running
        check(url, "uwsgi", log)
        # The front end serves it, not the application.
        assert "X-Probe-Path" not in contract.get(f"{url}/static/style.css").headers


# One more server, because servers differ in how they handle an existing socket file.
@pytest.mark.pairs([*EACH_SERVER, Pair(SERVERS[-1], PROXIES[-1])])
def test_the_website(
    docker_client: docker.DockerClient, pair: Pair, followed: Followed, tmp_path: Path
):
    """The website's command, as set by the page, runs the project's own server on a socket."""
    command = followed.there(followed.account.websites[DOMAIN])
    requirements = followed.installed(2)
    with on_the_platform(docker_client, followed, tmp_path, command, requirements) as running:
        url, app, log = running
        check(url, pair.server, log)

        def stop() -> list[int]:
            app.kill("SIGTERM")
            return [app.wait(timeout=30)["StatusCode"]]

        stop_in_the_midst(url, log, stop, seconds=2.5)
