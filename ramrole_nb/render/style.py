"""The few inline styles of our HTML: JupyterLab's theme variables, with fallbacks for everywhere else."""

from __future__ import annotations

TEXT = "color:var(--jp-content-font-color1,inherit)"
# The theme's own muted colour is too pale on a table's tinted row (4.5:1 is the least).
MUTED = "color:inherit;color:color-mix(in srgb,var(--jp-content-font-color1,currentColor) 75%,transparent)"
LINE = "1px solid var(--jp-border-color2,#bdbdbd)"
CELL = f"text-align:left;vertical-align:top;padding:4px 12px 4px 0;border-bottom:{LINE}"
