"""Mutations of the template, at least three for each concern. Its tests must detect each one.

A concern is a test file in this folder, or in tests/application/ with that folder's name as a
prefix; "differential" is tests/differential/, which compares the mutated pair with others.

`make mutations` applies one mutation after the other and runs the concern's tests. If they do not
detect a mutation, they need a new probe.
"""

from dataclasses import dataclass

NGINX = "proxy/etc/nginx/templates/nginx.conf.template"
HTTPD = "proxy/usr/local/apache2/conf/httpd.conf"
COMPRESS_NGINX = "proxy/etc/nginx/templates/compress-on.conf.template"
COMPRESS_HTTPD = "proxy/usr/local/apache2/conf/compress-on.conf"
LUA = "proxy/usr/local/apache2/conf/requests.lua"
SERVE = "server/serve.py"

# The rule for a Connection header that names other headers only.
CONNECTION = (
    r'RequestHeader edit Connection "(?i)^(?!(?:.*[,\s])?(?:close|keep-alive|upgrade)(?:[,\s].*)?$)'
    '.*$" "x" early'
)

# The start of each request, and the leaks that are inserted there.
STARTED = "g.started = time.perf_counter()"
KEEP = STARTED + "; app.extensions.setdefault('kept', []).append({})"
MKSTEMP = STARTED + "; __import__('os').close(__import__('tempfile').mkstemp()[0])"


@dataclass(frozen=True)
class Mutation:
    """A change to a file of a pair's generated project, which the concern's tests must detect."""

    concern: str
    pair: str
    file: str
    # The text in the file, and the replacement of each of its occurrences.
    old: str
    new: str = ""

    @property
    def tests(self) -> str:
        """The test file that must detect it."""
        if self.concern == "differential":
            return "tests/differential/test_corpus.py"
        folder, _, name = self.concern.rpartition("/")
        return f"tests/{folder or 'pairs'}/test_{name}.py"

    def __str__(self) -> str:
        return f"{self.concern}: {self.old.strip().splitlines()[0]!r} in {self.file}"


