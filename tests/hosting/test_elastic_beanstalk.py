"""AWS Elastic Beanstalk: the commands of its page; the resulting bundles, emulated.

Emulated: nothing here ran on Elastic Beanstalk.
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/docker-configuration.html
"""

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
import requests
import yaml

from tests.lib.stack import run, wait_until
from tests.lib.template import FACTS, SERVERS, generate

from . import contract
from .balancer import APPENDS, balancer
from .conftest import PACKAGE, Built
from .page import follow
from .runtime import add_probe, container, install, network, served, stop_in_the_midst

ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:key-AbCdEf"
# The cloud's programs, emulated; "$here" is a folder for the test. Creating an environment sends
# the bundle.
COMMAND_OUTPUT = {
    "aws": {"*' create-secret '*": f'cat > "$here/stored"; echo {ARN}'},
    "eb": {
        "*' init '*": 'mkdir -p .elasticbeanstalk; echo "$3" > "$here/platform"',
        "*' create '*": 'cp deploy/*/bundle.zip "$here/$(cut -d- -f1 "$here/platform").zip"',
    },
}

# The options of the namespaces that are used here, and patterns of their values; None: any option.
# https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/command-options-general.html
OPTIONS = {
    "aws:elasticbeanstalk:application:environment": None,
    "aws:elasticbeanstalk:application:environmentsecrets": None,
    "aws:elasticbeanstalk:environment:proxy:staticfiles": None,
    "aws:elasticbeanstalk:environment:proxy": {"ProxyServer": "nginx|apache|none"},
    "aws:elasticbeanstalk:environment:process:default": {
        "DeregistrationDelay": r"\d+",
        "HealthCheckInterval": r"\d+",
        "HealthCheckPath": r"/.*",
        "HealthCheckTimeout": r"\d+",
        "HealthyThresholdCount": r"\d+",
        "MatcherHTTPCode": r"\d+(,\d+)*",
        "Port": r"\d+",
        "Protocol": "HTTP|HTTPS",
        "StickinessEnabled": "true|false",
        "StickinessLBCookieDuration": r"\d+",
        "StickinessType": "lb_cookie|app_cookie",
        "UnhealthyThresholdCount": r"\d+",
    },
    "aws:elasticbeanstalk:command": {
        "DeploymentPolicy": (
            "AllAtOnce|Rolling|RollingWithAdditionalBatch|Immutable|TrafficSplitting"
        ),
        "Timeout": r"\d+",
        "BatchSizeType": "Percentage|Fixed",
        "BatchSize": r"\d+",
        "IgnoreHealthCheck": "true|false",
    },
    "aws:elasticbeanstalk:healthreporting:system": {
        "SystemType": "basic|enhanced",
        "ConfigDocument": ".*",
        "EnhancedHealthAuthEnabled": "true|false",
        "HealthCheckSuccessThreshold": "Ok|Warning|Degraded|Severe",
    },
    "aws:elasticbeanstalk:cloudwatch:logs": {
        "StreamLogs": "true|false",
        "DeleteOnTerminate": "true|false",
        "RetentionInDays": "1|3|5|7|14|30|60|90|120|150|180|365",
    },
}

# https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/customize-containers-ec2.html
FILE_KEYS = {"mode", "owner", "group", "content", "source", "encoding", "authentication"}
COMMAND_KEYS = {"command", "env", "cwd", "leader_only", "test", "ignoreErrors"}


def problems(document: dict) -> list[str]:
    """Return the errors for which the platform would reject a configuration file."""
    keys = {"option_settings", "files", "container_commands"}
    found = [f"{key}: unknown" for key in document.keys() - keys]
    for section, known in (("files", FILE_KEYS), ("container_commands", COMMAND_KEYS)):
        for name, entry in document.get(section, {}).items():
            found += [f"{name} {key}: unknown" for key in entry.keys() - known]
    for namespace, options in document.get("option_settings", {}).items():
        if namespace not in OPTIONS:
            found.append(f"{namespace}: unknown")
            continue
        known = OPTIONS[namespace]
        for name, value in options.items():
            if not isinstance(value, str):
                found.append(f"{namespace} {name}: {value!r} is no text")
            elif known is not None and not re.fullmatch(known.get(name, r"(?!)"), value):
                found.append(f"{namespace} {name}: unknown, or not {value!r}")
    return found


