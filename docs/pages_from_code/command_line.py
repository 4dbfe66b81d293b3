"""docs/command-line.md: every verb and option."""

from __future__ import annotations

import re
from unittest import mock

from raybead.cli import app

_INTRO = """\
# Every command

`raybead VERB --help` prints the same in a terminal. This page is written from the code by
`make keys`; a test holds it to it. Verbs that do a job take a job file, whose keys are told in
[job-file.md](job-file.md). A command ends with 0 where all went well, 1 where something is wrong
with data, a run or a cluster, and 2 where the job file or an option says what can't be done.
"""


def command_line() -> str:
    """The page as Markdown."""
    with mock.patch("sys.argv", ["raybead"]):  # or usage lines say how this was called
        told = app.generate_docs(output_format="markdown", heading_level=1)
    _, _, verbs = told.partition("\n## Table of Contents\n")
    _, _, rest = verbs.partition("**Commands**:")
    listed, _, each = rest.partition("\n## ")
    each = re.sub(r"\*\*\[(required)\]\*\*", r"**\1**", f"## {each}")
    each = each.replace(" *[default: False]*", "").replace(" *[default: ()]*", "")
    return f"{_INTRO}\n{listed.strip()}\n\n{each.strip()}\n"
