"""Common settings of all platforms' files: trusted proxies, keys, base images."""

import re
from pathlib import Path

import pytest
import yaml

from tests.lib.readme import blocks
from tests.lib.template import FACTS, generate

# The platforms' files for the application without the sidecar, with the number of proxies that add
# an address to X-Forwarded-For. Headers that a platform's front end does not set come from the
# client: 0 and off.
ALONE = {
    "app-engine/docker/app.yaml": 2,
    # The front end adds one address or two; only one is certain.
    "app-engine/python/app.yaml": 1,
    "cloud-run/app-only.yaml": 1,
    "elastic-beanstalk/python/.ebextensions/python.config": 2,
    "pythonanywhere/application.py": 1,
}
# The files with the sidecar. The application's image trusts the sidecar. The sidecar trusts no
# prefix, request ID or trace by default: none of these front ends sets them.
PAIRED = (
    "azure/main.bicep",
    "cloud-run/service.yaml",
    "elastic-beanstalk/docker/compose.yaml",
    "elastic-beanstalk/docker/.ebextensions/proxies.config",
    "kubernetes/base/settings.env",
    "kubernetes/base/deployment.yaml",
    "swarm/stack.yaml",
)
PLATFORMS = [name for name in FACTS["deploy_to"] if name not in ("none", "all")]
IMAGES_ARE_BUILT = [name for name in PLATFORMS if FACTS["_platforms"][name]["runs_images"]]


@pytest.fixture(scope="module")
def deploy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all platforms' files."""
    return generate(tmp_path_factory.mktemp("settings"), deploy_to="all") / "deploy"


def trust(text: str) -> dict[str, str]:
    """Return the trust settings in a file of any of the platforms' formats."""
    setting = r"""\b(PROXY_FIX_X_\w+|TRUST_REQUEST_ID)\b\W+(?:value\W+)?(\d|on|off)\b"""
    return dict(re.findall(setting, text))


@pytest.mark.parametrize("name", ALONE)
def test_the_application_alone_trusts_what_the_platform_sets(deploy: Path, name: str):
    """Each setting is present: the image's defaults are for the sidecar."""
    assert trust((deploy / name).read_text(encoding="utf-8")) == {
        "PROXY_FIX_X_FOR": str(ALONE[name]),
        "PROXY_FIX_X_PROTO": "1",
        "PROXY_FIX_X_HOST": "0",
        "PROXY_FIX_X_PREFIX": "0",
        "TRUST_REQUEST_ID": "off",
    }


@pytest.mark.parametrize("name", PAIRED)
def test_only_the_image_sets_what_is_trusted_of_the_sidecar(deploy: Path, name: str):
    text = (deploy / name).read_text(encoding="utf-8")
    assert trust(text) == {}
    assert "TRUST_FORWARDED_PREFIX" not in text


def test_every_platform_file_with_such_settings_is_tested(deploy: Path):
    known = {Path(name) for name in (*ALONE, *PAIRED)}
    found = {
        path.relative_to(deploy)
        for path in deploy.rglob("*")
        if path.is_file()
        and path.suffix != ".md"
        and re.search(r"TRUSTED_PROXY_COUNT|PROXY_FIX|GRACEFUL", path.read_text(encoding="utf-8"))
    }
    assert found <= known


@pytest.mark.parametrize("platform", PLATFORMS)
def test_host_names_are_part_of_the_steps(deploy: Path, platform: str):
    """TRUSTED_HOSTS keeps any other Host header of a client out of links and redirects."""
    files = [path for path in (deploy / platform).rglob("*") if path.is_file()]
    assert "TRUSTED_HOSTS" in (deploy / platform / "README.md").read_text(encoding="utf-8")
    if platform != "elastic-beanstalk":  # which has a command for it
        settings = r"TRUSTED_HOSTS['\"]?(: |=|', value: |\n +value: |: \")\S"
        assert any(re.search(settings, path.read_text(encoding="utf-8")) for path in files)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_keys_are_read_from_files_and_pipes(deploy: Path, platform: str):
    """Commands use only the key's first line, and no command line shows it."""
    commands = "\n".join(blocks(deploy / platform / "README.md", "console"))
    assert "$(cat secrets" not in commands
    for line in commands.splitlines():
        if "secrets/secret_key" in line and not line.startswith(("docker secret", "python3 -c")):
            assert "head -n 1 secrets/secret_key | tr -d '\\n'" in line
        if "> deploy/" in line and "secret_key" in line:
            assert line.startswith("(umask 077 && ")


@pytest.mark.parametrize("platform", IMAGES_ARE_BUILT)
def test_images_are_built_from_the_newest_base_images(deploy: Path, platform: str):
    commands = "\n".join(blocks(deploy / platform / "README.md", "console"))
    if platform == "elastic-beanstalk":  # which builds on its machines
        text = (deploy / platform / "docker" / "compose.yaml").read_text(encoding="utf-8")
        services = yaml.load(text.replace("!reset ", "").replace("!override", ""), yaml.SafeLoader)
        # Services without content are those that the file removes.
        kept = [service for service in services["services"].values() if service]
        assert kept and all(service["build"]["pull"] is True for service in kept)
    else:
        builds = re.findall(r"docker compose build.*", commands)
        assert builds and all(build.startswith("docker compose build --pull") for build in builds)


# These platforms run images for x86 only, and an Apple silicon machine builds for ARM by default.
@pytest.mark.parametrize("platform", ["app-engine", "azure", "cloud-run"])
def test_images_are_built_for_the_platforms_processor(deploy: Path, platform: str):
    commands = "\n".join(blocks(deploy / platform / "README.md", "console"))
    builds = re.findall(r".*docker compose build.*", commands)
    assert builds
    for build in builds:
        assert build.startswith("DOCKER_DEFAULT_PLATFORM=linux/amd64 ")


def test_elastic_beanstalk_redirects_to_https(deploy: Path):
    """The platform's HTTP listener redirects to an HTTPS listener."""
    (text,) = (
        text
        for text in blocks(deploy / "elastic-beanstalk" / "README.md", "yaml")
        if "listener" in text
    )
    https = yaml.safe_load(text)
    assert https["option_settings"]["aws:elbv2:listener:443"]["Protocol"] == "HTTPS"
    (listener,) = https["Resources"].values()
    assert list(https["Resources"]) == ["AWSEBV2LoadBalancerListener"]
    assert listener["Properties"]["DefaultActions"] == [
        {
            "Type": "redirect",
            "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
        }
    ]
