"""The contents of generated projects, for all choices."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.lib.stack import run
from tests.lib.template import (
    FACTS,
    FOLDER,
    LICENSES,
    OPTIONS,
    PROXIES,
    ROOT,
    generate,
    template_files,
)

from .conftest import Project
from .names import OWN_DIRECTIVE, foreign_names

# A Jinja statement has a space or a sign after its mark; a log format such as "%{%H}t" does not.
# GitHub's expressions begin with a dollar sign.
JINJA = re.compile(r"(?<!\$)\{\{|\{%[-+ ]|cookiecutter", re.IGNORECASE)


def test_files_match_the_template_and_the_choices(project: Project):
    chosen = {
        "wsgi_server": project.pair.server,
        "proxy": project.pair.proxy,
        "license": LICENSES[0],
        "deploy_to": project.target,
        "ci": project.ci,
        **dict.fromkeys(OPTIONS, "none"),
        **project.options,
    }
    for option in ("metrics", "tracing"):
        both = "none" not in (chosen["database"], chosen[option])
        chosen[f"__database_{option}"] = chosen["database"] if both else "none"
    needs_image = FACTS["_servers"][project.pair.server]["without_image"]
    expected = {"secrets/secret_key"}
    if chosen["database"] != "none":
        expected.add("secrets/database_password")
    for path in template_files():
        name = path.relative_to(FOLDER).as_posix()
        name = name.replace("{{cookiecutter.package_name}}", "my_flask_service")
        # Only for platforms that need it: Cookiecutter skips files with an empty name.
        if "{{cookiecutter.__graceful_stop}}" in name and project.target == "none":
            continue
        name = name.replace("{{cookiecutter.__graceful_stop}}", "graceful-stop")
        if name.startswith("variants/"):
            _, question, answer, name = name.split("/", 3)
            if chosen[question] not in (answer, "all"):
                continue
            # Only if the template comes from GitHub.
            if name == ".github/workflows/conformance.yml":
                continue
            # A platform's Python runtime cannot run a server that needs an image.
            without = name.startswith(f"deploy/{answer}/python/") or (
                question == "deploy_to" and not FACTS["_platforms"][answer]["runs_images"]
            )
            if needs_image and without:
                continue
            if name.startswith(f"deploy/{answer}/database/") and chosen["database"] == "none":
                continue
        expected.add(name)
    # The secrets folder may also contain an empty file, for unused secrets.
    assert set(project.files()) - {"secrets/none"} == expected


def test_folders_are_described(project: Project):
    folders = {path.name for path in project.path.iterdir() if path.is_dir()}
    expected = {"src", "server", "proxy", "tests", "secrets", "docs"}
    expected |= {"deploy"} if project.target != "none" else set()
    expected |= {".github"} if project.ci == "github" else set()
    expected |= {"database"} if "database" in project.options else set()
    assert folders == expected
    files = project.files()
    assert {"Dockerfile", "compose.yaml", "README.md", "LICENSE", "pyproject.toml"} <= set(files)
    assert {"server/start.py", "server/healthcheck.py", "server/requirements.txt"} <= set(files)


def test_no_template_syntax_is_left(project: Project):
    for name, path in project.files().items():
        assert not JINJA.search(name)
        # Flask's templates are Jinja too.
        if not re.fullmatch(r"src/[^/]+/templates/.*", name):
            found = JINJA.search(path.read_text(encoding="utf-8"))
            assert not found, f"{name} contains {found[0]!r}"


def test_files_mention_only_chosen_servers_and_proxies(project: Project):
    names = foreign_names(project.pair.server, project.pair.proxy)
    for name, path in project.files().items():
        for line in [name, *path.read_text(encoding="utf-8").splitlines()]:
            found = names.search(line)
            assert not found or OWN_DIRECTIVE.search(line), f"{name} mentions {found[0]}: {line}"


def test_files_mention_only_chosen_options(project: Project):
    untaken = [OPTIONS[name] for name in OPTIONS if name not in project.options]
    for name, path in project.files().items():
        text = f"{name}\n{path.read_text(encoding='utf-8')}".lower()
        assert not any(option in text for option in untaken), name


@pytest.mark.parametrize("license", LICENSES)
def test_the_licence_is_the_chosen_one(license, tmp_path):
    project = generate(tmp_path, license=license, author_name="Ada Lovelace")
    text = (project / "LICENSE").read_text(encoding="utf-8")
    variant = (FOLDER / "variants" / "license" / license / "LICENSE").read_text(encoding="utf-8")
    assert text == variant.replace("{{ cookiecutter.author_name }}", "Ada Lovelace")


def test_text_files_are_plain(project: Project):
    for name, path in project.files().items():
        content = path.read_bytes()
        assert b"\r" not in content, f"{name} has a carriage return"
        assert not content or content.endswith(b"\n"), f"{name} has no newline at its end"
        assert not re.search(rb"[ \t]\n", content), f"{name} has trailing whitespace"


def test_files_have_the_modes_of_the_templates_files(project: Project):
    """Files keep the modes of the clone; none needs to be executable."""
    usual = (FOLDER / "README.md").stat().st_mode
    for name, path in project.files().items():
        if not name.startswith("secrets/"):
            assert path.stat().st_mode == usual, name


def test_python_files_compile(project: Project):
    for name, path in project.files().items():
        if path.suffix == ".py":
            ast.parse(path.read_text(encoding="utf-8"), filename=name)


def test_pyproject_matches_the_answers(project: Project):
    data = tomllib.loads((project.path / "pyproject.toml").read_text(encoding="utf-8"))
    about = data["project"]
    assert about["name"] == project.path.name == "my-flask-service"
    assert about["description"] == FACTS["description"]
    assert about["authors"] == [{"name": FACTS["author_name"], "email": FACTS["author_email"]}]
    assert about["requires-python"] == f">={project.python_version}"
    requirement = FACTS["_servers"][project.pair.server]["requirement"]
    assert data["dependency-groups"]["server"] == requirement.split()


def test_the_page_matches_the_answers(project: Project):
    (about,) = project.path.glob("src/*/about.toml")
    server = FACTS["_servers"][project.pair.server]
    expected = {
        "PROJECT_NAME": FACTS["project_name"],
        "DESCRIPTION": FACTS["description"],
        "SERVED_BY": server["title"],
        "BEHIND": FACTS["_proxies"][project.pair.proxy]["title"],
        "PARTS": [],
    }
    if "database" in project.options:
        assert list(project.options) == ["database", "metrics", "tracing"]
        expected["PARTS"] = ["database", "notes", "metrics", "database_metrics", "tracing"]
        expected["PARTS"].append("database_tracing")
        expected |= {"ONE_PROCESS": server["one_process"], "GREENLETS": server["greenlets"]}
    assert tomllib.loads(about.read_text(encoding="utf-8")) == expected


def test_images_match_the_choices(project: Project):
    dockerfile = (project.path / "Dockerfile").read_text(encoding="utf-8")
    server = FACTS["_servers"][project.pair.server]
    proxy = FACTS["_proxies"][project.pair.proxy]
    arguments = dict(re.findall(r"^ARG (\w+)=(.+)$", dockerfile, re.MULTILINE))
    assert arguments["PYTHON_IMAGE"] == f"python:{project.python_version}-slim-trixie"
    assert arguments[proxy["image_argument"]] == proxy["image"]
    assert f"\nSTOPSIGNAL {server['stop_signal']}\n" in dockerfile
    commands = [ast.literal_eval(text) for text in re.findall(r"^CMD (\[.*\])$", dockerfile, re.M)]
    assert server["command"] in commands
    assert proxy["command"] in commands
    # The files that the command names exist.
    for word in server["command"]:
        if (file := word.removeprefix("file:")).startswith("server/"):
            assert (project.path / file).is_file(), f"the command names {file}, which is missing"


BY_STOP_SIGNAL = {entry["stop_signal"]: name for name, entry in FACTS["_servers"].items()}


@pytest.mark.parametrize(
    "target",
    [name for name, entry in FACTS["_platforms"].items() if entry["runs_images"]] + ["none", "all"],
)
@pytest.mark.parametrize("server", BY_STOP_SIGNAL.values())
def test_images_stop_on_sigterm_if_a_platform_sends_only_that(server, target, tmp_path):
    """Images that get SIGTERM, and whose stop signal differs, have the wrapper."""
    project = generate(tmp_path, wsgi_server=server, deploy_to=target)
    dockerfile = (project / "Dockerfile").read_text(encoding="utf-8")
    told = {
        image
        for name, entry in FACTS["_platforms"].items()
        if target in (name, "all")
        for image in entry["stops_by_sigterm"]
    }
    proxy = FACTS["_proxies"][FACTS["proxy"][0]]
    entries = {"app": FACTS["_servers"][server], "proxy": proxy}
    needed = set()
    for image, entry in entries.items():
        stage = dockerfile.split(f" AS {image}\n")[1].split("\nFROM ")[0]
        wrapped = f'["bash", "/usr/local/bin/graceful-stop", "{entry["stop_signal"]}", '
        if image in told and entry["stop_signal"] != "SIGTERM":
            assert f"\nENTRYPOINT {wrapped}" in stage
            needed.add(image)
        else:
            assert "graceful-stop" not in stage
    assert (project / "proxy/usr/local/bin/graceful-stop").exists() == bool(needed)


def test_base_images_are_pinned_and_can_be_replaced(project: Project):
    """Stages start from scratch, another stage, or an ARG that names a release or a stage."""
    dockerfile = (project.path / "Dockerfile").read_text(encoding="utf-8")
    arguments = dict(re.findall(r"^ARG (\w+)=(.+)$", dockerfile, re.MULTILINE))
    stages = {"scratch"}
    for source, stage in re.findall(r"^FROM (\S+) AS (\w+)$", dockerfile, re.MULTILINE):
        assert source in stages or re.fullmatch(r"\$\{\w+\}", source), source
        stages.add(stage)
    assert len(stages) - 1 == dockerfile.count("\nFROM ")
    for name in re.findall(r"^FROM \$\{(\w+)\}", dockerfile, re.MULTILINE):
        image = arguments[name]
        assert image in stages or re.search(r":\d+\.\d+(-|$)", image), image


def test_compose_file_runs_the_pair(project: Project):
    compose = yaml.safe_load((project.path / "compose.yaml").read_text(encoding="utf-8"))
    assert compose["name"] == project.path.name
    services = compose["services"]
    expected = {"app", "proxy"}
    if "database" in project.options:
        expected |= {"db", "migrate"}
    assert {name for name in services if "profiles" not in services[name]} == expected
    assert set(services) == expected | {"next", "test"}


def test_only_the_proxy_is_published(project: Project):
    compose = yaml.safe_load((project.path / "compose.yaml").read_text(encoding="utf-8"))
    assert [name for name, service in compose["services"].items() if "ports" in service] == [
        "proxy"
    ]


def test_settings_are_explained(project: Project):
    """The compose files and .env.example have the same settings."""
    compose = yaml.safe_load((project.path / "compose.yaml").read_text(encoding="utf-8"))
    texts = [file.read_text(encoding="utf-8") for file in project.path.glob("compose*.yaml")]
    taken = set(re.findall(r"\$\{(\w+)", "".join(texts))) - {"COMPOSE_PROJECT_NAME"}
    for service in compose["services"].values():
        environment = service.get("environment", {})
        taken |= {name for name in environment if environment[name] is None}
        build = service.get("build", {})
        taken |= {name for name in build.get("args", []) if isinstance(name, str)}
    explained = re.findall(r"^# ?([A-Z_]+)=", (project.path / ".env.example").read_text(), re.M)
    assert set(explained) == taken


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize(
    "change", sorted((ROOT / "tests" / "real").glob("*.patch")), ids=lambda file: file.stem
)
def test_changes_for_real_applications_apply(change: Path, proxy: str, tmp_path: Path):
    """`make real` is not part of `make test`, so its patches would become outdated unnoticed."""
    project = generate(tmp_path, package_name="service", proxy=proxy)
    # Without its own repository, git would apply the paths to an outer repository.
    run(["git", "init", "--quiet"], cwd=project)
    # The owner copies flaskr into the project.
    run(["git", "apply", "--check", "--exclude", "src/flaskr/*", change], cwd=project)
