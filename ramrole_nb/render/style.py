"""The few inline styles of our HTML: JupyterLab's theme variables, with fallbacks for everywhere else."""

from __future__ import annotations

TEXT = "color:var(--jp-content-font-color1,inherit)"
MUTED = "color:var(--jp-content-font-color2,inherit)"
LINE = "1px solid var(--jp-border-color2,#bdbdbd)"
CELL = f"text-align:left;vertical-align:top;padding:4px 12px 4px 0;border-bottom:{LINE}"
