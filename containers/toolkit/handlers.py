"""The user's `inference.py`: model_fn, input_fn, predict_fn, output_fn, or transform_fn (contract: inference.md §1).

What the script leaves out is taken from the recipe's defaults. Calls run in one thread, since a user's model need not
be safe for several; SAGEMAKER_MODEL_SERVER_WORKERS asks for more processes.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from containers.toolkit import arrays
from containers.toolkit.opt_ml import opt_ml
from containers.toolkit.script_mode import own_environment
from containers.toolkit.serving import Reply, Request, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

HANDLERS = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn")
_log = logging.getLogger(__name__)


def decode(body: bytes | str, content_type: str) -> Any:
    """Decode as the framework containers do: JSON, JSON Lines, CSV [n, d] or npy. Raises RequestError 415."""
    raw = body.encode() if isinstance(body, str) else body
    if content_type in ("", arrays.JSON):
        document = arrays.decode_json(raw)
        if isinstance(document, dict):
            document = document.get("instances", document.get("inputs", document))
        return np.asarray(document) if isinstance(document, list) else document
    if content_type == arrays.JSON_LINES:
        return np.asarray(arrays.decode_lines(raw))
    if content_type == arrays.CSV:
        return arrays.decode_csv(raw)
    if content_type == arrays.NPY:
        return arrays.decode_npy(raw)
    raise RequestError(415, f"cannot read {content_type}; define input_fn in inference.py")


def encode(prediction: Any, accept: str) -> Reply:
    """Encode as the framework containers do: the bare prediction in the type that was asked for."""
    if not isinstance(prediction, np.ndarray):
        if accept in ("", "*/*", arrays.JSON) or isinstance(prediction, dict):
            return Reply(arrays.encode_json(prediction))
        prediction = np.asarray(prediction)
    return arrays.encode({"prediction": np.atleast_1d(prediction)}, accept, wrap=None)


@dataclass(frozen=True)
class Defaults:
    """A recipe's own handlers, for what the script does not define."""

    model_fn: Callable[[str], Any]
    predict_fn: Callable[[Any, Any], Any]
    input_fn: Callable[[bytes | str, str], Any] = decode
    output_fn: Callable[[Any, str], Any] = encode


@dataclass(frozen=True)
class Context:
    """What a handler may take as one argument more than it must, as in the PyTorch containers."""

    model_dir: str
    request: Request | None = None

    @property
    def system_properties(self) -> dict[str, Any]:
        """`model_dir`, and the number of the GPU or None."""
        devices = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        return {"model_dir": self.model_dir, "gpu_id": 0 if devices else None}

    def get_request_header(self, _index: int, name: str) -> str | None:
        """Return a header of the request."""
        return self.request.headers.get(name.lower()) if self.request else None


def user_module(model: Path) -> ModuleType | None:
    """Import the user's script, or return None where there is none.

    It is `<SAGEMAKER_PROGRAM or inference.py>` in `/opt/ml/model/code`, or in SAGEMAKER_SUBMIT_DIRECTORY, which may be an archive in S3. A
    training script without handlers counts as none. Its requirements.txt is installed first.
    """
    directory = _code_directory(model)
    path = directory / os.environ.get("SAGEMAKER_PROGRAM", "inference.py")
    if not path.is_file():
        return None
    if (directory / "requirements.txt").is_file():
        _install(directory / "requirements.txt")
    sys.path.insert(0, str(directory))
    name = path.stem
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module if any(hasattr(module, handler) for handler in HANDLERS) else None


