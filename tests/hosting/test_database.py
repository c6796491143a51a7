"""The database on each platform: its URL is a secret, and a release migrates before it starts.

The migrations run for real as a Job of Kubernetes, with a verified certificate, and as a job of
Cloud Run, through a socket named like those of Cloud SQL. Elsewhere, the page's commands are
followed.
"""

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import docker
import pytest
import trustme
import yaml

from tests.lib.load import ask
from tests.lib.stack import free_port, run, wait_until
from tests.lib.template import DATABASES, FACTS, generate

from . import test_app_engine as app_engine
from . import test_azure as azure
from . import test_cloud_run as cloud_run
from . import test_elastic_beanstalk as elastic_beanstalk
from . import test_manifests as kubernetes
from . import test_pythonanywhere as pythonanywhere
from . import test_swarm as swarm
from .conftest import PACKAGE
from .page import Followed, follow
from .pod import Manifest, Pod, kustomize, one
from .runtime import container, network
from .schemas import cloud_run_service, problems
from .test_pythonanywhere import client  # noqa: F401
from .test_settings import PLATFORMS

SLUG = f"stored-{os.getpid()}"
PASSWORD = "a-password"  # noqa: S105 # of no server but the tests' own
TLS = "sslmode=verify-full&sslrootcert="
URL = f"postgresql://app:{PASSWORD}@database/app?{TLS}/etc/ssl/certs/ca-certificates.crt"
# Connections that a server allows by default, without those that are reserved.
ALLOWED = 97


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a database, for all platforms, and what its owner writes into files."""
    project = generate(
        tmp_path_factory.mktemp("database"),
        project_slug=SLUG,
        package_name=PACKAGE,
        deploy_to="all",
        database=DATABASES[0],
    )
    (project / "secrets" / "database_url").write_text(f"{URL}\n", encoding="utf-8")
    (project / "secrets" / "database_password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    overlay = project / kubernetes.PRODUCTION
    shutil.copy(project / "secrets" / "secret_key", overlay)
    (overlay / "database.env").write_text(f"DATABASE_URL={URL}\n", encoding="utf-8")
    return project


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Path:
    """A copy of it, because some commands change files."""
    return shutil.copytree(original, tmp_path / SLUG)


def page(project: Path, platform: str) -> Path:
    return project / "deploy" / platform / "README.md"


def follow_page(project: Path, platform: str, answers: dict[str, dict[str, str]]) -> Followed:
    """Run a page's commands, where docker is only recorded. No command line shows the password."""
    followed = follow(
        page(project, platform),
        project,
        project.with_name("programs"),
        {"docker": {"*' compose run '*": 'echo "$DATABASE_URL" > "$here/migrated"'}} | answers,
    )
    assert not [word for call in followed.calls for word in call if PASSWORD in word]
    return followed


def options(call: list[str]) -> dict[str, str]:
    """Return the options of a command that have values; those with pairs, as separate entries."""
    found = {name: value for name, value in pairwise(call) if name[:2] == "--"}
    for name in ("--set-env-vars", "--set-secrets"):
        found |= dict(pair.split("=", 1) for pair in found.pop(name).split(","))
    return found


def connections(environment: dict[str, str]) -> int:
    """Return how many connections these settings allow, with the most of a process: greenlets."""
    processes = int(environment.get("WEB_CONCURRENCY", 2))
    return int(environment["APP_REPLICAS"]) * processes * (10 + 1)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_page_says_how(original: Path, platform: str):
    """It verifies the server, and no file contains a password."""
    text = page(original, platform).read_text(encoding="utf-8")
    assert re.search(TLS + "/|host=/cloudsql/", text)
    assert "migrations" in text
    for path in (original / "deploy" / platform).rglob("*"):
        if path.is_file() and path.suffix not in (".md", ".env"):
            assert not re.search(r"postgresql://[^/\s]*:[^/\s]*@", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_project_without_a_database_mentions_none(platform: str, tmp_path: Path):
    project = generate(tmp_path, deploy_to=platform)
    for path in (project / "deploy").rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"DATABASE|migrat|cloudsql|5432", text), path


@pytest.fixture(scope="module")
def manifests(original: Path) -> list[Manifest]:
    return kustomize(original / kubernetes.PRODUCTION)


