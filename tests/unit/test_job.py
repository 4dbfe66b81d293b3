from pathlib import Path

import pytest

from raybead.config import load_job, parse_job
from raybead.errors import JobError

MINIMAL = """
name = "a"
[data.background]
source = "pythia"
events = 10
[data.search]
source = "lhco"
path = "x.h5"
"""


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("trian.epochs=3", "unknown key 'trian'; did you mean 'train'?"),
        ("train.epoch=3", "unknown key 'train.epoch'; did you mean 'train.epochs'?"),
        ("train.latent=3", "did you mean 'model.latent'?"),
        ("data.search.lables=1", "did you mean 'data.search.labels'?"),
        ("model.kind=node-bottlenek", "did you mean 'node-bottleneck'?"),
        ("model.preset=edgnet", "did you mean 'edgenet'?"),
        ("loss.kind=chamfr", "did you mean 'chamfer'?"),
        ("loss.kind=kl", "needs a posterior"),
        ("loss.kind=vae", "needs a posterior"),
        ("model.variational=true", "nothing restrains the posterior"),
        ("loss=[{kind='mse'}, {kind='mse', weight=2}]", "mse stands there twice"),
        ("loss=[]", "loss: "),
        ("loss={kind='vae', beta=0}", "beta and weight are above 0"),
        ("loss={kind='distance', columns=[]}", "loss.columns"),
        ("loss={kind='distance', columns=['pt', 'pt']}", "stands there twice"),
        ("loss={kind='distance', columns=['px']}", "none of the model's features"),
        ("model.preset=['edgenet']", "is none of"),
        ("model={kind='node-bottleneck', encoder=[[32], [32]]}", "mirror image"),
        ("model={kind='node-bottleneck', decoder=[]}", "model.decoder"),
        ("graph={features='cartesian', pt_power=2}", "pt_power goes with"),
        ("loss=[{kind='mse', wieght=2}]", "did you mean 'loss.weight'?"),
        ("train.epochs=0", "train.epochs: has to be greater than 0 (got 0)"),
        ("train.learning_rate=nan", "train.learning_rate"),
        ("hunt.cuts=[0.9, 1.2]", "hunt.cuts.1"),
        ("hunt.widths=[5, 2]", "widths must run upwards"),
        ("score.combine=median", "score.combine"),
        ("name=a/b", "name: "),
        ("epochs", "write it as section.key=value"),
        ("data.search.stop=0", "data.search.stop"),
    ],
)
def test_a_fault_is_one_line_with_its_path(override, says):
    with pytest.raises(JobError) as caught:
        parse_job(MINIMAL, [override])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("hunt.cuts=0.9", "hunt.cuts: has to be a list, as [0.9] (got 0.9)"),
        ("hunt.cuts=['a']", "hunt.cuts.0: has to be a number (got 'a')"),
        ("hunt.cuts=[]", "hunt.cuts: has to have 1 or more (got [])"),
        ("hunt.mass_window=[1]", "hunt.mass_window: has to have 2 or more (got [1])"),
        ("hunt.mass_window=[1, 2, 3]", "hunt.mass_window: has to have at most 2 (got [1, 2, 3])"),
        ("hunt.toys=x", "hunt.toys: has to be a whole number, or 'auto' (got 'x')"),
        ("hunt.toys=1.5", "hunt.toys: has to be a whole number, or 'auto' (got 1.5)"),
        ("hunt.toys=0", "hunt.toys: has to be greater than 0 (got 0)"),
        ("train.use_gpu=3", "train.use_gpu: has to be true or false, or 'auto' (got 3)"),
        ("train.max_events=x", "train.max_events: has to be a whole number (got 'x')"),
        ("name=3", "name: has to be text (got 3)"),
        ("hunt=3", "hunt: has to be a table (got 3)"),
        ("data.search.path=3", "data.search.path: has to be text, or a list, as [3] (got 3)"),
        ("data.search.path=['a', 3]", "data.search.path.1: has to be text (got 3)"),
        ("graph.preset=bead",
         "graph.preset: has to be 'bead-4momentum', 'bead-4momentum-btag', 'bead-jets' or"
         " 'bead-event' (got 'bead')"),
    ],
)  # fmt: skip
def test_what_a_value_has_to_be_is_told_in_plain_words(override, says):
    with pytest.raises(JobError) as caught:
        parse_job(MINIMAL, [override])
    assert str(caught.value).removeprefix("job: ") == says


def test_a_key_of_another_kind_is_refused():
    with pytest.raises(JobError, match="doesn't go with this kind of model"):
        parse_job(MINIMAL, ["model.preset=edgenet", "model.decode=3"])


def test_the_same_events_cannot_train_and_be_hunted_in():
    text = 'name = "a"\n' + "".join(
        f'[data.{role}]\nsource = "pythia"\nevents = 5\n' for role in ("background", "search")
    )
    with pytest.raises(JobError, match="have the same seed"):
        parse_job(text)


def test_a_missing_key_is_named():
    with pytest.raises(JobError, match=r"data\.search\.path.*missing"):
        parse_job(MINIMAL.replace('path = "x.h5"', ""))


def test_overrides_change_what_the_file_says():
    job = parse_job(MINIMAL, ["train.epochs=7", "model.latent=3", "output=s3://bucket/runs"])
    assert (job.train.epochs, job.model.latent, job.output) == (7, 3, "s3://bucket/runs")


def test_missing_and_broken_files_are_said(tmp_path):
    with pytest.raises(JobError, match="no such job file"):
        load_job(tmp_path / "no.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(JobError, match="not TOML"):
        load_job(tmp_path / "bad.toml")


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].glob("jobs/*.toml")), ids=str)
def test_shipped_jobs_are_valid(path):
    job = load_job(path)
    assert job.name.replace("-", "_") == path.stem
