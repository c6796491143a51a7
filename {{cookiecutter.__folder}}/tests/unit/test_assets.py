"""URLs of static files."""

from importlib import import_module

import pytest
from flask import Blueprint, Flask, url_for

HASHED = "style.0a0123456789abcd.css"


@pytest.fixture
def init_app(package):
    return import_module(f"{package.__name__}.assets").init_app


@pytest.fixture
def built(init_app, tmp_path):
    """An application with static files like those of an image."""
    static = tmp_path / "static"
    (static / "deep").mkdir(parents=True)
    for name in ("icon.svg", "style.css", HASHED, "deep/x.min.0a0fedcba9876543.js"):
        (static / name).touch()
    app = Flask(__name__, root_path=str(tmp_path))
    init_app(app)
    return app


def url(app, name, endpoint="static"):
    with app.test_request_context():
        return url_for(endpoint, filename=name)


def test_url_has_the_hash_in_the_image(built):
    assert url(built, "style.css") == f"/static/{HASHED}"
    assert url(built, "deep/x.min.js") == "/static/deep/x.min.0a0fedcba9876543.js"


def test_url_without_a_file_that_has_a_hash(built):
    for name in ("icon.svg", "x.min.js", "nothing.css", HASHED):
        assert url(built, name) == f"/static/{name}"


def test_urls_have_no_hash_elsewhere(make_app):
    """The source has no such files: during development, they change."""
    assert url(make_app(), "style.css") == "/static/style.css"


def test_blueprints_own_files_have_no_hash(built):
    blueprint = Blueprint("other", __name__, static_folder="static", url_prefix="/other")
    built.register_blueprint(blueprint)
    assert url(built, "style.css", "other.static") == "/other/static/style.css"


@pytest.mark.parametrize("name", ["style.css", HASHED, "style.0a0fedcba9876543.css"])
def test_any_hash_names_the_file(built, make_app, name):
    """A page of another release has that release's hash."""
    for app in (built, make_app()):
        with app.test_client().get(f"/static/{name}") as response:
            assert response.status_code == 200
            assert response.content_type == "text/css; charset=utf-8"
            # Without the proxy, browsers revalidate every file.
            assert response.cache_control.no_cache


def test_missing_file(built):
    for name in ("nothing.0a0123456789abcd.css", "style.0123456789abcdef.css"):
        assert built.test_client().get(f"/static/{name}").status_code == 404


def test_application_without_static_files(init_app):
    app = Flask(__name__, static_folder=None)
    init_app(app)
    assert app.test_client().get("/static/style.css").status_code == 404
