"""The whole chain on Ray, done once for all; what follows looks at it from all sides."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from made import lhco, make_particles

from raybead.commands.overview import show_run
from raybead.config import Jets, Prepare, Score, parse_job
from raybead.console import Console
from raybead.distributed.diagnose import diagnosed
from raybead.distributed.prepare import prepare
from raybead.errors import InputError, RunError, StorageError, TrainingError
from raybead.events import EventSample, Span, event_table, make_jets, open_source, write_lhco
from raybead.models import Bundle
from raybead.pipeline import execute
from raybead.scoring import SCORED, Calibration, EventScorer, JetScorer
from raybead.stages import Stages
from raybead.storage import Folder, is_current, stage_facts
from raybead.training import sides

OUTPUTS = ("latent", "reconstruction")

pytestmark = pytest.mark.usefixtures("cluster")


def silent(*_):
    """Progress that nobody looks at."""


def pieces_of(source, config):
    return EventSample.of([source], "search").pieces(config.rows_per_task)


def table_of(folder, name=""):
    return pq.read_table(f"{folder}/{name}" if name else str(folder), partitioning=None)


def test_every_event_is_there_in_order_as_without_ray(finished, lhco_files):
    for role, n in (("background", 700), ("search", 500)):
        facts = stage_facts(finished, f"events/{role}")
        flow = facts["cutflow"]
        assert flow["read"] == n == flow["written"] + sum(flow["dropped"].values())
        folder = finished / f"events/{role}"
        names = folder.names(".parquet")
        assert len(names) == -(-n // 200)
        rows = [row for name in names for row in table_of(folder, name).to_pylist()]
        named = {"generator": "made"} if role == "background" else {}
        particles, _ = open_source(lhco(lhco_files[role], **named)).read(Span(0, n))
        assert rows == event_table(make_jets(particles, Jets())).to_pylist()
        assert (table_of(folder, names[0])["truth"].null_count > 0) == (role == "background")


def test_scores_are_those_of_the_bundle_in_order(finished):
    scorer = JetScorer(Bundle.load(finished / "model"), batch_items=4096)
    events = table_of(finished / "events/search")
    scores = table_of(finished / "scores", "search.parquet")
    assert scores["event"].to_pylist() == sorted(events["event"].to_pylist())
    plain = scorer.table(events.sort_by("event").combine_chunks())
    for name in ("loss_j1", "loss_j2", "width_j1", "moment_j2"):
        np.testing.assert_allclose(scores[name].to_numpy(), plain[name].to_numpy(), rtol=1e-4)
    np.testing.assert_allclose(scores["mj1"].to_numpy(), plain["m_j1"].to_numpy())


def test_outputs_are_stored_in_the_scores_order(finished):
    bundle = Bundle.load(finished / "model")
    scorer = JetScorer(bundle, 4096, store=("latent",))
    for role in ("background", "search"):
        scores = table_of(finished / "scores", f"{role}.parquet")
        latent, nodes = (table_of(finished / f"scores/{what}/{role}") for what in OUTPUTS)
        assert latent["event"].equals(scores["event"])
        assert nodes["event"].equals(scores["event"])
        first = (finished / f"events/{role}").names(".parquet")[0]
        plain = scorer.scoring(table_of(finished / f"events/{role}", first)).stored["latent"]
        for name in ("latent_j1", "latent_j2"):
            ours, theirs = (np.array(t[name].to_pylist()) for t in (latent[: len(plain)], plain))
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_bundle_and_calibration_score_events_anew(finished):
    bundle = Bundle.load(finished / "model")
    scorer = EventScorer(bundle, Calibration.load(finished / "model"))
    again = scorer.table(table_of(finished / "events/search").sort_by("event").combine_chunks())
    scores = table_of(finished / "scores", "search.parquet")
    assert again.column_names == scores.column_names
    for name in SCORED:
        np.testing.assert_allclose(
            again[name].to_numpy(), scores[name].to_numpy(), rtol=1e-4, atol=1e-4
        )


def test_an_ensemble_scores_with_the_members(finished, copied, there, job_text):
    model = copied / "model"
    quick = ["score.workers=1", "score.store=[]", "score.controls=false"]
    changes = [there, "score.ensemble=2", *quick]
    with pytest.raises(RunError, match=r"score.ensemble = 2, and 0 members are kept there"):
        execute(parse_job(job_text, changes), "score", Console(quiet=True))
    for number, score in enumerate((Score(), Score(combine="max", complexity="none")), 1):
        Bundle.load(model).save(model / f"members/{number}")
        (model / f"members/{number}").write_json("score.json", score.model_dump(mode="json"))
    run = execute(parse_job(job_text, changes), "score", Console(quiet=True))
    scores, before = (table_of(r / "scores", "search.parquet") for r in (run, finished))
    assert set(scores.column_names) - set(before.column_names) == {"score_1", "score_2"}
    np.testing.assert_allclose(
        scores["score_1"].to_numpy(), before["score"].to_numpy(), rtol=1e-4, atol=1e-4
    )
    events = table_of(run / "events/search").sort_by("event").combine_chunks()
    again = EventScorer.load(model).table(events)
    for name in ("score", "score_1", "score_2"):
        np.testing.assert_allclose(
            again[name].to_numpy(), scores[name].to_numpy(), rtol=1e-4, atol=1e-4
        )


def test_the_hunt_says_what_it_did_and_what_it_could_not(finished):
    result = (finished / "hunt").read_json("result.json")
    (cut,) = result["cuts"]
    assert cut["cut"] == 0.9
    assert cut["events"]["outliers"] + cut["events"]["others"] == cut["events"]["in_window"]
    assert sum(cut["histogram"]["outliers"]) == cut["events"]["outliers"]
    assert sum(cut["toys"]["counts"]) == 3000
    assert "cut 0.999" in result["refused"][0]
    assert result["evaluation"]["signal"] > 0


def test_what_was_looked_at_is_of_the_items_that_were_scored(finished, job_text, tmp_path):
    looked, job = finished / "diagnostics", parse_job(job_text)
    unseen = sides(finished / "events/background", job).unseen
    table = table_of(looked, "latent.parquet").to_pylist()
    scores, latents = {}, {}
    for role in ("background", "search"):
        rows = table_of(finished / "scores", f"{role}.parquet").to_pylist()
        scores[role] = {row["event"]: row for row in rows}
        rows = table_of(finished / f"scores/latent/{role}").to_pylist()
        latents[role] = {row["event"]: row for row in rows}
    assert {row["event"] for row in table if row["sample"] == "background"} == {*unseen}
    for row in table:
        rank, score = f"j{row['item'] + 1}", scores[row["sample"]][row["event"]]
        assert row["score"] == score["score"]
        assert row["truth"] == score["truth"]
        assert row["total"] == pytest.approx(score[f"loss_{rank}"], rel=1e-3)
        stored = latents[row["sample"]][row["event"]][f"latent_{rank}"]
        np.testing.assert_allclose(row["latent"], stored, rtol=1e-3, atol=1e-4)
    search = list(scores["search"].values())
    highest = sorted(search, key=lambda row: -row["score"])[:6]
    displays = table_of(looked, "displays.parquet")
    assert displays["event"].to_pylist() == [row["event"] for row in highest]
    losses = [(row[f"loss_j{j + 1}"], row["event"], j) for row in search for j in range(2)]
    worst = sorted(losses, reverse=True)[:3]
    examples = table_of(looked, "examples.parquet").to_pylist()
    assert [(e["event"], e["item"]) for e in examples[3:]] == [one[1:] for one in worst]
    assert {e["event"] for e in examples[:3]} <= {*unseen}
    # Again, and without Ray: the same items and numbers.
    folder = Folder.at(str(tmp_path))
    events = {role: finished / "events" / role for role in ("background", "search")}
    diagnosed(events, finished / "scores", finished / "model", job, folder)
    assert folder.names() == [
        "displays.parquet", "drift.json", "examples.parquet", "latent.parquet", "result.json",
        "units.json",
    ]  # fmt: skip
    assert folder.read("displays.parquet") == looked.read("displays.parquet")
    again = table_of(folder, "latent.parquet")
    known = ["sample", "event", "item", "weight"]
    assert again.select(known).equals(table_of(looked, "latent.parquet").select(known))


def test_the_report_stands_alone(finished):
    page = finished.read("report.html").decode()
    assert "data:image/png;base64," in page
    assert 'src="http' not in page


def test_the_overview_reads_it(finished, capsys):
    show_run(finished, Console())
    said = capsys.readouterr().out
    assert "700 events read" in said
    assert "Most significant" in said
    assert "latents of" in said


def test_a_second_run_keeps_what_is_current_and_redoes_what_changed(
    finished, copied, there, job_text, capsys
):
    execute(parse_job(job_text), "run", Console())
    assert "all is current" in capsys.readouterr().out
    before = copied.read("scores/_manifest.json")
    execute(parse_job(job_text, [there, "hunt.toys=2000", "train.workers=1"]), "run", Console())
    said = capsys.readouterr().out
    assert "score: current, kept" in said
    assert "hunt: changed: hunt" in said
    assert copied.read("scores/_manifest.json") == before
    result = json.loads(copied.read("hunt/result.json"))
    assert sum(result["cuts"][0]["toys"]["counts"]) == 2000
    assert sum(finished.read_json("hunt/result.json")["cuts"][0]["toys"]["counts"]) == 3000


@pytest.mark.parametrize(("workers", "rows"), [(1, 200), (2, 64)])
def test_events_do_not_depend_on_workers_or_ranges(finished, lhco_files, tmp_path, workers, rows):
    source = lhco(lhco_files["search"])
    config = Prepare(workers=workers, rows_per_task=rows)
    folder = Folder.at(str(tmp_path / "events"))
    prepare(pieces_of(source, config), Jets(), config, folder, silent)
    got = table_of(folder).sort_by("event").to_pylist()
    assert got == table_of(finished / "events/search").sort_by("event").to_pylist()


def test_a_broken_off_prepare_is_taken_up_again(finished, lhco_files, tmp_path):
    source, config = lhco(lhco_files["search"]), Prepare(rows_per_task=200)
    whole, folder = finished / "events/search", Folder.at(str(tmp_path / "events"))
    kept = {name: whole.read(name) for name in whole.names(".parquet")}
    lost, *names = kept
    for name in names:
        folder.write(name, kept[name])
    folder.write("rows-0000000000-0000000007.parquet", kept[lost])  # of another cutting-up
    ticks = []
    again = prepare(
        pieces_of(source, config), Jets(), config, folder, lambda *tick: ticks.append(tick)
    )
    assert again.cutflow.as_dict() == stage_facts(finished, "events/search")["cutflow"]
    assert ticks[0][:2] == (len(names), len(kept))
    assert {name: folder.read(name) for name in folder.names()} == kept


def test_bad_rows_and_empty_selections_end_in_words(rewritten, tmp_path):
    config = Prepare(rows_per_task=200)
    folder = Folder.at(str(tmp_path / "events"))
    pieces = pieces_of(lhco(rewritten({(7, 0): -3.0})), config)
    with pytest.raises(InputError, match="row 7: negative pT"):
        prepare(pieces, Jets(), config, folder, silent)
    assert folder.names() == []
    pieces = pieces_of(lhco(rewritten({})), config)
    with pytest.raises(InputError, match="none of the 12 events read passes the cuts"):
        prepare(pieces, Jets(min_pt=1e4), config, folder, silent)


def test_truth_reaches_neither_scores_nor_thresholds(finished, copied, there, job_text, tmp_path):
    """The same events with every label flipped give the same scores and the same hunt."""
    import h5py

    search = tmp_path / "flipped.h5"
    write_lhco(search, [make_particles(500, seed=2, signal=0.06)], 500, "column")
    with h5py.File(search, "r+") as file:
        file["df/block0_values"][:, 2100] = 1 - file["df/block0_values"][:, 2100]
    quick = ["score.workers=1", "score.store=[]"]
    job = parse_job(job_text, [there, f"data.search.path={search}", *quick])
    execute(job, "hunt", Console(quiet=True), overwrite=True)
    ours, theirs = (run.read_json("hunt/result.json") for run in (copied, finished))
    assert ours["cuts"] == theirs["cuts"]
    assert ours["evaluation"]["signal"] == theirs["evaluation"]["background"]


def test_settings_that_are_not_done_yet_are_not_shown_as_done(copied, there, job_text, capsys):
    changes = [there, "hunt.toys=1000", "hunt.cuts=[0.8]"]
    execute(parse_job(job_text, changes), "score", Console(quiet=True))
    show_run(copied, Console())
    said = capsys.readouterr().out
    assert "done for other settings" in said
    assert "Most significant" not in said


def test_lost_event_files_are_noticed_and_made_again(copied, there, job_text, capsys):
    events = copied / "events/search"
    lost = events.names(".parquet")[1]
    kept = events.read(lost)
    events.remove(lost)
    execute(parse_job(job_text, [there]), "prepare", Console())
    assert f"prepare search: files are gone: {lost}" in capsys.readouterr().out
    assert events.read(lost) == kept


def test_errors_inside_tasks_are_the_users_own(copied, there, job_text):
    copied.write("scores/search.parquet", b"cut off")
    job = parse_job(job_text, [there, "hunt.toys=1500"])
    with pytest.raises(StorageError, match="not a whole Parquet file") as caught:
        execute(job, "hunt", Console(quiet=True))
    assert type(caught.value) is StorageError


@pytest.mark.usefixtures("copied")
def test_workers_that_do_not_fit_are_refused_at_once(there, job_text):
    job = parse_job(job_text, [there, "train.workers=50", "train.epochs=4"])
    with pytest.raises(TrainingError, match="asks for as many CPUs, and there are 4 here"):
        execute(job, "train", Console(quiet=True))


STUDIES = [
    "calibrate.sets=20", "calibrate.events=600", "calibrate.toys=99",
    "reach.sets=10", "reach.strengths=[0.0, 0.2]", "reach.masses=[3000.0]",
]  # fmt: skip


def test_studies_of_the_hunt_are_told_with_it(copied, there, job_text, capsys):
    job = parse_job(job_text, [there, *STUDIES])
    page = copied.read("report.html").decode()
    assert "been calibrated: raybead calibrate" in page
    for verb in ("calibrate", "reach"):
        execute(job, verb, Console(quiet=True))
    found = (copied / "calibration").read_json("result.json")
    assert len(found["p"]) == found["sets"] == 20
    assert all(1 / 100 <= p <= 1 for p in found["p"])
    assert sum(a["alarms"] for a in found["summary"]["alarms"]) <= 8
    without, with_signal = (copied / "reach").read_json("result.json")["points"]
    assert without["injected"] == 0
    assert with_signal["injected"] > 20
    assert with_signal["fitted"] > without["fitted"] + 10
    assert with_signal["median_z"] > without["median_z"]
    page = copied.read("report.html").decode()
    assert "been calibrated: raybead calibrate" not in page
    assert 'id="calibration"' in page
    assert 'id="reach"' in page
    show_run(copied, Console())
    assert "20 hunts without a signal" in capsys.readouterr().out
    # Whoever says no longer how it was studied has studied it; to study it so would be new.
    plain = Stages.of(parse_job(job_text, [there]))
    assert plain.calibration.why_stale() == "changed: calibrate"
    for stage in (plain.calibration, plain.reach):
        stage.mark()
        assert is_current(copied, stage.name)
    assert plain.report().why_stale() is None
    # Other settings of the hunt: the study is of another one.
    other = Stages.of(parse_job(job_text, [there, *STUDIES, "hunt.widths=[1, 3]"]))
    assert other.calibration.why_stale() == "changed: hunt"
    other.calibration.mark()
    assert not is_current(copied, "calibration")


@pytest.mark.usefixtures("copied")
def test_runs_hunted_in_together_need_names_and_scores(finished, there, job_text, tmp_path):
    job = parse_job(job_text, [there, f"hunt.runs=['{finished}']"])
    with pytest.raises(RunError, match="two runs are called small"):
        execute(job, "hunt", Console(quiet=True))
    job = parse_job(job_text, [there, f"hunt.runs=['{tmp_path}/none']"])
    with pytest.raises(RunError, match="no scores there that are current"):
        execute(job, "hunt", Console(quiet=True))
