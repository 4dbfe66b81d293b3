"""Tables on the console tell what the page tells."""

from __future__ import annotations

from raybead.commands.overview import show_run
from raybead.config import dump_job
from raybead.console import Console
from raybead.storage import JOB


def rows_of(said):
    """Cells of every line that is a table's."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in said.splitlines()]


def test_a_fit_that_could_not_be_tested_has_no_p_and_gains_have_the_pages_errors(
    job, make_run, make_result, capsys
):
    result = make_result((0.9, 0.95))
    result["cuts"][1]["background"]["agreement"] = {"chi2": 0.0, "ndf": 0, "p": 1.0}
    control = result["evaluation"]["scores"]["control_width"]
    control["beyond_first_error"], control["gain"]["auc"]["error"] = 0.0031, 0.0032
    run = make_run(result, epochs=1)
    run.write(JOB, dump_job(job).encode())
    show_run(run, Console())
    rows = rows_of(capsys.readouterr().out)
    assert {row[0]: row[-1] for row in rows if len(row) == 9} == {"0.9": "0.38", "0.95": "-"}
    (gain,) = (row[-1] for row in rows if row[0] == "no learning: jet width")
    assert gain == f"{control['gain']['auc']['value']:+.4f} +- 0.0032"


def test_bounds_are_told_as_bounds(job, make_run, make_result, capsys):
    result = make_result()
    for resolved, signs in ((False, ("<= ", ">= ")), (True, ("", ""))):
        result["conclusion"] |= {"p": 2e-4, "significance": 3.54, "resolved": resolved}
        run = make_run(result, epochs=1)
        run.write(JOB, dump_job(job).encode())
        show_run(run, Console())
        said = " ".join(capsys.readouterr().out.split())
        assert f"global p {signs[0]}0.0002 ({signs[1]}3.5 sigma)" in said
