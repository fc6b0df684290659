"""Publishing an executed notebook: what needs a running kernel is dropped, and its static form is what readers see.

Each panel's output holds a widget view and, beside it, the same as HTML and as text. Without a kernel a view shows
"model not found", or nothing; once it is dropped, the HTML is shown. In a terminal:

    jupyter nbconvert --to html --HTMLExporter.preprocessors=ramrole_nb.publishing.DropWidgetViews NOTEBOOK.ipynb

Imported by nobody here, so that nbconvert (which comes with JupyterLab) is loaded only when something is published.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbconvert import HTMLExporter
from nbconvert.preprocessors import Preprocessor

__all__ = ["DropWidgetViews", "drop_widget_views", "to_html"]

_VIEW = "application/vnd.jupyter.widget-view+json"


def drop_widget_views(notebook: Any) -> Any:
    """Return a copy of a notebook without widget views and widget state; the HTML and text of each output stay."""
    kept = nbformat.from_dict(notebook)  # type: ignore[no-untyped-call]
    kept.metadata.pop("widgets", None)
    for cell in kept.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(_VIEW, None)
            output.get("metadata", {}).pop(_VIEW, None)
    return kept


class DropWidgetViews(Preprocessor):
    """The same, as a step of nbconvert."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Return the notebook without widget views."""
        return drop_widget_views(nb), resources


def to_html(path: str | Path) -> str:
    """Return an executed notebook as one HTML page that needs no kernel."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    exporter = HTMLExporter()  # type: ignore[no-untyped-call]
    exporter.register_preprocessor(DropWidgetViews, enabled=True)  # type: ignore[no-untyped-call]
    body, _ = exporter.from_notebook_node(notebook)
    return str(body)
