"""The bring-your-own container of AWS's examples: Flask behind gunicorn with gevent. It runs in an environment of its own."""

import json
import os

import flask
import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["BENCH_MODEL"], options)
app = flask.Flask(__name__)


@app.route("/ping")
def ping() -> flask.Response:
    """Be healthy."""
    return flask.Response(response="\n", status=200, mimetype="application/json")


@app.route("/invocations", methods=["POST"])
def invocations() -> flask.Response:
    """Answer one batch of rows."""
    rows = np.asarray(json.loads(flask.request.data)["instances"], np.float32)
    answer = json.dumps({"predictions": session.run(None, {"x": rows})[0].tolist()})
    return flask.Response(response=answer, status=200, mimetype="application/json")
