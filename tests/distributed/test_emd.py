"""``raybead train-emd`` on Ray, once; what follows looks at what it left."""

import numpy as np
import pytest

from raybead.commands.overview import show_run
from raybead.config import parse_job
from raybead.console import Console
from raybead.distributed.emd_targets import emd_targets
from raybead.errors import InputError
from raybead.events import read_parquet
from raybead.models.emd_bundle import EmdBundle
from raybead.pipeline import execute
from raybead.preparing import make_pairs, pool_of
from raybead.storage import Folder
from raybead.training.emd import JetPairs, measured

JOB = """
name = "small"
output = "{output}"
[data.background]
source = "lhco"
path = "{background}"
[data.search]
source = "lhco"
path = "{search}"
[prepare]
rows_per_task = 400
[emd]
pairs = 540
nodes = 6
widths = [6, 8, 10]
head = 12
epochs = 2
batch_pairs = 64
workers = 2
"""


pytestmark = pytest.mark.usefixtures("cluster")


def silent(*_):
    """Progress that nobody looks at."""


@pytest.fixture(scope="module")
def job_text(lhco_files, tmp_path_factory):
    return JOB.format(output=tmp_path_factory.mktemp("emd"), **lhco_files)


@pytest.fixture(scope="module")
def finished(cluster, job_text):  # noqa: ARG001  Ray has to run
    return execute(parse_job(job_text), "train-emd", Console(quiet=True))


def test_the_bundle_measures_as_the_report_says(finished):
    folder = finished / "emd"
    held_out = read_parquet(folder.read("held_out.parquet"), "held out")
    assert len(held_out) == 54
    config = parse_job(finished.read("job.toml").decode()).emd
    pool = pool_of(finished / "events/background", config, 0)
    pairs = make_pairs(pool, config, 0, 0).slice(54, 54)  # after those that choose the epoch
    assert held_out["pair"].equals(pairs["pair"])
    np.testing.assert_array_equal(held_out["emd"], pairs["emd"])
    found = measured(EmdBundle.load(folder).model(), JetPairs.of(pairs))
    np.testing.assert_allclose(held_out["learned"], found["learned"], rtol=1e-4, atol=1e-7)
    metrics = folder.read_json("metrics.json")
    assert [record["epoch"] for record in metrics["history"]] == [0, 1]
    assert metrics["agreement"]["all"]["learned"]["pearson"] == pytest.approx(
        np.corrcoef(held_out["emd"], held_out["learned"])[0, 1]
    )
    assert EmdBundle.load(folder).summary["workers"] == 2


def test_it_prepares_background_alone_and_leaves_a_page(finished, capsys):
    assert not finished.exists("events/search")
    names = (finished / "emd").names()
    assert {"emd-density.png", "emd-residual.pdf", "emd-loss.png"} <= set(names)
    assert not {"targets", "resume"} & set(names)
    page = finished.read("emd/report.html").decode()
    assert "data:image/png;base64," in page
    assert 'src="http' not in page
    show_run(finished, Console())
    assert "54 held-out pairs" in " ".join(capsys.readouterr().out.split())


def test_a_second_run_keeps_it_and_other_workers_change_nothing(finished, job_text, capsys):
    before = finished.read("emd/bundle.json")
    execute(parse_job(job_text, ["emd.workers=1"]), "train-emd", Console())
    assert "all is current" in capsys.readouterr().out
    assert finished.read("emd/bundle.json") == before


def test_pairs_broken_off_are_taken_up_again(finished, job_text, tmp_path):
    config = parse_job(job_text).emd
    events, folder = finished / "events/background", Folder.at(str(tmp_path / "targets"))
    emd_targets(events, config, 3, folder, silent)
    kept = {name: folder.read(name) for name in folder.names()}
    assert len(kept) == 2
    folder.remove(folder.names()[1])
    ticks = []
    emd_targets(events, config, 3, folder, lambda *tick: ticks.append(tick[:2]))
    assert ticks == [(1, 2), (2, 2)]
    assert {name: folder.read(name) for name in folder.names()} == kept


def test_errors_inside_tasks_are_the_users_own(finished, tmp_path):
    config = parse_job(finished.read("job.toml").decode(), ["emd.validation=0.0001"]).emd
    with pytest.raises(InputError, match="too few to make pairs"):
        emd_targets(finished / "events/background", config, 3, Folder.at(str(tmp_path)), silent)
