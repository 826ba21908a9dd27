"""Write docs/memory-api.openapi.json from the types of the messages. `make docs` runs it, and a test compares the two."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from engram_eval.backends.remote.http import KEY_VARIABLE
from engram_eval.backends.remote.protocol import PROTOCOL, REPLIES, REQUESTS, InfoRequest, Request

PAGE = Path(__file__).with_name("memory-api.openapi.json")
_ACCEPTED = {
    "ingest": "Accepted: the session is stored later, and 'ready' says when.",
    "ready": "Not yet: the run asks again.",
}


def memory_api() -> str:
    """OpenAPI 3.1, as JSON."""
    models = [*REQUESTS, *REPLIES.values()]
    _, schemas = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models) if model is not InfoRequest],
        ref_template="#/components/schemas/{model}",
    )
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "A memory that engram_eval measures",
            "version": str(PROTOCOL),
            "description": "One memory for each conversation, with an id that the run makes. Unknown fields are ignored.",
        },
        "security": [{}, {"key": []}],
        "paths": dict(_path(request) for request in REQUESTS),
        "components": {
            "schemas": {**schemas["$defs"], "Failure": _FAILURE},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"The value of {KEY_VARIABLE}, if it is set.",
                }
            },
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


_FAILURE = {
    "type": "object",
    "properties": {"error": {"type": "string", "description": "What went wrong, in one sentence."}},
    "required": ["error"],
}


def _path(request: type[Request]) -> tuple[str, dict[str, Any]]:
    operation: dict[str, Any] = {
        "operationId": request.name,
        "summary": (inspect.getdoc(request) or "").partition("\n")[0],
        "responses": {
            "200": {"description": "Done.", "content": _json(REPLIES[request.name].__name__)},
            **({"202": {"description": _ACCEPTED[request.name]}} if request.name in _ACCEPTED else {}),
            "default": {"description": "It failed.", "content": _json("Failure")},
        },
    }
    if request is InfoRequest:
        return "/v1/info", {"get": operation}
    identity = {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
    }
    operation["requestBody"] = {"required": True, "content": _json(request.__name__)}
    return f"/v1/memories/{{id}}/{request.name}", {"parameters": [identity], "post": operation}


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


if __name__ == "__main__":
    PAGE.write_text(memory_api(), encoding="utf-8")
