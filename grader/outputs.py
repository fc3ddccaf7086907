"""What a student's process says that its cells put out, made harmless.

Outputs are for people to read: known kinds, known types of data, no verdicts, limited
in size.
"""

from typing import Any

# text and pictures; the MIME type of verdicts is the judge's alone
MIME_TYPES = (
    "text/plain",
    "text/html",
    "text/markdown",
    "text/latex",
    "image/png",
    "image/jpeg",
    "image/svg+xml",
    "application/json",
    "application/vnd.jupyter.widget-view+json",
)
MAX_OUTPUTS = 1000
# pictures of honest students take more room than their text
PICTURE_FACTOR = 20


def harmless(outputs: list, max_bytes: int) -> list[dict]:
    """Return the outputs that Jupyter knows, cut where they grow too long."""
    kept, size = [], 0
    for output in outputs[:MAX_OUTPUTS]:
        clean = _clean(output) if isinstance(output, dict) else None
        if clean is None:
            continue
        size += _size(clean)
        if size > max_bytes * PICTURE_FACTOR:
            kept.append(_stream("stderr", "(the rest of the output was left out)\n"))
            break
        kept.append(clean)
    return kept


def _clean(output: dict) -> dict | None:
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return _stream(name, _text(output.get("text")))
    if kind == "error":
        lines = output.get("traceback")
        return {
            "output_type": "error",
            "ename": _text(output.get("ename")),
            "evalue": _text(output.get("evalue")),
            "traceback": [_text(x) for x in lines] if isinstance(lines, list) else [],
        }
    if kind not in ("display_data", "execute_result"):
        return None
    data = output.get("data")
    clean: dict[str, Any] = {
        "output_type": kind,
        "metadata": {},
        "data": _bundle(data if isinstance(data, dict) else {}),
    }
    if kind == "execute_result":
        count = output.get("execution_count")
        clean["execution_count"] = count if type(count) is int else None
    return clean


def _stream(name: str, text: str) -> dict:
    return {"output_type": "stream", "name": name, "text": text}


def _text(value: Any) -> str:
    # lone surrogates can be said but not written down
    text = value if isinstance(value, str) else ""
    return text.encode("utf-8", "replace").decode("utf-8")


def _bundle(data: dict) -> dict:
    bundle: dict[str, Any] = {}
    for mime in MIME_TYPES:
        if mime.endswith("json") and mime in data:
            bundle[mime] = _json(data[mime])
        elif isinstance(data.get(mime), str):
            bundle[mime] = _text(data[mime])
    return bundle


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {_text(key): _json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(entry) for entry in value]
    if value is None or type(value) in (bool, int, float):
        return value
    return _text(value)


def _size(output: dict) -> int:
    return len(str(output))
