"""Projects of owners: what each has edited, and what it declares in contract.toml."""

from dataclasses import dataclass
from pathlib import Path

from tests.lib.template import Pair, generate

NGINX = "proxy/etc/nginx/templates/nginx.conf.template"
HTTPD = "proxy/usr/local/apache2/conf/httpd.conf"


@dataclass(frozen=True)
class Edit:
    """A change of a file. Without ``old``, the file is new."""

    file: str
    old: str
    new: str

    def make(self, project: Path) -> None:
        """Change the file; each occurrence of ``old`` is replaced."""
        path = project / self.file
        if not self.old:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.new, encoding="utf-8")
            return
        text = path.read_text(encoding="utf-8")
        assert self.old in text, f"{self.file} has no {self.old!r}"
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True)
class Owner:
    """A project with its owner's edits."""

    name: str
    pair: Pair
    edits: tuple[Edit, ...]
    # The tests that fail because of the edits, with their reason.
    different: tuple[str, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        return self.name

    def make(self, into: Path) -> Path:
        """Generate the project, edit it, and write its contract.toml; return its folder."""
        project = generate(
            into,
            project_name=self.name,
            wsgi_server=self.pair.server,
            proxy=self.pair.proxy,
            package_name="shop",
        )
        for edit in self.edits:
            edit.make(project)
        if self.different:
            tests = "".join(f"    {test!r},\n" for test in self.different)
            text = f"[[different]]\ntests = [\n{tests}]\nreason = {self.reason!r}\n"
            (project / "contract.toml").write_text(text, encoding="utf-8")
        return project


LARGER_UPLOADS = Owner(
    "Larger uploads",
    Pair("gunicorn", "nginx"),
    (
        Edit(
            "compose.yaml",
            "MAX_CONTENT_LENGTH: ${MAX_CONTENT_LENGTH:-10485760}",
            "MAX_CONTENT_LENGTH: ${MAX_CONTENT_LENGTH:-20971520}",
        ),
        Edit(
            "compose.yaml",
            "      MAX_CONTENT_LENGTH:\n",
            "      MAX_CONTENT_LENGTH: ${MAX_CONTENT_LENGTH:-20971520}\n",
        ),
    ),
    (
        "test_bodies.py::test_length_over_the_limit_is_refused_at_once[Accept: */*]",
        "test_bodies.py::test_length_over_the_limit_is_refused_at_once[Expect: 100-continue]",
        "test_bodies.py::test_body_over_the_limit[False]",
        "test_bodies.py::test_body_over_the_limit[True]",
        "test_limits.py::test_limit_of_a_request[with_body-10485760-413]",
    ),
    "Uploads may have 20 MB.",
)
ROBOTS = Owner(
    "A location",
    Pair("waitress", "apache"),
    (
        Edit("proxy/srv/robots.txt", "", "User-agent: *\nDisallow:\n"),
        Edit(
            HTTPD,
            "ProxyPass /health/proxy !\n",
            "ProxyPass /health/proxy !\n"
            "Alias /robots.txt /srv/robots.txt\n"
            "<Location /robots.txt>\n    Require all granted\n</Location>\n"
            "ProxyPass /robots.txt !\n",
        ),
    ),
)
WORKER_CLASS = Owner(
    "Another worker class",
    Pair("gunicorn", "apache"),
    (
        Edit("server/gunicorn.conf.py", 'worker_class = "gthread"', 'worker_class = "sync"'),
        # With more threads, Gunicorn would use gthread.
        Edit("server/gunicorn.conf.py", 'threads = int(os.environ["WEB_THREADS"])', "threads = 1"),
    ),
    (
        "test_connections.py::test_connections_to_the_application_are_kept",
        "test_corpus.py::test_request[found/failure-*-a-length-of-0]",
        "test_corpus.py::test_request[found/response-fails-after-its-length*]",
        # Three clients for two workers: it depends on how much of a response the kernel buffers.
        "test_files.py::test_slow_readers*",
        "test_settings.py::test_many_threads",
        "test_sockets.py::test_idle",
        "test_sockets.py::test_stop_with_open_sockets[all]",
    ),
    "Synchronous workers keep no connections, have one thread, and close WebSockets differently.",
)
OWNERS = (LARGER_UPLOADS, ROBOTS, WORKER_CLASS)


# Harmful edits, each with the start of the name of a test that must fail because of it.
FAULTS = (
    (Edit(NGINX, 'proxy_set_header Forwarded "";', ""), "test_forwarding.py::"),
    (Edit("compose.yaml", "  read_only: true\n", ""), "test_hardening.py::"),
    (Edit(NGINX, '"~^(?:!|-$)" DENY;', "default DENY;"), "test_headers.py::"),
    (Edit(NGINX, "proxy_buffer_size 64k;", ""), "test_limits.py::"),
    (Edit(NGINX, '"uri":"$logged_uri"', '"uri":"$request_uri"'), "test_logs.py::"),
)
