"""`python -m containers.compiler`: read the job's configuration, convert, compare, write model.onnx and report.json."""

from __future__ import annotations

import json
import sys
import traceback
from importlib import import_module
from typing import Any

from containers.compiler.common import Converted, compare, described
from containers.toolkit.command_line import ClientError, run_training
from containers.toolkit.opt_ml import opt_ml

CONVERTERS = {
    "XGBOOST": "containers.compiler.of_xgboost",
    "SKLEARN": "containers.compiler.of_scikit_learn",
    "PYTORCH": "containers.compiler.of_pytorch",
    "ONNX": "containers.compiler.of_onnx",
}


def compile_model() -> None:
    """Convert the artifact. ClientError, in which the failure file is worded, for one that cannot be."""
    base = opt_ml().base
    config = json.loads((base / "input" / "config" / "compilationconfig.json").read_text(encoding="utf-8"))
    folder = base / "input" / "data" / "model"
    try:
        converted: Converted = import_module(CONVERTERS[config["Framework"]]).convert(folder, config)
        report = described(converted) | {"Comparison": compare(converted)}
    except ClientError:
        raise
    except Exception as error:
        traceback.print_exc()
        sentence = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ClientError(f"CompilationError: {type(error).__name__}: {sentence}") from error
    (base / "model" / "model.onnx").write_bytes(converted.model)
    (base / "model" / "report.json").write_text(json.dumps(whole(report, config), indent=2) + "\n", encoding="utf-8")
    print(
        f"{converted.kind} of {converted.source} was converted to ONNX: {json.dumps(report['Comparison'])}", flush=True
    )


def whole(report: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Return the report with what was requested: a model in ONNX has no options of a CPU's."""
    options = {name: value for name, value in config["CompilerOptions"].items() if name != "dtype"}
    more = {"CompilerOptionsWithoutEffect": options} if options else {}
    return {"Framework": config["Framework"], **report, **more}


if __name__ == "__main__":
    sys.exit(run_training(compile_model))
