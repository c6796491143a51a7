"""Alternatives for comparison: the settings of three other templates, and a server alone.

Only their settings are used, not their code: each serves the same plain application with the same
releases. Traffic that their Compose projects send over a network uses loopback here, which is an
advantage.
"""

import os
from dataclasses import dataclass

from tests.lib.template import PAIRS, Pair

from .served import Setup, documented

CPUS = os.cpu_count() or 1


@dataclass(frozen=True)
class Alternative:
    """How another project serves an application."""

    # The name, with processes x threads.
    title: str
    # The pair whose image provides the interpreter and the packages.
    pair: Pair
    setup: Setup


ALTERNATIVES = {
    # gunicorn -w 4 behind nginx: the default pair's baseline.
    "flask-documentation": Alternative(
        "Flask's documentation, 4 x 1", PAIRS[0], documented(PAIRS[0])
    ),
    "granian-alone": Alternative(
        "Granian alone, 1 x 1",
        Pair("granian", "nginx"),
        Setup(("granian", "--interface", "wsgi", "hello:app")),
    ),
    # tiangolo/uwsgi-nginx-flask: one nginx process and 2 to 16 uWSGI processes in one container,
    # hence the limit of 2 CPUs. A Unix socket connects them; both log each request.
    "tiangolo": Alternative(
        "tiangolo/uwsgi-nginx-flask, 2 to 16 x 1",
        Pair("uwsgi", "nginx"),
        Setup(
            (
                *("uwsgi", "--socket", "/shared/uwsgi.sock", "--chmod-socket=666"),
                *("--cheaper", "2", "--processes", "16", "--module", "hello:app"),
            ),
            proxy="nginx",
            configuration=(
                "server {",
                "    listen 80;",
                "    location / { try_files $uri @app; }",
                "    location @app {",
                "        include uwsgi_params;",
                "        uwsgi_pass unix:/shared/uwsgi.sock;",
                "    }",
                "    client_max_body_size 0;",
                "}",
            ),
            cpus=2.0,
        ),
    ),
    # nickjj/docker-flask-example: Gunicorn without a proxy, two single-threaded processes for each
    # of the machine's CPUs, and an access log.
    "nickjj": Alternative(
        f"nickjj/docker-flask-example, {2 * CPUS} x 1",
        Pair("gunicorn", "nginx"),
        Setup(
            (
                *("gunicorn", "--bind", "0.0.0.0:8000", "--access-logfile", "-"),
                *("--workers", str(2 * CPUS), "--threads", "1"),
                *("--timeout", "120", "hello:app"),
            ),
        ),
    ),
    # docker/awesome-compose, nginx-wsgi-flask: three Gunicorn processes behind nginx, which opens a
    # connection for each request, compresses responses, and logs upstream status and times.
    "awesome-compose": Alternative(
        "docker/awesome-compose, 3 x 1",
        Pair("gunicorn", "nginx"),
        Setup(
            ("gunicorn", "-w", "3", "-t", "60", "-b", "127.0.0.1:8000", "hello:app"),
            proxy="nginx",
            configuration=(
                "log_format extended",
                "    '$remote_addr - $remote_user [$time_local] \"$request\" $status '",
                '    \'$body_bytes_sent "$http_referer" "$http_user_agent" \'',
                '    \'"$http_x_forwarded_for" "$host" $server_name $request_time \'',
                "    '$upstream_addr $upstream_status $upstream_response_time '",
                "    '$upstream_response_length $upstream_cache_status';",
                "gzip on;",
                "server_tokens off;",
                "server {",
                "    listen 80;",
                "    access_log /var/log/nginx/access.log extended;",
                "    location / {",
                "        proxy_pass http://127.0.0.1:8000;",
                "        proxy_set_header Host $host;",
                "        proxy_set_header X-Real-IP $remote_addr;",
                "        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
                "    }",
                "}",
            ),
        ),
    ),
}
