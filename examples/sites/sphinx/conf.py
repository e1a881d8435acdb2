"""Configuration of the example for Sphinx."""

import os

SERVICE = os.environ.get("WINNOW_URL", "http://127.0.0.1:8000")

project = "Handbook"
html_theme = "furo"
templates_path = ["_templates"]
html_js_files = [(f"{SERVICE}/widget/v1.js", {"type": "module"})]
html_context = {"winnow_collection": "docs", "winnow_key": os.environ.get("WINNOW_KEY", "")}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "winnow.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
