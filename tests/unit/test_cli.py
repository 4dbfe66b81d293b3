"""Bad input at the command line: one clear line, a non-zero exit, nothing half-written."""

import pytest

from raybead.cli import main

JOB = """
name = "bad"
output = "{folder}/runs"
[data.background]
source = "lhco"
path = "{background}"
[data.search]
source = "lhco"
path = "{search}"
"""


@pytest.fixture
def command(tmp_path, lhco_files, capsys):
    """Run ``raybead`` on a job; returns exit status and what it said on stderr."""
    job = tmp_path / "job.toml"
    job.write_text(JOB.format(folder=tmp_path, **lhco_files))

    def run(*arguments):
        words = [str(job) if word == "JOB" else str(word) for word in arguments]
        with pytest.raises(SystemExit) as ended:
            main(words)
        return ended.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("run", "JOB", "--set", "train.epoch=3"), 2, "did you mean 'train.epochs'"),
        (("run", "JOB", "--set", "data.search.path=/no/such.h5"), 1, "no such file"),
        (("run", "JOB", "--set", "data.search.labels=/no/key"), 1, "/no/key: no such file"),
        (("run", "JOB", "--set", "data.search.stop=501"), 1, "the file has 500 rows"),
        (("run", "missing.toml"), 2, "no such job file"),
        (("run", "JOB", "--sett", "a=1"), 2, "--sett"),
        (("hnt", "JOB"), 2, "hnt"),
        (("show", "/no/such/run"), 1, "no run in it"),
        (("generate", "x.h5", "--events", "5", "--mass", "10"), 2, "below mass"),
        (("generate", "x.h5", "--events", "0"), 2, "greater than 0"),
        (("profile", "JOB", "--steps", "0"), 1, "--steps 0: 1 to 200"),
        (("profile", "JOB", "--steps", "many"), 2, "many"),
        (("profile", "JOB", "--events", "0"), 1, "--events 0: one at least"),
        (("profile", "JOB", "--set", "train.epoch=3"), 2, "did you mean 'train.epochs'"),
        (("profile", "JOB", "--set", "data.search.stop=501"), 1, "the file has 500 rows"),
    ],
)
def test_faults_end_in_one_line(command, tmp_path, arguments, code, says):
    status, said = command(*arguments)
    assert status == code
    assert says in said
    assert len(said.strip().splitlines()) == 1
    assert "Traceback" not in said
    assert not (tmp_path / "runs" / "bad" / "events").exists()


def test_a_folder_with_other_things_in_it_is_left_alone(command, tmp_path):
    folder = tmp_path / "runs" / "bad"
    folder.mkdir(parents=True)
    (folder / "thesis.tex").write_text("precious")
    status, said = command("run", "JOB")
    assert (status, "holds files, but no run of raybead" in said) == (1, True)
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_what_tells_of_a_run_that_only_begins_makes_the_folder_nobody_elses(command, tmp_path):
    """A sweep tells of itself before it prepares; its progress may just be being written."""
    folder = tmp_path / "runs" / "bad"
    folder.mkdir(parents=True)
    for name in ("progress.json", ".progress.json.0a1b2c3d.tmp"):
        (folder / name).write_text("{}")
    status, said = command("prepare", "JOB", "--set", "data.search.stop=501")
    assert (status, "the file has 500 rows" in said) == (1, True)


def test_a_run_of_another_job_is_left_alone(command, tmp_path, lhco_files):
    folder = tmp_path / "runs" / "bad"
    folder.mkdir(parents=True)
    other = JOB.format(folder=tmp_path, background="other.h5", search=lhco_files["search"])
    (folder / "job.toml").write_text(other)
    status, said = command("run", "JOB")
    assert (status, "belongs to another job, whose background sample" in said) == (1, True)
    assert (folder / "job.toml").read_text() == other