class HandlerPredictor:
    """A model behind handlers, the user's or the recipe's."""

    def __init__(self, directory: Path, defaults: Defaults, module: ModuleType | None = None) -> None:
        self._directory = directory
        self._module = module
        self._defaults = defaults
        self._thread = ThreadPoolExecutor(1, "model")
        self._model = self._thread.submit(self._call, "model_fn", None, str(directory)).result()

    async def invoke(self, request: Request) -> Reply:
        """Run the handlers in the model's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, request)

    def _answer(self, request: Request) -> Reply:
        content_type, accept = request.content_type or arrays.JSON, request.accept or arrays.JSON
        if hasattr(self._module, "transform_fn"):
            return _reply(
                self._call("transform_fn", request, self._model, _body(request), content_type, accept), accept
            )
        given = self._call("input_fn", request, _body(request), content_type)
        prediction = self._call("predict_fn", request, given, self._model)
        return _reply(self._call("output_fn", request, prediction, accept), accept)

    def _call(self, name: str, request: Request | None, *arguments: Any) -> Any:
        handler = getattr(self._module, name, None) or getattr(self._defaults, name)
        if _takes(handler, len(arguments) + 1):
            return handler(*arguments, Context(str(self._directory), request))
        return handler(*arguments)


def _reply(answer: Any, accept: str) -> Reply:
    """Return what a handler returned as a Reply: a body, (body, content type), or an iterator of bytes."""
    content_type = accept
    if isinstance(answer, Reply):
        return answer
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], str):
        answer, content_type = answer
    # The Flask-based containers let handlers return a response object; its data and mimetype are what counts.
    if hasattr(answer, "get_data") and hasattr(answer, "mimetype"):
        return Reply(answer.get_data(), answer.mimetype)
    if hasattr(answer, "response") and hasattr(answer, "mimetype"):
        answer, content_type = answer.response, answer.mimetype
    if isinstance(answer, str):
        return Reply(answer.encode(), content_type)
    if isinstance(answer, bytes | bytearray | memoryview):
        return Reply(bytes(answer), content_type)
    if inspect.isgenerator(answer) or hasattr(answer, "__next__") or hasattr(answer, "__aiter__"):
        return Reply(answer, content_type)
    return encode(answer, accept)


def _body(request: Request) -> bytes | str:
    """Text types reach handlers as str, all others as bytes, as in AWS's inference toolkit."""
    if request.content_type.startswith("text/") or request.content_type in ("", arrays.JSON, arrays.JSON_LINES):
        try:
            return request.body.decode()
        except UnicodeDecodeError as problem:
            raise RequestError(400, f"the body is not UTF-8: {problem}") from problem
    return request.body


def _takes(handler: Callable[..., Any], count: int) -> bool:
    """Return whether a handler has a `context` parameter as its last of `count`."""
    try:
        parameters = list(inspect.signature(handler).parameters)
    except (TypeError, ValueError):
        return False
    return len(parameters) >= count and parameters[count - 1] in ("context", "ctx", "_context")


def _code_directory(model: Path) -> Path:
    submitted = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    local = model / "code"
    if local.is_dir() or not submitted:
        return local
    if not submitted.startswith("s3://"):
        return Path(submitted)
    import boto3

    bucket, _, key = submitted.removeprefix("s3://").partition("/")
    # Under /opt/ml there is always room and leave to write; the model directory itself may be read-only.
    target = Path(tempfile.mkdtemp(prefix="code-"))
    archive = target / "sourcedir.tar.gz"
    boto3.client("s3", endpoint_url=os.environ.get("S3_ENDPOINT_URL")).download_file(bucket, key, str(archive))
    with tarfile.open(archive) as tar:
        # Debian 12's Python, 3.11.2, has no filters yet; the code is the user's own in any case.
        tar.extractall(target, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # type: ignore[arg-type]  # noqa: S202
    return target


def _install(requirements: Path) -> None:
    """Install into an environment of this endpoint's own, since the recipe's is shared, and look there first."""
    try:
        directory = opt_ml().base / "environment"
        python = own_environment(directory)
    except OSError:
        directory = Path(tempfile.mkdtemp(prefix="environment-"))
        python = own_environment(directory)
    _log.info("installing %s", requirements)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)], check=True)
    sys.path.insert(0, str(next((directory / "lib").glob("python*/site-packages"))))
