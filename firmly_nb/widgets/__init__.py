"""The lab bench: forms and live views for JupyterLab. They hold no logic that code cannot reach."""
