"""Fixtures for the unit tests: the application without a server or a proxy."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask
from flask.testing import FlaskClient

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="session")
def package() -> ModuleType:
    """The application's package: others may lie beside it in src/."""
    (about,) = SOURCE.glob("*/about.toml")
    return importlib.import_module(about.parent.name)


@pytest.fixture
def make_app(package: ModuleType) -> Callable[..., Flask]:
    """Build the application from the given settings."""
    return lambda **settings: package.create_app({"SECRET_KEY": "test"} | settings)


@pytest.fixture
def client(make_app: Callable[..., Flask]) -> FlaskClient:
    """A client of the application with its default settings."""
    return make_app().test_client()
