"""The user's `inference.py`: model_fn, input_fn, predict_fn, output_fn, or transform_fn (contract: inference.md §1).

What the script leaves out is taken from the recipe's defaults. Calls run in one thread, since a user's model need not
be safe for several; SAGEMAKER_MODEL_SERVER_WORKERS asks for more processes.
"""

from __future__ import annotations

import asyncio
import csv
import importlib.util
import inspect
import io
import json
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
import traceback
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


def decode_rows(body: bytes | str, content_type: str) -> Any:
    """Decode as the scikit-learn container does: JSON, CSV (quotes allowed, lone axes dropped) as float32, or npy."""
    raw = body.encode() if isinstance(body, str) else body
    if content_type == arrays.CSV:
        rows = list(csv.reader(io.StringIO(raw.decode()), delimiter=",", quotechar='"', strict=True))
        return np.asarray(rows).squeeze().astype(np.float32)
    if content_type == arrays.JSON:
        return np.asarray(json.loads(raw)).astype(np.float32)
    if content_type == arrays.NPY:
        return arrays.decode_npy(raw)
    raise RequestError(415, f"cannot read {content_type}; define input_fn in inference.py")


def encode_rows(prediction: Any, accept: str) -> Reply:
    """Encode as sagemaker_containers does: bare JSON, CSV with a line a row, or npy. Raises RequestError 406."""
    if accept == arrays.JSON:
        return Reply(json.dumps(prediction, default=lambda value: value.tolist()).encode())
    array = np.asarray(prediction)
    if accept == arrays.CSV:
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows(array.reshape(-1, 1) if array.ndim == 1 else array)
        return Reply(stream.getvalue().encode(), "text/csv; charset=utf-8")
    if accept == arrays.NPY:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        return Reply(buffer.getvalue(), arrays.NPY)
    raise RequestError(406, f"cannot answer as {accept}; define output_fn in inference.py")


def no_model(_directory: str) -> Any:
    """Be model_fn of the images that have none for a script. Raises NotImplementedError."""
    raise NotImplementedError(
        "Please provide a model_fn implementation.\n"
        "See documentation for model_fn at https://github.com/aws/sagemaker-python-sdk"
    )


