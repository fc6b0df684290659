"""The panels, and the small elements they are made of; the only part that imports ipywidgets."""