def settings(bundle: Path) -> dict[str, dict[str, str]]:
    """Return the options of a bundle, by namespace."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted(bundle.glob(".ebextensions/*.config")):
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert problems(document) == [], file
        for namespace, options in document["option_settings"].items():
            found.setdefault(namespace, {}).update(options)
    return found


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        (".ebextensions/service.config", "option_settings", "option_setting"),
        (".ebextensions/service.config", "HealthCheckPath", "HealthcheckPath"),
        (".ebextensions/service.config", ":process:default", ":proces:default"),
        (".ebextensions/service.config", "RollingWithAdditionalBatch", "RollingWithBatch"),
        (".ebextensions/service.config", '"200"', "200"),
        ("docker/.ebextensions/proxies.config", '"1"', "1"),
        ("python/.ebextensions/python.config", "content", "contents"),
        ("python/.ebextensions/python.config", "files", "file"),
    ],
    ids=str,
)
def test_mistakes_are_detected(file: str, right: str, wrong: str, tmp_path: Path):
    project = generate(tmp_path, deploy_to="elastic-beanstalk")
    text = (project / "deploy" / "elastic-beanstalk" / file).read_text(encoding="utf-8")
    assert right in text
    assert problems(yaml.safe_load(text)) == []
    assert problems(yaml.safe_load(text.replace(right, wrong)))


@pytest.mark.parametrize("server", SERVERS)
def test_the_python_platform_is_offered_where_the_server_can_run_there(server: str, tmp_path: Path):
    project = generate(tmp_path, wsgi_server=server, deploy_to="elastic-beanstalk")
    folder = project / "deploy" / "elastic-beanstalk"
    assert (folder / "docker" / "compose.yaml").is_file()
    runs = not FACTS["_servers"][server]["without_image"]
    assert (folder / "python").exists() == runs
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert ("Procfile" in page) == runs
    assert ("needs an image" in page) != runs
    if runs:
        # The format that the platform requires.
        procfile = (folder / "python" / "Procfile").read_text(encoding="utf-8")
        assert re.fullmatch(r"web:\s*[^\s].*\n", procfile)


@dataclass
class Bundles:
    """The bundles that the page's commands make, unpacked in another folder."""

    docker: Path
    python: Path
    properties: dict[str, str]