def test_kubernetes_job(manifests: list[Manifest]):
    """The Job has the Deployment's image, settings and restrictions, but is none of its pods."""
    for manifest in manifests:
        kubernetes.validate(manifest)
    job = one(manifests, "Job")["spec"]["template"]
    pod = kubernetes.pod_spec(manifests)
    (app,), (migrate,) = pod["initContainers"], job["spec"]["containers"]
    for name in ("image", "envFrom", "resources", "securityContext", "volumeMounts"):
        assert migrate[name] == app[name], name
    assert migrate["args"] == ["flask", "db", "upgrade"]
    assert kubernetes.violations(job["spec"] | {"initContainers": []}) == []
    secret = one(manifests, "Secret")["metadata"]["name"]
    for each in (app, migrate):
        (url,) = [variable for variable in each["env"] if variable["name"] == "DATABASE_URL"]
        assert url["valueFrom"] == {"secretKeyRef": {"name": secret, "key": "DATABASE_URL"}}
    assert "DATABASE_URL" not in one(manifests, "ConfigMap")["data"]
    given = {variable["name"]: variable.get("value") for variable in migrate["env"]}
    most = one(manifests, "HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    assert given["APP_REPLICAS"] == str(most) and connections(given) <= ALLOWED
    # Otherwise the Service, the disruption budget and the autoscaler would count it as one of them.
    labels = job["metadata"]["labels"]
    selector = one(manifests, "Deployment")["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= labels.items()
    # Both kinds of pods can connect to name servers and to the database, and to nothing else.
    policies = [manifest["spec"] for manifest in manifests if manifest["kind"] == "NetworkPolicy"]
    assert sorted(str(policy["podSelector"]["matchLabels"]) for policy in policies) == sorted(
        [str(labels), str(selector)]
    )
    assert policies[0]["egress"] == policies[1]["egress"]
    assert {"ports": [{"protocol": "TCP", "port": 5432}]} in policies[0]["egress"]


def test_kubernetes_release(project: Path, manifests: list[Manifest]):
    """All but the Deployment is applied first, and the Deployment after the migrations."""
    marked = [each for each in manifests if "component" in str(each["metadata"].get("labels"))]
    assert [each["kind"] for each in marked] == ["Deployment"]
    run(["git", "init", "--quiet"], cwd=project)
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    run(["git", *identity, "commit", "--quiet", "--allow-empty", "-m", "r"], cwd=project)
    programs = project.with_name("programs")
    answers: dict[str, dict[str, str]] = {"docker": {}, "kubectl": {}}
    release = follow(page(project, "kubernetes"), project, programs, answers, heading="Release")
    verbs = [call[1] if call[1][:2] != "--" else call[3] for call in release.calls_of("kubectl")]
    assert verbs == ["kustomize", "delete", "apply", "wait", "apply", "rollout"]
    first, second = release.calls_of("kubectl", "apply")
    assert first == [*second, "--selector", "app.kubernetes.io/component!=web"]
    run(["git", "check-ignore", f"{kubernetes.PRODUCTION}/database.env"], cwd=project)


def test_swarm(engine: None, project: Path, monkeypatch: pytest.MonkeyPatch):
    """The database stays on one node, and the migrations have the application's settings."""
    folder = project / "deploy" / "swarm"
    monkeypatch.setenv("APP_IMAGE", "registry.example.com/app:1")
    monkeypatch.setenv("PROXY_IMAGE", "registry.example.com/proxy:1")
    monkeypatch.setenv("TRUSTED_HOSTS", "www.example.com")
    stack, database = (
        yaml.safe_load(run(["docker", "stack", "config", "--compose-file", file], cwd=folder))
        for file in ("stack.yaml", "database/stack.yaml")
    )
    app, migrate, db = (
        stack["services"]["app"],
        *(database["services"][name] for name in ("migrate", "db")),
    )
    assert migrate["deploy"]["mode"] == "replicated-job"
    assert migrate["command"] == ["flask", "db", "upgrade"]
    for name in ("image", "secrets", "volumes", "read_only", "cap_drop"):
        assert migrate[name] == app[name], name
    for service in (migrate, db):
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    own = dict(migrate["environment"])
    replicas = int(own.pop("APP_REPLICAS"))
    assert own.items() <= app["environment"].items()
    assert replicas == app["deploy"]["replicas"] + app["deploy"]["update_config"]["parallelism"]
    assert own["DATABASE_URL"] == "postgresql://app@db/app"
    assert own["DATABASE_PASSWORD_FILE"] == "/run/secrets/database_password"  # noqa: S105
    assert database["secrets"].items() >= stack["secrets"].items()
    for secret in database["secrets"].values():
        assert secret["external"] is True
    (constraint,) = db["deploy"]["placement"]["constraints"]
    text = page(project, "swarm").read_text(encoding="utf-8")
    label = constraint.removeprefix("node.labels.").replace(" == ", "=").replace(SLUG, "$SERVICE")
    assert f'--label-add "{label}"' in text
    assert db["deploy"]["update_config"]["order"] == "stop-first"
    assert Path(database["configs"]["init"]["file"]) == project / "database" / "init.sql"
    # The compose file's container, as far as Swarm has the same settings.
    compose = yaml.safe_load((project / "compose.yaml").read_text(encoding="utf-8"))
    like = compose["services"]["db"]
    assert (db["image"], db["user"]) == (FACTS["_databases"][DATABASES[0]]["image"], like["user"])
    assert db["healthcheck"]["test"] == like["healthcheck"]["test"]
    deployed = re.findall(r"docker stack deploy .*/swarm/(\S+)", text)
    assert deployed == ["database/stack.yaml", "stack.yaml"]


def check_job(call: list[str], environment: dict[str, str]) -> dict[str, str]:
    """Check a command that creates and runs a Cloud Run job; return its options.

    ``environment`` are the settings of the application that change the number of connections.
    """
    given = options(call)
    assert {"--execute-now", "--wait"} <= set(call)
    assert given["--args"] == "flask,db,upgrade"
    for name, value in environment.items():
        assert given[name] == value, name
    assert connections(given) <= ALLOWED
    return given


@pytest.mark.parametrize("file", cloud_run.FILES)
def test_cloud_run_files(original: Path, file: str):
    text = (original / "deploy" / "cloud-run" / file).read_text(encoding="utf-8")
    service = yaml.safe_load(text)
    assert problems(service, cloud_run_service()) == []
    (app,) = [c for c in service["spec"]["template"]["spec"]["containers"] if c["name"] == "app"]
    url = {"secretKeyRef": {"name": "${SERVICE}-database-url", "key": "1"}}
    assert {"name": "DATABASE_URL", "valueFrom": url} in app["env"]


def follow_cloud_run(project: Path) -> tuple[Followed, dict[str, str]]:
    """Follow the page of Cloud Run; return the job's options too."""
    followed = follow_page(project, "cloud-run", cloud_run.COMMAND_OUTPUT | {"docker": {}})
    deployed = yaml.safe_load(followed.piped("run", "services"))["spec"]["template"]
    (app,) = [c for c in deployed["spec"]["containers"] if c["name"] == "app"]
    values = {variable["name"]: variable.get("value") for variable in app["env"]}
    annotations = deployed["metadata"]["annotations"]
    (call,) = followed.calls_of("gcloud", "run", "jobs", "deploy")
    job = check_job(
        call,
        {name: values[name] for name in ("WEB_CONCURRENCY", "WEB_THREADS")}
        | {"APP_REPLICAS": annotations["autoscaling.knative.dev/maxScale"]}
        | {"--image": app["image"], "--service-account": deployed["spec"]["serviceAccountName"]}
        | {"--set-cloudsql-instances": annotations["run.googleapis.com/cloudsql-instances"]},
    )
    for variable in app["env"]:
        if "valueFrom" in variable:
            reference = variable["valueFrom"]["secretKeyRef"]
            assert job[variable["name"]] == f"{reference['name']}:{reference['key']}"
    verbs = [call[1:4] for call in followed.calls_of("gcloud", "run")]
    assert verbs.index(["run", "jobs", "deploy"]) < verbs.index(["run", "services", "replace"])
    return followed, job


def test_cloud_run_release(project: Path):
    followed, job = follow_cloud_run(project)
    instance = job["--set-cloudsql-instances"]
    # The last secret that the page stores.
    assert followed.piped("secrets", "create") == (
        f"postgresql://app:{PASSWORD}@/app?host=/cloudsql/{instance}"
    )


def test_app_engine(project: Path):
    """Both copies of app.yaml have the URL. A job with the deployed image migrates before."""
    followed = follow_page(project, "app-engine", app_engine.COMMAND_OUTPUT | {"docker": {}})
    texts = {
        kind: (followed.folder / kind / "app.yaml").read_text(encoding="utf-8")
        for kind in ("standard", "flexible")
    }
    assert app_engine.problems(*texts.values()) == [[], []]
    documents = {kind: yaml.safe_load(text) for kind, text in texts.items()}
    (call,) = followed.calls_of("gcloud", "run", "jobs", "deploy")
    for document in documents.values():
        stored = followed.piped("secrets", "create")
        assert document["env_variables"]["DATABASE_URL"] == stored
        assert stored.startswith(f"postgresql://app:{PASSWORD}@/app?host=/cloudsql/")
        scaling = document["automatic_scaling"]
        most = scaling.get("max_instances", scaling.get("max_num_instances"))
        processes = document["env_variables"].get("WEB_CONCURRENCY", "2")
        job = check_job(call, {"APP_REPLICAS": str(most), "WEB_CONCURRENCY": processes})
    assert "cloud_sql_instances" in documents["flexible"]["beta_settings"]
    (pushed,) = followed.calls_of("docker", "push")
    (flexible,) = [call for call in followed.calls if "--image-url" in call]
    assert flexible[flexible.index("--image-url") + 1] == job["--image"] == pushed[-1]
    first = min(map(followed.calls.index, followed.calls_of("gcloud", "app", "deploy")))
    assert followed.calls.index(call) < first


def test_azure_files(original: Path):
    file = original / "deploy" / "azure" / "main.bicep"
    bicep = azure.parse(file)
    given = azure.settings(bicep)
    reference = "@Microsoft.KeyVault(VaultName=${vaultName};SecretName=database-url)"
    assert given["DATABASE_URL"] == reference
    of_app = azure.containers(bicep)["app"]["environmentVariables"]
    assert {"name": "DATABASE_URL", "value": "DATABASE_URL"} in of_app
    azure.test_rules_beyond_the_schemas(bicep)


def test_azure_release(project: Path):
    """compose.yaml's service migrates, with the vault's URL, before the deployment."""
    az = azure.COMMAND_OUTPUT["az"] | {"*' keyvault secret show '*": 'cat "$here/stored"'}
    followed = follow_page(project, "azure", {"az": az})
    assert (followed.folder / "stored").read_text(encoding="utf-8") == URL
    assert (followed.folder / "migrated").read_text(encoding="utf-8") == f"{URL}\n"
    (migrated,) = followed.calls_of("docker", "compose", "run")
    assert migrated[-1] == "migrate" and "--no-deps" in migrated
    (deployed,) = followed.calls_of("az", "deployment")
    assert followed.calls.index(migrated) < followed.calls.index(deployed)
    secrets = {path.name for path in (project / "secrets").iterdir()}
    assert secrets <= {"secret_key", "database_password", "none"}


def test_elastic_beanstalk(engine: None, project: Path):
    """Both bundles have the secret, download the authorities, and migrate."""
    folder = project / "deploy" / "elastic-beanstalk"
    arns = {"SECRET_KEY": SLUG, "DATABASE_URL": f"{SLUG}-database-url"}
    aws = {"*' create-secret '*": 'cat > "$here/stored-$4"; echo "arn:$4"'}
    eb = elastic_beanstalk.COMMAND_OUTPUT["eb"]
    # The real docker command, which reads the files without an engine.
    real = {"*": f'exec {shutil.which("docker")} "$@"'}
    followed = follow_page(project, "elastic-beanstalk", {"aws": aws, "eb": eb, "docker": real})
    assert (followed.folder / f"stored-{SLUG}-database-url").read_text(encoding="utf-8") == URL
    policies = [call[-1] for call in followed.calls_of("aws", "iam", "put-role-policy")]
    for name, policy in zip(arns.values(), policies, strict=True):
        assert f'"Resource": "arn:{name}"' in policy
    for platform in ("docker", "python"):
        bundle = project.with_name(platform)
        shutil.unpack_archive(followed.folder / f"{platform}.zip", bundle)
        found = elastic_beanstalk.settings(bundle)
        secrets = found["aws:elasticbeanstalk:application:environmentsecrets"]
        assert secrets == {name: f"arn:{stored}" for name, stored in arns.items()}
        assert "DATABASE_URL" not in found["aws:elasticbeanstalk:application:environment"]
        config = yaml.safe_load((bundle / ".ebextensions" / "service.config").read_text())
        (authorities,) = config["files"]
        assert f"{TLS}{authorities}" in (folder / "README.md").read_text(encoding="utf-8")
        files = [file for file in bundle.rglob("*") if file.is_file()]
        assert not [file for file in files if PASSWORD.encode() in file.read_bytes()]
    compose = yaml.safe_load((project.with_name("docker") / "docker-compose.yml").read_text())
    assert set(compose["services"]) == {"app", "migrate", "proxy"}
    app, migrate = compose["services"]["app"], compose["services"]["migrate"]
    assert app["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert not {"depends_on", "secrets"} & set(migrate)
    for service in (app, migrate):
        assert "DATABASE_URL=${DATABASE_URL}" in service["environment"]
        assert not [word for word in service["environment"] if "_FILE" in word]
        assert [volume["source"] for volume in service["volumes"]] == [authorities]
    python = (project.with_name("python") / ".ebextensions" / "python.config").read_text()
    command = yaml.safe_load(python)["container_commands"]["migrate"]
    assert command["leader_only"] is True
    words = shlex.split(command["command"])
    assert words[-5:] == ["python", "server/start.py", "flask", "db", "upgrade"]
    own = dict(word.split("=") for word in words if re.match(r"\w+=", word))
    assert own["FLASK_APP"] == f"{PACKAGE}.wsgi" and own["PYTHONPATH"] == "src"
    assert f"APP_REPLICAS={own['APP_REPLICAS']}" in migrate["environment"]
    assert connections(own) <= ALLOWED


def test_pythonanywhere(
    project: Path,
    client: Path,  # noqa: F811
    tmp_path: Path,
):
    """The setup and each release migrate before the web app is reloaded."""
    text = (project / "deploy" / "pythonanywhere" / "application.py").read_text(encoding="utf-8")
    assert '"DATABASE_URL": (PROJECT / "secrets" / "database_url").read_text(' in text
    followed = pythonanywhere.follow_page(project, client, tmp_path)
    calls = (followed.virtualenv / "bin" / "flask.calls").read_text(encoding="utf-8").splitlines()
    assert calls == ["--app deploy/pythonanywhere/application db upgrade"] * 2
    commands = page(project, "pythonanywhere").read_text(encoding="utf-8")
    for part in commands.split("pa webapp reload")[:2]:
        assert part.index("pip install --require-hashes") < part.index(f"bin/flask {calls[0]}")


@contextmanager
def server(
    client: docker.DockerClient,  # noqa: F811
    inside: str,
    folder: Path,
) -> Iterator[Callable[[str], str]]:
    """Run a database server "database" with a certificate; yield a function that runs a query.

    The folder gets ``authority.crt``, and ``sockets``: the server's sockets.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.crt")
    files = folder / "server"
    files.mkdir()
    certificate = authority.issue_cert("database")
    certificate.cert_chain_pems[0].write_to_path(files / "server.crt")
    certificate.private_key_pem.write_to_path(files / "server.key")
    (files / "init.sql").write_text(
        f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; CREATE DATABASE app OWNER app;",
        encoding="utf-8",
    )
    sockets = folder / "sockets"
    sockets.mkdir()
    sockets.chmod(0o777)
    # The server requires that only it can read its key.
    start = "install --owner postgres --mode 600 /server/server.key /run/key && exec"
    start += " docker-entrypoint.sh postgres -c ssl=on -c ssl_cert_file=/server/server.crt"
    start += " -c ssl_key_file=/run/key -c unix_socket_directories=/run/postgresql,/sockets"
    mounts = {
        str(files): {"bind": "/server", "mode": "ro"},
        str(files / "init.sql"): {"bind": "/docker-entrypoint-initdb.d/init.sql", "mode": "ro"},
        str(sockets): {"bind": "/sockets", "mode": "rw"},
    }
    with container(
        client,
        FACTS["_databases"][DATABASES[0]]["image"],
        command=["bash", "-c", start],
        entrypoint="",
        network=inside,
        hostname="database",
        name=f"database-{SLUG}",
        environment={"POSTGRES_PASSWORD": PASSWORD},
        volumes=mounts,
    ) as running:
        client.networks.get(inside).disconnect(running)
        client.networks.get(inside).connect(running, aliases=["database"])

        def query(statement: str) -> str:
            command = ["psql", "--username=postgres", "--dbname=app", "--tuples-only", "--no-align"]
            done = running.exec_run([*command, f"--command={statement}"])
            return done.output.decode().strip() if done.exit_code == 0 else ""

        ready = ["pg_isready", "--host=127.0.0.1", "--quiet"]
        wait_until(
            lambda: running.exec_run(ready).exit_code == 0,
            timeout=60,
            told=lambda: running.logs().decode(),
        )
        yield query


@pytest.fixture(scope="module")
def image(engine: None, original: Path) -> Iterator[str]:
    """The application's image."""
    run(["docker", "compose", "build", "app"], cwd=original)
    yield f"{SLUG}-app"
    run(["docker", "image", "rm", f"{SLUG}-app"], cwd=original)


@pytest.fixture(scope="module")
def docker_engine(engine: None) -> docker.DockerClient:
    return docker.from_env()


def test_migrations_run(
    docker_engine: docker.DockerClient,
    image: str,
    project: Path,
    tmp_path: Path,
):
    """They run in a pod of Kubernetes and in a job of Cloud Run, on one server.

    A certificate that cannot be verified is an error. The name of Cloud SQL's socket has colons.
    """
    overlay = project / kubernetes.PRODUCTION

    def job(authority: str) -> tuple[int, str]:
        """Render the Job with another authority of the certificate, as the page says; run it."""
        url = f"postgresql://app:{PASSWORD}@database/app?{TLS}{authority}"
        (overlay / "database.env").write_text(f"DATABASE_URL={url}\n", encoding="utf-8")
        manifests = kustomize(overlay)
        name = one(manifests, "Job")["spec"]["template"]["spec"]["containers"][0]["image"]
        secrets = tmp_path / "secrets"
        secrets.mkdir(exist_ok=True)
        pod = Pod(docker_engine, manifests, {name: image}, secrets, inside, volumes={})
        return pod.complete()

    with network(docker_engine) as inside, server(docker_engine, inside, tmp_path) as query:
        code, log = job("/etc/ssl/certs/ca-certificates.crt")
        assert code == 1 and "certificate verify failed" in log, log
        shutil.copy(tmp_path / "authority.crt", overlay)
        file = overlay / "kustomization.yaml"
        text = file.read_text(encoding="utf-8")
        assert text.count("files: [secret_key]") == 1
        file.write_text(text.replace("[secret_key]", "[secret_key, authority.crt]"))
        code, log = job("/run/secrets/app/authority.crt")
        assert code == 0, log
        version = "SELECT version_num FROM alembic_version"
        assert query(version) == "0001"
        query("DROP TABLE alembic_version, note")
        followed, options = follow_cloud_run(project)
        environment: dict[str, Any] = {
            name: value for name, value in options.items() if re.fullmatch("[A-Z_]+", name)
        }
        environment["SECRET_KEY"] = "a-key"  # noqa: S105
        environment["DATABASE_URL"] = followed.piped("secrets", "create")
        socket = f"/cloudsql/{options['--set-cloudsql-instances']}"
        with container(
            docker_engine,
            image,
            command=options["--args"].split(","),
            environment=environment,
            mounts=[
                docker.types.Mount(socket, str(tmp_path / "sockets"), type="bind", read_only=True)
            ],
        ) as running:
            assert running.wait()["StatusCode"] == 0, running.logs().decode()
        assert query(version) == "0001"


@pytest.mark.serial
def test_swarm_migrates(
    docker_engine: docker.DockerClient,
    image: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """The page's commands start the database and migrate, also in a second release."""
    service = swarm.Service(docker_engine, project, free_port())
    service.change(swarm.shorten)
    run(["git", "init", "--quiet"], cwd=project)
    monkeypatch.setenv("PUBLISH_PORT", str(service.port))
    monkeypatch.setenv("TRUSTED_HOSTS", "127.0.0.1")

    def migrations() -> list[str]:
        """Return the exit codes of the migrations' containers."""
        return [str(each.wait()["StatusCode"]) for each in service.containers("migrate")]

    try:
        swarm.initialize(docker_engine)
        service.follow("Set up, once")
        service.release()
        assert migrations()[0] == "0"
        wait_until(lambda: ask(f"{service.url}/notes").status == 200, timeout=20)
        assert service.attributes("migrate")["JobStatus"]["JobIteration"].get("Index", 0) == 0
        service.release()
        assert service.attributes("migrate")["JobStatus"]["JobIteration"]["Index"] > 0
        assert ask(f"{service.url}/notes").status == 200
    finally:
        swarm.remove(service)
        wait_until(lambda: removed(docker_engine, f"{service.name}_database"), timeout=30)
        docker_engine.images.remove(f"{SLUG}-proxy")


def removed(client: docker.DockerClient, volume: str) -> bool:  # noqa: F811
    """Remove a volume; return whether it is gone: the last container keeps it for a moment."""
    try:
        client.volumes.get(volume).remove()
    except docker.errors.NotFound:
        return True
    except docker.errors.APIError:
        pass
    return False
