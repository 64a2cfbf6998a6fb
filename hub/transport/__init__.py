"""The pipe: the only HTTP client of the hub.

`Http` makes calls; `guard` refuses private networks; `signing` turns an `Auth` into signed requests; `verdicts` is the
table from status to error.
"""

from hub.transport.client import Http, HttpSettings
from hub.transport.verdicts import Judge, Verdict, read_json, retry_after

__all__ = ["Http", "HttpSettings", "Judge", "Verdict", "read_json", "retry_after"]