@pytest.fixture(scope="module")
def bundles(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    folder = tmp_path_factory.mktemp("elastic-beanstalk")
    programs = folder / "programs"
    page = built.project / "deploy" / "elastic-beanstalk" / "README.md"
    followed = follow(page, built.project, programs, COMMAND_OUTPUT)
    key = built.key
    assert (programs / "stored").read_text(encoding="utf-8") == key
    (policy,) = followed.calls_of("aws", "iam", "put-role-policy")
    assert ARN in policy[-1]
    for platform in ("docker", "python"):
        with zipfile.ZipFile(programs / f"{platform}.zip") as bundle:
            bundle.extractall(folder / platform)
        files = {path for path in (folder / platform).rglob("*") if path.is_file()}
        # The platform writes .env only where there is none.
        assert not [file for file in files if file.name == ".env" or "secrets" in file.parts]
        assert not [file for file in files if key.encode() in file.read_bytes()]
        add_probe(folder / platform, PACKAGE)
    return Bundles(folder / "docker", folder / "python", {"SECRET_KEY": key})


def properties(bundle: Path, stored: dict[str, str]) -> dict[str, str]:
    """Return the environment's properties, with the values of the secrets."""
    found = settings(bundle)
    secrets = found["aws:elasticbeanstalk:application:environmentsecrets"]
    assert secrets == dict.fromkeys(stored, ARN)
    # As the page's "eb setenv" does, with the hosts that the tests request.
    set_later = {"TRUSTED_HOSTS": "service.example,127.0.0.1"}
    return found["aws:elasticbeanstalk:application:environment"] | stored | set_later


@pytest.fixture(scope="module")
def compose(built: Built, bundles: Bundles) -> Iterator[Callable[..., str]]:
    """Run Docker Compose as the platform does: with the default file name and a .env file."""
    assert [file.name for file in bundles.docker.glob("*compose*")] == ["docker-compose.yml"]
    # The platform builds from the newest base images; the tests, from those that the engine has.
    file = bundles.docker / "docker-compose.yml"
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    for name in ("app", "proxy"):
        assert document["services"][name]["build"].pop("pull") is True
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    lines = [
        f"{name}={value.replace('$', '$$')}\n"
        for name, value in properties(bundles.docker, bundles.properties).items()
    ]
    (bundles.docker / ".env").write_text("".join(lines), encoding="utf-8")
    name = f"beanstalk-{built.project.name}"

    def command(*arguments: str) -> str:
        return run(["docker", "compose", "--project-name", name, *arguments], cwd=bundles.docker)

    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("PUBLISH_ADDRESS", "127.0.0.1")
        try:
            command("up", "--detach", "--build", "--wait")
            yield command
        finally:
            command("down", "--rmi", "local", "--timeout", "5")


def test_the_pair_on_the_docker_platform(
    docker_client: docker.DockerClient, built: Built, compose: Callable[..., str]
):
    """The service works behind a balancer, which connects through the Compose project's network."""
    # By default it is published on port 80 of every address, as the platform requires.
    text = (built.project / "deploy/elastic-beanstalk/docker/compose.yaml").read_text()
    assert '"${PUBLISH_ADDRESS:-0.0.0.0}:${PUBLISH_PORT:-80}:8080"' in text
    assert re.fullmatch(r"127\.0\.0\.1:\d+\n", compose("port", "proxy", "8080"))
    inside = f"beanstalk-{built.project.name}_default"

    def log() -> str:
        # The platform collects this output.
        return compose("logs", "--no-log-prefix")

    def stop() -> list[int]:
        compose("stop")
        states = compose("ps", "--all", "--format", "{{.ExitCode}}").split()
        assert len(states) == 2
        return [int(state) for state in states]

    with balancer(docker_client, "proxy:8080", APPENDS, network=inside) as url:
        contract.check_all(url)
        stop_in_the_midst(url, log, stop, seconds=2.5)


# The platform's own proxies, configured as in its files (nginx.conf and 00_application.conf): each
# with its command, and with places for the bundle's .platform folder and static files.
PLATFORM_PROXIES = {
    "nginx": (
        ["nginx", "-g", "daemon off;", "-c", "/platform.conf"],
        """
        events {}
        http {
            include /etc/nginx/mime.types;
            map $http_upgrade $connection_upgrade { default "upgrade"; }
            include /platform/nginx/conf.d/*.conf;
            server {
                listen 80;
                location / {
                    proxy_pass http://127.0.0.1:8000;
                    proxy_http_version 1.1;
                    proxy_set_header Connection $connection_upgrade;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Host $host;
                    proxy_set_header X-Real-IP $remote_addr;
                    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                }
                location PATH { alias FOLDER; }
            }
        }
        """,
    ),
    "apache": (
        ["httpd", "-DFOREGROUND", "-c", "Include /platform.conf"],
        """
        LoadModule proxy_module modules/mod_proxy.so
        LoadModule proxy_http_module modules/mod_proxy_http.so
        Include /platform/httpd/conf.d/*.conf
        <VirtualHost *:80>
            ProxyPass PATH !
            ProxyPass / http://localhost:8000/ retry=0
            ProxyPassReverse / http://localhost:8000/
            ProxyPreserveHost on
            Alias PATH FOLDER
            <Directory FOLDER>
                Require all granted
            </Directory>
        </VirtualHost>
        """,
    ),
}


@pytest.fixture(scope="module")
def runtime(built: Built, bundles: Bundles) -> Iterator[str]:
    """An image of the platform's Python, with the bundle's requirements."""
    tag = f"beanstalk-python-{built.project.name}"
    pyproject = (built.project / "pyproject.toml").read_text(encoding="utf-8")
    (version,) = re.findall(r'requires-python = ">=(.+)"', pyproject)
    install(bundles.python, version, tag)
    yield tag
    run(["docker", "image", "rm", tag], cwd=built.project)


def test_the_server_on_the_python_platform(
    docker_client: docker.DockerClient, built: Built, bundles: Bundles, runtime: str, tmp_path: Path
):
    """The Procfile's command works in a shell, behind the platform's proxy and a balancer.

    It is stopped as by systemd: SIGTERM goes to each process of a service or, with KillMode=mixed,
    only to the main process.
    """
    (unit,) = yaml.safe_load((bundles.python / ".ebextensions" / "python.config").read_text())[
        "files"
    ].values()
    assert "KillMode=mixed\n" in unit["content"]
    options = settings(bundles.python)
    kind = options["aws:elasticbeanstalk:environment:proxy"]["ProxyServer"]
    ((path, folder),) = options["aws:elasticbeanstalk:environment:proxy:staticfiles"].items()
    start, text = PLATFORM_PROXIES[kind]
    text = text.replace("PATH", f"{path}/").replace("FOLDER", f"/var/app/current/{folder}/")
    (tmp_path / "platform.conf").write_text(text, encoding="utf-8")
    command = (bundles.python / "Procfile").read_text(encoding="utf-8").removeprefix("web:").strip()
    place = "/var/app/current"
    with (
        network(docker_client) as inside,
        served(
            docker_client,
            runtime,
            bundles.python,
            place,
            command,
            properties(bundles.python, bundles.properties),
            memory="512m",
            network=inside,
        ) as app,
        container(
            docker_client,
            FACTS["_proxies"][kind]["image"],
            entrypoint="",
            command=start,
            network_mode=f"container:{app.id}",
            volumes={
                str(tmp_path / "platform.conf"): {"bind": "/platform.conf", "mode": "ro"},
                str(bundles.python / ".platform"): {"bind": "/platform", "mode": "ro"},
                str(bundles.python): {"bind": place, "mode": "ro"},
            },
        ) as proxy,
    ):

        def log() -> str:
            return app.logs().decode() + proxy.logs().decode()

        def stop() -> list[int]:
            app.kill("SIGTERM")
            return [app.wait(timeout=60)["StatusCode"]]

        app.reload()
        address = app.attrs["NetworkSettings"]["Networks"][inside]["IPAddress"]
        with balancer(docker_client, f"{address}:80", APPENDS, network=inside) as url:
            ready = f"{url}/health/ready"
            wait_until(lambda: contract.get(ready).status_code == 200, timeout=30, told=log)
            # Of the platform's proxies, nginx drops names with an underscore.
            drops = kind == "nginx" or contract.drops_spellings(built.pair.server)
            contract.check_application_alone(url, drops=drops)
            # The platform's proxy serves static files. Its settings allow uploads up to this
            # project's limit: it might reject more than a megabyte, or pass on chunked bodies.
            assert "X-Probe-Path" not in contract.get(f"{url}/static/style.css").headers
            upload = requests.post(f"{url}/probe/upload", data=bytes(9 * 1024 * 1024), timeout=15)
            assert upload.status_code == 200
            stop_in_the_midst(url, log, stop, seconds=2.5)