@dataclass(frozen=True)
class Defaults:
    """A recipe's own handlers, for what the script does not define."""

    model_fn: Callable[[str], Any]
    predict_fn: Callable[[Any, Any], Any]
    input_fn: Callable[[bytes | str, str], Any] = decode
    output_fn: Callable[[Any, str], Any] = encode
    flask: bool = False
    """Whether the real image serves with Flask: a bare body is then text/html, a dict JSON, anything else an error."""
    transforms: bool = True
    """Whether the image's release knows `transform_fn`."""


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
        others = [name for name in ("input_fn", "predict_fn", "output_fn") if hasattr(module, name)]
        self._transforms = defaults.transforms and hasattr(module, "transform_fn")
        if self._transforms and others:
            joined = "with" if defaults.flask else "in conjunction with"
            raise ValueError(f"Cannot use transform_fn implementation {joined} input_fn, predict_fn, and/or output_fn")
        self._thread = ThreadPoolExecutor(1, "model")
        self._model = self._thread.submit(self._load).result()

    def _load(self) -> Any:
        """Return the model; before and after it what sagemaker-inference 1.9 knows besides."""
        directory = str(self._directory)
        if not self._defaults.flask and hasattr(self._module, "pre_model_fn"):
            self._call("pre_model_fn", None, directory)
        model = self._call("model_fn", None, directory)
        if not self._defaults.flask and hasattr(self._module, "model_warmup_fn"):
            self._call("model_warmup_fn", None, directory, model)
        return model

    async def invoke(self, request: Request) -> Reply:
        """Run the handlers in the model's thread."""
        answer = self._answer if self._module is None and self._defaults.flask else self._told
        return await asyncio.get_running_loop().run_in_executor(self._thread, answer, request)

    def _told(self, request: Request) -> Reply:
        """Answer; what goes wrong has the status that the real image gives it. Raises RequestError, or what a handler does.

        Both images make 500 of all, formats that the defaults do not know too, but that sagemaker-inference asks its own errors.
        """
        try:
            return self._answer(request)
        except RequestError as error:
            raise RequestError(500, str(error)) from error
        except Exception as error:
            if self._defaults.flask:
                raise
            has_status = all(hasattr(error, name) for name in ("status_code", "message", "phrase"))
            status, text = (error.status_code, error.message) if has_status else (500, str(error))  # type: ignore[attr-defined]
            _log.exception("the prediction failed")
            raise RequestError(status, f"{text}\n{traceback.format_exc()}") from error

    def _answer(self, request: Request) -> Reply:
        content_type = request.headers.get("content-type") or request.content_type or arrays.JSON
        requested = request.headers.get("accept", "")
        accept = (request.accept if requested in ("", "*/*") else requested) or arrays.JSON
        body = _body(request.body, content_type, "replace" if self._defaults.flask else "strict")
        if self._transforms:
            answer = self._call("transform_fn", request, self._model, body, content_type, accept)
        else:
            given = self._call("input_fn", request, body, content_type)
            prediction = self._call("predict_fn", request, given, self._model)
            answer = self._call("output_fn", request, prediction, accept)
        return _reply(answer, accept, flask=self._defaults.flask)

    def execution_parameters(self) -> Any:
        """Return what the script's `execution_parameters_fn` says, None without one."""
        own = getattr(self._module, "execution_parameters_fn", None)
        answer: Any = own() if own is not None else None
        return json.loads(answer.get_data()) if hasattr(answer, "get_data") else answer

    def _call(self, name: str, request: Request | None, *arguments: Any) -> Any:
        handler = getattr(self._module, name, None) or getattr(self._defaults, name)
        if _takes(handler, len(arguments) + 1, by_name=self._defaults.flask):
            return handler(*arguments, Context(str(self._directory), request))
        return handler(*arguments)


def _reply(answer: Any, accept: str, *, flask: bool = False) -> Reply:
    """Return what a handler returned as a Reply: a body, (body, content type), a response object, an iterator of bytes."""
    content_type = "text/html; charset=utf-8" if flask else accept
    if isinstance(answer, Reply):
        return answer
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], str):
        answer, content_type = answer
    if hasattr(answer, "get_data") and hasattr(answer, "status_code"):
        kept = {k: v for k, v in answer.headers.items() if k.lower() not in ("content-type", "content-length")}
        return Reply(answer.get_data(), answer.content_type or arrays.JSON, answer.status_code, kept)
    if hasattr(answer, "response") and hasattr(answer, "mimetype"):
        answer, content_type = answer.response, answer.mimetype
    if isinstance(answer, str):
        return Reply(answer.encode(), content_type)
    if isinstance(answer, bytes | bytearray | memoryview):
        return Reply(bytes(answer), content_type)
    if inspect.isgenerator(answer) or hasattr(answer, "__next__") or hasattr(answer, "__aiter__"):
        return Reply(answer, content_type)
    if flask and not isinstance(answer, dict | list):
        raise TypeError(f"the handler returned a {type(answer).__name__}, which is no answer: encode it in output_fn")
    return encode(answer, arrays.JSON if flask else accept)


def _body(body: bytes, content_type: str, errors: str = "strict") -> bytes | str:
    """Only exactly text/csv and application/json reach handlers as str (UTF8_TYPES of both toolkits)."""
    return body.decode("utf-8", errors) if content_type in (arrays.CSV, arrays.JSON) else body


def _takes(handler: Callable[..., Any], count: int, *, by_name: bool) -> bool:
    """Return whether a handler takes the context as its last of `count` parameters: their number tells, or the name too."""
    try:
        parameters = list(inspect.signature(handler).parameters)
    except (TypeError, ValueError):
        return False
    if not by_name:
        return len(parameters) == count
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
    # Under /opt/ml there is always space and leave to write; the model directory itself may be read-only.
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
