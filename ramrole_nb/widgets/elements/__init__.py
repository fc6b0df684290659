"""The elements ipywidgets lacks: a live region, a native progress bar, a table, a countdown, code to copy, tabs of code.

Each is an anywidget: a plain ES module and a style sheet in `static/`, with no bundler and nothing fetched from
elsewhere, so they work on Binder, in Voilà and in closed networks. What a trait holds is in the browser and, where
widget state is saved, in the notebook file; so every text passes through `ramrole_nb.redact` on its way in.
"""

from __future__ import annotations

from .code import CodeBlock, Tabs
from .countdown import Countdown
from .progress import ProgressBar
from .status import StatusLine
from .table import DataTable

__all__ = ["CodeBlock", "Countdown", "DataTable", "ProgressBar", "StatusLine", "Tabs"]
