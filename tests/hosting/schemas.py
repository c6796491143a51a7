"""JSON Schemas of the platforms' formats, generated from their client libraries."""

import enum
import json
import re
import types
import typing
from pathlib import Path
from typing import Any

import azure.mgmt.web.models
import googleapiclient
from jsonschema import Draft202012Validator

Schema = dict[str, Any]

# For fields without a simple type: any value. Their misspelt keys are still rejected, as unknown.
ANYTHING: Schema = {}


def problems(document: Any, schema: Schema) -> list[str]:
    """Return the errors in a document, each with its path; an empty list if it is valid."""
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in Draft202012Validator(schema).iter_errors(document)
    ]


# The kinds whose metadata appear in a Cloud Run service, and their names in the description of the
# annotations.
ANNOTATED = {"Service": "Service", "RevisionTemplate": "Revision"}


def cloud_run_service() -> Schema:
    """Return the strict schema of Cloud Run's Service, from the API's own discovery document."""
    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    described = json.loads((folder / "run.v1.json").read_text(encoding="utf-8"))["schemas"]
    definitions = {name: _strict(entry) for name, entry in described.items()}
    metadata = described["ObjectMeta"]["properties"]["annotations"]["description"]
    levels = dict(re.findall(r"\* `([\w./-]+)`: ([\w, ]+)", metadata))
    for kind, level in ANNOTATED.items():
        allowed = {
            name: {"type": "string"}
            for name, words in levels.items()
            if {level, "All resources"} & set(re.split(r", ?", words))
        }
        annotations = {"type": "object", "properties": allowed, "additionalProperties": False}
        own = definitions["ObjectMeta"]
        definitions[f"{kind}Meta"] = own | {
            "properties": own["properties"] | {"annotations": annotations}
        }
        definitions[kind]["properties"]["metadata"] = {"$ref": f"#/$defs/{kind}Meta"}
    return {"$ref": "#/$defs/Service", "$defs": definitions}


def _strict(described: Schema) -> Schema:
    """Convert a schema of a discovery document to one that rejects unknown keys."""
    if "$ref" in described:
        return {"$ref": f"#/$defs/{described['$ref']}"}
    kind = described["type"]
    if kind == "any":
        return ANYTHING
    if kind == "array":
        return {"type": "array", "items": _strict(described["items"])}
    if kind == "object":
        others = described.get("additionalProperties")
        properties = described.get("properties", {})
        return {
            "type": "object",
            "properties": {name: _strict(entry) for name, entry in properties.items()},
            "additionalProperties": _strict(others) if others else False,
        }
    return {"type": kind} | ({"enum": described["enum"]} if "enum" in described else {})


def azure_model(model: type) -> Schema:
    """Return the strict schema of a model of Azure's client library, with the REST API's names."""
    definitions: dict[str, Schema] = {}
    _add_model(model, definitions)
    return {"$ref": f"#/$defs/{model.__name__}", "$defs": definitions}


def _add_model(model: type, definitions: dict[str, Schema]) -> None:
    """Add the definitions of a model and of the models that it contains."""
    definitions[model.__name__] = {}  # defined first, because models may be recursive
    # The name by which the library's annotations refer to its own models.
    hints = typing.get_type_hints(model, localns={"_models": azure.mgmt.web.models})
    fields = {
        name: field
        for kind in reversed(model.__mro__)
        for name, field in vars(kind).items()
        if hasattr(field, "_rest_name_input")
    }
    definitions[model.__name__] = {
        "type": "object",
        "properties": {
            field._rest_name_input or name: _of_hint(hints[name], definitions)
            for name, field in fields.items()
        },
        "additionalProperties": False,
    }


PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number"}


def _of_hint(hint: Any, definitions: dict[str, Schema]) -> Schema:
    """Return the schema of a field's type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        options = [kind for kind in arguments if kind is not type(None)]
        names = [kind for kind in options if isinstance(kind, type) and issubclass(kind, enum.Enum)]
        if names:
            # The library accepts any string; this schema accepts only the known values.
            return {"enum": [member.value for kind in names for member in kind]}
        return _of_hint(options[0], definitions) if len(options) == 1 else ANYTHING
    if origin is list:
        return {"type": "array", "items": _of_hint(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of_hint(arguments[1], definitions)}
    if hint in PLAIN:
        return {"type": PLAIN[hint]}
    if isinstance(hint, type) and hint.__module__.startswith("azure."):
        if hint.__name__ not in definitions:
            _add_model(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    return ANYTHING
