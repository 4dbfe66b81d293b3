"""The site: ``make docs``. Nothing in it needs the network."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.ext.napoleon.docstring import GoogleDocstring

import raybead

project = "raybead"
copyright = "raybead's authors, Apache-2.0"
version = release = raybead.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_static", "pages_from_code"]

html_theme = "furo"
html_title = f"raybead {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
pygments_style = "default"
pygments_dark_style = "monokai"

myst_heading_anchors = 4
# Key tables show TOML in cells, and a console block is no session of Python.
myst_enable_extensions = ["dollarmath"]
suppress_warnings = ["misc.highlighting_failure"]

# The notebook takes minutes: it runs where it, or raybead's answer to it, isn't known yet, and the
# tests run it by themselves.
nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 900
nb_output_stderr = "remove"  # Ray's own remarks; what fails raises

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {
    "members": True,
    "imported-members": True,
    "exclude-members": "model_config, model_post_init, forward",
}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
maximum_signature_line_length = 90
python_use_unqualified_type_names = True
copybutton_prompt_text = "$ "

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)]+)\)")


def _outside(app, docname, source):
    """Links to files of the repository that aren't pages: a git host follows them, the site names
    them."""

    def named(match):
        path = (Path(app.srcdir, docname).parent / match[2].partition("#")[0]).resolve()
        if path.is_relative_to(app.srcdir):
            return match[0]
        place = str(path.relative_to(Path(app.srcdir).parent))
        return match[1] if place in match[1] else f"{match[1]} (`{place}` in the repository)"

    source[0] = _OUTSIDE.sub(named, source[0])


def _whole(self):
    """Words beside an attribute are words: what stands before a colon isn't its type."""
    return self._dedent(self._consume_to_end())


def setup(app):
    """Called by Sphinx."""
    GoogleDocstring._parse_attribute_docstring = _whole
    app.connect("source-read", _outside)
