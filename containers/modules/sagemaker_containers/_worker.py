"""The response object that handlers return."""

from typing import Any

from werkzeug.wrappers import Response as _Response


class Response(_Response):
    """A response whose content type is JSON unless `mimetype` says otherwise; `accept` is ignored, as in the images."""

    default_mimetype = "application/json"

    def __init__(
        self, response: Any = None, accept: Any = None, status: Any = 200, headers: Any = None, mimetype: Any = None
    ) -> None:
        del accept
        super().__init__(response, status, headers, mimetype)