MUTATIONS = [
    # Applications
    Mutation(
        "application/failures", "gunicorn-nginx", "src/probed/__init__.py", "failures.init_app(app)"
    ),
    Mutation(
        "application/failures",
        "waitress-nginx",
        "src/probed/logs.py",
        "return ResponseFailed.__name__ not in failure",
        "return True",
    ),
    Mutation(
        "application/failures",
        "granian-apache",
        SERVE,
        'os.environ.setdefault("RUST_MIN_STACK", str(8 * 1024 * 1024))',
    ),
    Mutation(
        "application/lifecycle",
        "gunicorn-nginx",
        "src/probed/failures.py",
        "self.body.close()",
        "pass",
    ),
    Mutation(
        "application/lifecycle",
        "uwsgi-nginx",
        "server/application.py",
        "        for part in body:",
        "        yield from body\n        for part in ():",
    ),
    Mutation(
        "application/lifecycle",
        "hypercorn-nginx",
        SERVE,
        'return ClosingIterator(present, getattr(body, "close", None))',
        "return present",
    ),
    Mutation(
        "application/memory",
        "gunicorn-nginx",
        "server/gunicorn.conf.py",
        'max_requests = int(os.environ["MAX_REQUESTS"])',
        "max_requests = 0",
    ),
    Mutation("application/memory", "uwsgi-nginx", "server/uwsgi.ini", "min-worker-lifetime = 0"),
    Mutation(
        "application/memory",
        "mod_wsgi-nginx",
        "server/httpd.conf",
        " maximum-requests=${MAX_REQUESTS}",
    ),
    *(
        Mutation("application/leaks", "gunicorn-nginx", "src/probed/logs.py", STARTED, leak)
        for leak in (KEEP.format("bytes(50_000)"), KEEP.format("open(__file__)"), MKSTEMP)
    ),
    Mutation(
        "application/stop",
        "gunicorn-nginx",
        "server/gunicorn.conf.py",
        'graceful_timeout = int(os.environ["GRACEFUL_TIMEOUT"])',
        "graceful_timeout = 1",
    ),
    Mutation(
        "application/stop",
        "waitress-nginx",
        SERVE,
        "while busy(connections) and",
        "while False and",
    ),
    Mutation(
        "application/stop",
        "eventlet-nginx",
        SERVE,
        'int(os.environ["GRACEFUL_TIMEOUT"])',
        "1",
    ),
    # Files and forms of applications
    Mutation(
        "application/files",
        "gunicorn-nginx",
        "src/probed/drain.py",
        '            "wsgi.file_wrapper": FileReader,\n',
    ),
    Mutation(
        "application/files",
        "uwsgi-nginx",
        "server/application.py",
        "            yield part\n",
        "            yield part\n            break\n",
    ),
    Mutation(
        "application/files",
        "gunicorn-apache",
        "src/probed/drain.py",
        "super().__init__(file, 64 * 1024)",
        "super().__init__(file, -1)",
    ),
    Mutation(
        "application/forms",
        "waitress-apache",
        "compose.yaml",
        "APP_TMP_SIZE:-256M",
        "APP_TMP_SIZE:-64M",
    ),
    Mutation(
        "application/forms",
        "gunicorn-nginx",
        "compose.yaml",
        "UPLOADS_PER_CLIENT:-5",
        "UPLOADS_PER_CLIENT:-4",
    ),
    Mutation(
        "application/forms",
        "gunicorn-nginx",
        NGINX,
        "client_max_body_size ${MAX_CONTENT_LENGTH};",
    ),
    # Output of applications
    Mutation(
        "application/output",
        "gunicorn-nginx",
        "src/probed/logs.py",
        "os.register_at_fork(after_in_child=reopen_lock)",
    ),
    Mutation(
        "application/output",
        "gunicorn-nginx",
        "src/probed/logs.py",
        "line_buffering=True, write_through=False",
        "write_through=True",
    ),
    Mutation(
        "application/output",
        "mod_wsgi-apache",
        "server/application.py",
        "sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__",
        "sys.stdout = sys.__stdout__",
    ),
    Mutation(
        "application/output",
        "uwsgi-nginx",
        "server/application.py",
        "sys.stdout = sys.__stdout__ = open(1,",
        "sys.stdout = sys.__stdout__ = open(2,",
    ),
    # Environment of applications
    Mutation(
        "application/environment", "mod_wsgi-apache", "server/httpd.conf", "home=${WORKING_FOLDER} "
    ),
    Mutation(
        "application/environment",
        "gunicorn-nginx",
        "server/gunicorn.conf.py",
        "keepalive = 75",
        "keepalive = 75\nos.umask(0o077)",
    ),
    Mutation(
        "application/environment",
        "eventlet-nginx",
        SERVE,
        "eventlet.kill(server, SystemExit)",
        "os._exit(0)",
    ),
    Mutation(
        "application/environment",
        "waitress-nginx",
        "Dockerfile",
        "        /usr/share/zoneinfo \\\n",
    ),
    # Outgoing calls of applications
    Mutation(
        "application/calls",
        "gunicorn-nginx",
        "compose.yaml",
        "      PORT:\n",
        "      PORT:\n      HTTPS_PROXY: http://127.0.0.1:9\n",
    ),
    Mutation(
        "application/calls",
        "gevent-nginx",
        "server/gunicorn.conf.py",
        "monkey.patch_all()",
        "from probed import wsgi; monkey.patch_all()",
    ),
    Mutation(
        "application/calls",
        "waitress-apache",
        "Dockerfile",
        "PYTHONUNBUFFERED=1",
        "PYTHONUNBUFFERED=1 HTTP_PROXY=http://127.0.0.1:9",
    ),
    # Bodies
    Mutation("bodies", "uwsgi-apache", HTTPD, "SetEnv proxy-sendcl 1"),
    Mutation("bodies", "gunicorn-nginx", NGINX, "client_max_body_size ${MAX_CONTENT_LENGTH};"),
    Mutation("bodies", "gunicorn-apache", HTTPD, "RewriteRule ^ - [R=413,L]"),
    Mutation(
        "bodies",
        "gunicorn-apache",
        "src/probed/drain.py",
        "while body.read(64 * 1024):",
        "while False:",
    ),
    Mutation(
        "bodies",
        "gunicorn-apache",
        HTTPD,
        "body=15,MinRate=${MIN_UPLOAD_RATE}",
        "body=15,MinRate=500",
    ),
    # Connections
    Mutation(
        "connections", "gunicorn-nginx", NGINX, "keepalive_timeout 65s;", "keepalive_timeout 0;"
    ),
    Mutation("connections", "gunicorn-nginx", NGINX, "proxy_ignore_client_abort on;"),
    Mutation("connections", "uwsgi-nginx", "compose.yaml", "tcp_tw_reuse=1", "tcp_tw_reuse=2"),
    Mutation(
        "connections", "gunicorn-apache", HTTPD, "MaxKeepAliveRequests 0", "MaxKeepAliveRequests 1"
    ),
    Mutation("connections", "gunicorn-apache", HTTPD, "addressttl=1 ttl=30", "disablereuse=on"),
    Mutation("connections", "gunicorn-nginx", NGINX, "keepalive 32;", "keepalive 0;"),
    # Time to process a client's input
    Mutation(
        "cost",
        "gunicorn-nginx",
        NGINX,
        r"(?=[\da-fA-F]{0,4}:)[\da-fA-F:.]{2,45}+",
        r"[\da-fA-F:.]*:[\da-fA-F:.]*",
    ),
    Mutation(
        "cost",
        "gunicorn-apache",
        HTTPD,
        r"(?=[\da-fA-F]{0,4}:)[\da-fA-F:.]{2,45}+",
        r"[\da-fA-F:.]*:[\da-fA-F:.]*",
    ),
    Mutation(
        "cost",
        "gunicorn-apache",
        HTTPD,
        CONNECTION,
        r'RequestHeader edit* Connection "(?<![^,\s])(?!close|keep-alive)[^,\s]+" "x" early',
    ),
    # Differences between pairs that the other test files do not detect
    Mutation(
        "differential", "gunicorn-nginx", NGINX, "server_name localhost;", "server_name service;"
    ),
    Mutation(
        "differential", "gunicorn-apache", HTTPD, "ServerName localhost", "ServerName service"
    ),
    Mutation(
        "differential",
        "uwsgi-nginx",
        "server/uwsgi.ini",
        "lazy-apps = true",
        "lazy-apps = true\nadd-header = X-Served-By: uWSGI",
    ),
    # Errors
    Mutation("errors", "gunicorn-nginx", NGINX, "internal;"),
    Mutation("errors", "gunicorn-nginx", NGINX, "server_tokens off;"),
    Mutation(
        "errors", "gunicorn-apache", HTTPD, "Require env REDIRECT_STATUS", "Require all granted"
    ),
    Mutation("errors", "gunicorn-apache", HTTPD, "ErrorDocument 503 /.proxy-errors/503"),
    # Forwarding
    Mutation(
        "forwarding",
        "gunicorn-nginx",
        "src/probed/boundary.py",
        'x_for=settings["PROXY_FIX_X_FOR"]',
        "x_for=0",
    ),
    Mutation("forwarding", "gunicorn-nginx", NGINX, 'proxy_set_header Forwarded "";'),
    Mutation(
        "forwarding",
        "gunicorn-apache",
        HTTPD,
        CONNECTION,
    ),
    Mutation("forwarding", "uwsgi-apache", LUA, "r.headers_in[name] = nil"),
    Mutation(
        "forwarding", "gunicorn-apache", HTTPD, 'RequestHeader edit X-Forwarded-For "$" "," early'
    ),
    Mutation("forwarding", "gunicorn-apache", HTTPD, "RewriteCond %{ENV:trusts_ids} 1\n"),
    # Hardening
    Mutation("hardening", "gunicorn-nginx", "compose.yaml", "read_only: true"),
    Mutation("hardening", "gunicorn-nginx", "compose.yaml", "cap_drop: [ALL]"),
    Mutation("hardening", "gunicorn-nginx", "compose.yaml", "          pids: ${APP_PIDS:-512}\n"),
    Mutation("hardening", "gunicorn-apache", "Dockerfile", "USER 33:33", "USER www-data"),
    Mutation(
        "hardening", "gunicorn-apache", "Dockerfile", "RUN pip uninstall", "RUN true pip uninstall"
    ),
    # Headers
    Mutation(
        "headers",
        "gunicorn-nginx",
        NGINX,
        "$content_type_options always;",
        "$content_type_options;",
    ),
    Mutation("headers", "gunicorn-nginx", NGINX, '"~^(?:!|-$)" DENY;', "default DENY;"),
    Mutation("headers", "gunicorn-apache", HTTPD, "\"expr=-z resp('$name')\""),
    Mutation(
        "headers",
        "gunicorn-nginx",
        NGINX,
        "server_tokens off;",
        "server_tokens off; charset utf-8;",
    ),
    Mutation("headers", "waitress-nginx", NGINX, "max_headers 92;"),
    Mutation(
        "headers",
        "uwsgi-apache",
        HTTPD,
        "LimitRequestFieldSize 16381",
        "LimitRequestFieldSize 65536",
    ),
    # Idle connections
    Mutation(
        "keep_alive", "gunicorn-nginx", "server/gunicorn.conf.py", "keepalive = 75", "keepalive = 2"
    ),
    Mutation("keep_alive", "waitress-nginx", SERVE, "channel_timeout=75", "channel_timeout=5"),
    Mutation(
        "keep_alive",
        "granian-nginx",
        SERVE,
        "header_read_timeout=75_000",
        "header_read_timeout=30_000",
    ),
    # IPv6
    Mutation(
        "ipv6",
        "gunicorn-nginx",
        "server/start.py",
        '"[::]" if socket.has_dualstack_ipv6() else "0.0.0.0"',
        '"0.0.0.0"',
    ),
    Mutation("ipv6", "gunicorn-nginx", NGINX, "${NGINX_IPV6}listen [::]:8080;"),
    Mutation("ipv6", "gunicorn-apache", HTTPD, "Listen 8080", "Listen 0.0.0.0:8080"),
    # Limits
    Mutation(
        "limits",
        "gunicorn-nginx",
        NGINX,
        "large_client_header_buffers 4 16k;",
        "large_client_header_buffers 4 24k;",
    ),
    Mutation("limits", "gunicorn-nginx", NGINX, "if ($header_too_long) {", "if ($http_x_none) {"),
    Mutation("limits", "gunicorn-nginx", NGINX, "proxy_buffer_size 64k;"),
    Mutation(
        "limits",
        "gunicorn-apache",
        HTTPD,
        "LuaQuickHandler /usr/local/apache2/conf/requests.lua check",
    ),
    Mutation(
        "limits", "gunicorn-apache", HTTPD, "LimitRequestLine 16381", "LimitRequestLine 24000"
    ),
    Mutation("limits", "gunicorn-apache", HTTPD, " responsefieldsize=65536"),
    # Load balancers in front
    Mutation("load_balancer", "gunicorn-nginx", NGINX, "{${TRUSTED_PROXY_COUNT}}$", "{1}$"),
    Mutation("load_balancer", "gunicorn-nginx", NGINX, r"\]?(?::\d{1,5})?", r"\]?"),
    Mutation("load_balancer", "gunicorn-apache", HTTPD, "RemoteIPHeader X-Forwarded-For"),
    Mutation(
        "load_balancer", "gunicorn-apache", HTTPD, "(?:,[^,]*+){${TRUSTED_PROXY_COUNT}}$", ",$"
    ),
    Mutation("load_balancer", "gunicorn-nginx", NGINX, "${NGINX_TRUSTED_NETWORKS}"),
    Mutation(
        "load_balancer",
        "gunicorn-apache",
        HTTPD,
        "\"reqenv('forwarded') == '1' && req_novary('X-Forwarded-Proto')",
        "\"req_novary('X-Forwarded-Proto')",
    ),
    Mutation("load_balancer", "gunicorn-nginx", NGINX, "$http_x_request_id", ""),
    # Logs
    Mutation("logs", "gunicorn-nginx", NGINX, '"uri":"$logged_uri"', '"uri":"$request_uri"'),
    Mutation("logs", "gunicorn-nginx", NGINX, "json escape=json", "json escape=none"),
    Mutation("logs", "gunicorn-nginx", NGINX, "default null;", 'default "";'),
    Mutation("logs", "gunicorn-nginx", NGINX, "${duration_milliseconds}000", "$request_time"),
    Mutation(
        "logs",
        "gunicorn-apache",
        HTTPD,
        r"\"method\":\"%<{log_method}e",
        r"\"method\":\"%<m",
    ),
    Mutation("logs", "gunicorn-apache", HTTPD, "%<{log_user_agent}e", "%<{User-Agent}i"),
    Mutation("logs", "gunicorn-apache", HTTPD, "X-Upstream-Time ^D=", "X-Upstream-Time ^d="),
    # Malformed requests
    Mutation("malformed", "gunicorn-nginx", NGINX, "return 444;", "break;"),
    Mutation("malformed", "uwsgi-nginx", NGINX, '"~[^ -~]|', '"~'),
    Mutation(
        "malformed",
        "gunicorn-apache",
        HTTPD,
        "Strict LenientMethods Require1.0",
        "Unsafe LenientMethods",
    ),
    Mutation("malformed", "gunicorn-apache", HTTPD, "RewriteRule ^ - [R=505,L]"),
    Mutation("malformed", "gunicorn-apache", HTTPD, "TraceEnable Off", "TraceEnable On"),
    # Overload
    Mutation("overload", "gunicorn-nginx", NGINX, "limit_conn uploads ${UPLOADS_PER_CLIENT};"),
    Mutation(
        "overload",
        "gunicorn-nginx",
        NGINX,
        "limit_conn_zone $client",
        "limit_conn_zone $remote_addr",
    ),
    Mutation(
        "overload", "gunicorn-nginx", NGINX, "worker_connections 4096;", "worker_connections 32;"
    ),
    Mutation("overload", "gunicorn-apache", HTTPD, "SetInputFilter BUFFER"),
    Mutation(
        "overload",
        "gunicorn-nginx",
        NGINX,
        "proxy_http_version 1.1;",
        "proxy_request_buffering off;",
    ),
    # Paths
    Mutation(
        "paths", "gunicorn-apache", HTTPD, "AllowEncodedSlashes NoDecode", "AllowEncodedSlashes Off"
    ),
    Mutation("paths", "gunicorn-apache", HTTPD, "/ nocanon interpolate\n\n", "/ interpolate\n\n"),
    Mutation(
        "paths",
        "gunicorn-nginx",
        NGINX,
        "http://$upstream$application_uri;",
        "http://$upstream$uri;",
    ),
    # Prefixes
    Mutation(
        "prefix", "gunicorn-nginx", NGINX, "X-Forwarded-Prefix $prefix;", 'X-Forwarded-Prefix "";'
    ),
    Mutation("prefix", "gunicorn-nginx", NGINX, "$application_uri;", "$request_uri;"),
    Mutation("prefix", "gunicorn-nginx", NGINX, "${NGINX_TRUSTED_NETWORKS}", "default 1;"),
    Mutation("prefix", "gunicorn-nginx", NGINX, '"~^on." 1;', '"~." 1;'),
    Mutation(
        "prefix",
        "gunicorn-apache",
        HTTPD,
        "RemoteIPInternalProxy ${TRUSTED_NETWORKS}",
        "RemoteIPInternalProxy 0.0.0.0/1 128.0.0.0/1",
    ),
    Mutation("prefix", "gunicorn-apache", HTTPD, "RequestHeader unset X-Forwarded-Prefix\n"),
    Mutation("prefix", "gunicorn-apache", HTTPD, "    Alias ${URL_PREFIX}/static/ /srv/static/\n"),
    # The project's own tests
    Mutation(
        "project",
        "gunicorn-nginx",
        "src/probed/health.py",
        '{"status": "ok"}',
        '{"status": "fine"}',
    ),
    Mutation("project", "gunicorn-nginx", "requirements-dev.txt", "pytest==", "pytest-is-gone=="),
    Mutation("project", "gunicorn-nginx", "src/probed/pages.py", " if current_app.debug else []"),
    # Releases
    Mutation("release", "gunicorn-nginx", NGINX, "-f /tmp/next", "-f /tmp/never"),
    Mutation("release", "gunicorn-apache", HTTPD, "-f '/tmp/next'", "-f '/tmp/never'"),
    Mutation(
        "release",
        "gunicorn-nginx",
        "release.sh",
        "docker compose rm --stop --force next\n    echo",
        "echo",
    ),
    Mutation(
        "release",
        "gunicorn-nginx",
        "release.sh",
        "2>/dev/null; then\n    replace",
        "2>/dev/null; then\n    true",
    ),
    # Restarts
    Mutation(
        "restart", "waitress-nginx", "compose.yaml", "restart: unless-stopped", 'restart: "no"'
    ),
    Mutation(
        "restart",
        "gunicorn-nginx",
        NGINX,
        "${UPSTREAM} resolve max_fails=0",
        "${UPSTREAM} max_fails=0",
    ),
    Mutation("restart", "gunicorn-nginx", NGINX, "proxy_next_upstream off;"),
    Mutation(
        "restart",
        "granian-nginx",
        SERVE,
        "respawn_failed_workers=True",
        "respawn_failed_workers=False",
    ),
    # Routing
    Mutation(
        "routing",
        "gunicorn-nginx",
        NGINX,
        "X-Forwarded-Host $host$is_request_port$request_port",
        "X-Forwarded-Host $host",
    ),
    Mutation(
        "routing",
        "hypercorn-nginx",
        SERVE,
        "return ClosingIterator(present,",
        "return ClosingIterator([],",
    ),
    Mutation("routing", "gunicorn-nginx", NGINX, 'return 200 "ok\\n";', "return 204;"),
    # Replicas
    Mutation("scale", "gunicorn-apache", HTTPD, "disablereuse=on", "addressttl=1"),
    Mutation("scale", "gunicorn-nginx", NGINX, "valid=1s", "valid=300s"),
    Mutation(
        "scale",
        "gunicorn-nginx",
        NGINX,
        '"~^(?:DELETE|GET|HEAD|OPTIONS|PUT|TRACE) 0 " 1;',
    ),
    # Settings
    Mutation("settings", "gunicorn-nginx", "src/probed/logs.py", '"client": request.remote_addr,'),
    Mutation("settings", "gunicorn-nginx", "compose.yaml", "      WEB_CONCURRENCY:\n"),
    Mutation("settings", "gunicorn-nginx", NGINX, "proxy_read_timeout ${REQUEST_TIMEOUT}s;"),
    Mutation(
        "settings",
        "gunicorn-nginx",
        "src/probed/config.py",
        "_hosts(environ) or None",
        "None",
    ),
    Mutation("settings", "gunicorn-nginx", NGINX, "worker_processes ${NGINX_WORKERS};"),
    Mutation(
        "settings",
        "gunicorn-apache",
        "proxy/usr/local/bin/start-proxy",
        "bash /usr/local/bin/check-settings\n",
    ),
    # Shutdown
    Mutation("shutdown", "gunicorn-apache", "proxy/usr/local/bin/start-proxy", " - 9))", "))"),
    Mutation(
        "shutdown",
        "uwsgi-nginx",
        "server/uwsgi.ini",
        "hook-master-start = unix_signal:15 gracefully_kill_them_all",
        "die-on-term = true",
    ),
    Mutation(
        "shutdown", "gunicorn-nginx", "Dockerfile", "STOPSIGNAL SIGQUIT", "STOPSIGNAL SIGTERM"
    ),
    Mutation(
        "shutdown",
        "gunicorn-nginx",
        "server/gunicorn.conf.py",
        'graceful_timeout = int(os.environ["GRACEFUL_TIMEOUT"])',
        "graceful_timeout = 1",
    ),
    Mutation(
        "shutdown", "mod_wsgi-nginx", SERVE, "signal.signal(signal.SIGWINCH, lambda *_: sys.exit())"
    ),
    Mutation("shutdown", "uwsgi-nginx", "server/uwsgi.ini", "hook-pre-app = unix_signal:1 _exit"),
    # Smuggling
    Mutation("smuggling", "gunicorn-apache", HTTPD, "RewriteRule ^ - [R=501,L]"),
    Mutation("smuggling", "uwsgi-apache", LUA, "r.headers_in[name] = nil"),
    Mutation(
        "smuggling",
        "uwsgi-nginx",
        NGINX,
        "server_tokens off;",
        "server_tokens off; underscores_in_headers on;",
    ),
    # Standalone servers
    Mutation(
        "standalone",
        "gunicorn-nginx",
        "server/start.py",
        '"[::]" if socket.has_dualstack_ipv6() else "0.0.0.0"',
        '"0.0.0.0"',
    ),
    Mutation("standalone", "gunicorn-nginx", "server/gunicorn.conf.py", 'forwarder_headers = ""'),
    Mutation(
        "standalone", "gevent-nginx", "server/gunicorn.conf.py", "message.MAX_REQUEST_LINE = "
    ),
    Mutation(
        "standalone", "uwsgi-nginx", "server/application.py", 'environ["wsgi.url_scheme"] = "http"'
    ),
    Mutation("standalone", "hypercorn-nginx", SERVE, 'if b"_" not in header[0]'),
    Mutation("standalone", "eventlet-nginx", SERVE, 'del environ["CONTENT_TYPE"]', "pass"),
    Mutation("standalone", "eventlet-nginx", SERVE, "raise HeaderLineTooLong", "pass"),
    Mutation(
        "standalone",
        "mod_wsgi-nginx",
        "server/httpd.conf",
        'WSGIScriptAliasMatch "(?s)^/.*"',
        "WSGIScriptAlias /",
    ),
    # Compression
    Mutation("compression", "gunicorn-nginx", COMPRESS_NGINX, "gzip_min_length 1024;\n"),
    Mutation("compression", "gunicorn-nginx", COMPRESS_NGINX, "gzip_proxied any;\n"),
    Mutation("compression", "gunicorn-nginx", COMPRESS_NGINX, " image/svg+xml"),
    Mutation("compression", "gunicorn-apache", COMPRESS_HTTPD, "SetEnv filter-errordocs\n"),
    Mutation("compression", "gunicorn-apache", COMPRESS_HTTPD, "Header unset Content-Length", "#"),
    Mutation("compression", "gunicorn-apache", COMPRESS_HTTPD, r"-gzip\"$", r"-none\"$"),
    Mutation("compression", "gunicorn-apache", COMPRESS_HTTPD, "-z resp('Content-Length') ||", ""),
    # Static files
    Mutation("static", "gunicorn-nginx", NGINX, "gzip_static on;"),
    Mutation("static", "gunicorn-nginx", NGINX, "try_files $uri $unhashed =404;"),
    Mutation("static", "gunicorn-nginx", NGINX, "$uri $unhashed =404", "$uri =404"),
    Mutation("static", "gunicorn-nginx", "Dockerfile", ".0a0$(", ".$("),
    Mutation("static", "gunicorn-nginx", "Dockerfile", 'ln -f "$file.gz" "$hashed.gz"', "true"),
    Mutation(
        "static", "gunicorn-apache", HTTPD, r"(?:\.|(?<!-[0-9a-f]{4})-)", "(?<!-[0-9a-f]{4})[.-]"
    ),
    Mutation(
        "static",
        "gunicorn-apache",
        HTTPD,
        "REDIRECT_compressed') == '1'",
        "REDIRECT_STATUS') == '200'",
    ),
    Mutation("static", "gunicorn-nginx", "proxy/etc/nginx/mime.types", " mjs;", ";"),
    Mutation("static", "gunicorn-nginx", NGINX, r"(?=\d+[a-f]+\d|[a-f]+\d+[a-f])"),
    Mutation("static", "gunicorn-apache", HTTPD, "    AllowMethods GET\n"),
    Mutation("static", "gunicorn-apache", HTTPD, "B=%?#,"),
    Mutation("static", "gunicorn-apache", HTTPD, "        AddType application/gzip .gz\n"),
    Mutation("static", "gunicorn-apache", HTTPD, "(?<!-[0-9a-f]{4})"),
    # Streaming
    Mutation("streaming", "gunicorn-apache", HTTPD, "Header unset X-Accel-Buffering"),
    Mutation(
        "streaming",
        "gunicorn-nginx",
        "src/probed/headers.py",
        'response.headers.setdefault("X-Accel-Buffering", "no")',
        "pass",
    ),
    Mutation(
        "streaming",
        "hypercorn-apache",
        SERVE,
        'takewhile(lambda _: not scope["client_left"].is_set(), body)',
        "takewhile(bool, body)",
    ),
    Mutation(
        "streaming", "eventlet-nginx", SERVE, "minimum_chunk_size=1", "minimum_chunk_size=65536"
    ),
    Mutation(
        "streaming", "uwsgi-nginx", "server/application.py", "whole_or_cut_off(body),", "body,"
    ),
    # Applications: coroutines
    Mutation(
        "application/coroutines",
        "gevent-nginx",
        "server/gunicorn.conf.py",
        "greenlet.settrace(keep_event_loop)",
    ),
    Mutation(
        "application/coroutines",
        "gevent-nginx",
        "server/gunicorn.conf.py",
        "asyncio._set_running_loop(None)",
        "pass",
    ),
    Mutation(
        "application/coroutines", "eventlet-nginx", SERVE, "greenlet.settrace(keep_event_loop)"
    ),
    # Applications: processes
    Mutation(
        "application/processes",
        "gunicorn-nginx",
        "src/probed/wsgi.py",
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)",
        "pass",
    ),
    Mutation(
        "application/processes",
        "waitress-nginx",
        "src/probed/wsgi.py",
        "before=block_signals, after_in_parent=restore_signals, after_in_child",
        "after_in_child",
    ),
    Mutation(
        "application/processes",
        "waitress-nginx",
        SERVE,
        'if __name__ == "__main__":',
        "if True:",
    ),
    Mutation(
        "application/processes",
        "uwsgi-nginx",
        "server/application.py",
        "signal.pthread_sigmask(signal.SIG_SETMASK, ())",
        "pass",
    ),
    Mutation(
        "application/processes",
        "uwsgi-nginx",
        "server/application.py",
        "os.register_at_fork(after_in_child=close_stop_pipe)",
    ),
    Mutation(
        "application/processes",
        "uwsgi-nginx",
        "server/application.py",
        'sys.executable = f"{sys.prefix}/bin/python"',
    ),
    # Applications: threads
    Mutation(
        "application/threads",
        "gunicorn-nginx",
        "server/gunicorn.conf.py",
        "package = Path(__file__)",
        "import probed\n\npackage = Path(__file__)",
    ),
    Mutation("application/threads", "uwsgi-nginx", "server/uwsgi.ini", "lazy-apps = true"),
    Mutation(
        "application/threads",
        "eventlet-nginx",
        "server/serve.py",
        "eventlet.monkey_patch()",
        "eventlet.monkey_patch(thread=False)",
    ),
    # Applications: sockets
    Mutation(
        "application/sockets",
        "gevent-nginx",
        NGINX,
        '(?i:websocket)$"',
        '(?i:websocket)"',
    ),
    Mutation(
        "application/sockets",
        "gevent-nginx",
        NGINX,
        "proxy_read_timeout ${NGINX_SOCKET_TIMEOUT}s",
        "proxy_read_timeout ${REQUEST_TIMEOUT}s",
    ),
    Mutation(
        "application/sockets",
        "gunicorn-apache",
        HTTPD,
        " && %{REQUEST_METHOD} == 'GET'",
    ),
    Mutation(
        "application/sockets",
        "gunicorn-nginx",
        "src/probed/failures.py",
        '"HTTP_UPGRADE" in environ',
        "False",
    ),
    Mutation(
        "application/sockets",
        "gevent-nginx",
        "server/gunicorn.conf.py",
        "client = WholeSocket(client)",
        "pass",
    ),
]
