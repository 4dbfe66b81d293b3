"""Ensembles' scores, against every member by itself and loops."""

import math
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest
import torch
from jet_losses import losses_of
from scipy.stats import rankdata

from raybead.config import (
    Graph,
    JetBottleneckModel,
    KlLoss,
    MseLoss,
    NodeBottleneckModel,
    Score,
    logarithms_of,
    parse_job,
)
from raybead.console import Console
from raybead.distributed.score import LOSSES, ScoreActor, missing_pieces, score_events
from raybead.errors import RunError
from raybead.events import read_parquet, table_bytes
from raybead.graphs import Scaling, collate
from raybead.models import Bundle, Recipe
from raybead.pipeline import execute
from raybead.scoring import (
    SCORED,
    Calibration,
    Calibrations,
    Ensemble,
    EventScorer,
    JetScorer,
    kept_members,
    refuse_missing_members,
    scoring_members,
)
from raybead.stages import Stages
from raybead.storage import Folder, Role

DENSE = JetBottleneckModel(
    kind="jet-bottleneck", layer="dense", encoder=((16, 8),), head=(8,), decoder=(16,), decode=6,
    latent=3, posterior="gaussian",
)  # fmt: skip
NODES = NodeBottleneckModel(
    kind="node-bottleneck", encoder=((8, 8),), latent=2, posterior="gaussian"
)
LOSS = (MseLoss(kind="mse"), KlLoss(kind="kl", weight=0.1))
# Other features, model and treatment each; the third takes events whole.
MEMBERS = (
    (DENSE, {"features": "jet-axis"}, Score(of="loss", complexity="none")),
    (
        NODES,
        {"features": "cylindrical"},
        Score(of="mahalanobis", combine="sum", complexity="spline", complexity_fit="background"),
    ),
    (DENSE, {"level": "event", "jets": 2}, Score(of={"mse": 1.0, "kl": 0.5}, combine="max")),
)
ROLES: tuple[Role, ...] = ("background", "search")


def bundle_of(model, rows, **graph):
    graph = Graph(nodes=6, **graph)
    torch.manual_seed(0)
    recipe = Recipe(graph=graph, model=model, loss=LOSS)
    scaling = Scaling.fit(graph, collate(rows, graph).x_TF)
    return Bundle(recipe, scaling, recipe.build().state_dict(), {})


@dataclass
class Run:
    """Event files of both samples, three each, and a model's folder with members."""

    root: Folder
    files: dict[Role, dict[str, pa.Table]]

    @property
    def model(self):
        return self.root / "model"

    @property
    def scores(self):
        return self.root / "scores"

    @property
    def names(self) -> dict[Role, list[str]]:
        return {role: list(files) for role, files in self.files.items()}

    def keep(self, members, rows):
        """Bundles as a sweep leaves them."""
        for number, (model, graph, score) in enumerate(members, 1):
            bundle = bundle_of(model, rows, **graph)
            if number == 1:
                bundle.save(self.model)
            folder = self.model / f"members/{number}"
            bundle.save(folder)
            folder.write_json("score.json", score.model_dump(mode="json"))

    def actor(self, members):
        """The worker of what isn't scored yet, and the number of its pieces."""
        pieces = missing_pieces(self.names, self.scores / LOSSES, len(members))
        events: dict[Role, Folder] = {role: self.root / "events" / role for role in ROLES}
        return ScoreActor(pieces, events, members, self.scores, leading=2, gpu=False), len(pieces)

    def finish(self, members):
        """Scores from losses, as the last task does."""
        logarithms = [member.logarithms() for member in members]
        return score_events(self.scores / LOSSES, self.names, members, logarithms, self.scores)

    def score(self, score):
        """All of the stage's work, one thing after another."""
        members = scoring_members(self.model, score)
        actor, n = self.actor(members)
        done = actor(pa.table({"id": list(range(n))}))
        assert done["fault"].null_count == n
        return self.finish(members)

    def table(self, role):
        return read_parquet(self.scores.read(f"{role}.parquet"), role)


@pytest.fixture
def run(event_rows, tmp_path):
    half = len(event_rows) // 2
    files: dict[Role, dict[str, pa.Table]] = {}
    for place, role in enumerate(ROLES):
        rows = event_rows.slice(place * half, half)
        parts = [rows.slice(0, 10), rows.slice(10, 7), rows.slice(17)]
        files[role] = {f"rows-{n}.parquet": part for n, part in enumerate(parts)}
    found = Run(Folder.at(str(tmp_path)), files)
    for role, parts in files.items():
        for name, part in parts.items():
            (found.root / "events" / role).write(name, table_bytes(part))
    return found


def alone(run, rows, model, graph, score):
    """Each role's event scores of one bundle, as without an ensemble, and its calibration."""
    scorer = JetScorer(
        bundle_of(model, rows, **graph),
        score.batch_items,
        quantities=tuple(score.weights),
        controls=score.controls,
    )
    tables = {
        role: pa.concat_tables([scorer.table(part) for part in parts.values()]).combine_chunks()
        for role, parts in run.files.items()
    }
    logarithms = logarithms_of(LOSS)
    calibration = Calibration.fit(
        tables[score.complexity_fit], score, tables["background"], logarithms
    )
    return {role: calibration.scores(table) for role, table in tables.items()}, calibration


@pytest.mark.parametrize("which", range(3))
def test_one_bundle_scores_as_ever_to_the_bit(which, run, event_rows):
    model, graph, score = MEMBERS[which]
    run.keep([MEMBERS[which]], event_rows)
    facts = run.score(score)
    expected, calibration = alone(run, event_rows, model, graph, score)
    for role in ROLES:
        assert run.table(role).equals(expected[role])
        assert run.table(role).schema.equals(expected[role].schema)
    assert Calibration.load(run.scores) == calibration
    n = {role: len(table) for role, table in expected.items()}
    assert facts == {"calibration": calibration.as_dict(), "events": n}
    assert run.scores.names() == [
        LOSSES, "background.parquet", "calibration.json", "search.parquet"
    ]  # fmt: skip


def test_three_members_by_hand(run, event_rows):
    run.keep(MEMBERS, event_rows)
    # What the job itself says of the treatment counts for none.
    facts = run.score(Score(ensemble=3, of="kl", combine="min", complexity="quadratic"))
    by_itself = [alone(run, event_rows, *member)[0] for member in MEMBERS]
    is_log = [True, False, True]
    for role in ROLES:
        found, first = run.table(role), by_itself[0][role]
        assert found.column_names == [*first.column_names, "score_1", "score_2", "score_3"]
        assert found.drop_columns(["score", "score_1", "score_2", "score_3"]).equals(
            first.drop_columns(["score"])
        )
        standardised = []
        for number, (scores, log) in enumerate(zip(by_itself, is_log, strict=True), 1):
            assert found[f"score_{number}"].equals(scores[role]["score"])
            told, asked = (
                [x if log else math.log(x) for x in scores[r]["score"].to_pylist()]
                for r in ("background", role)
            )
            low, middle, high = (quantile(told, q) for q in (0.16, 0.5, 0.84))
            standardised.append([(x - middle) / ((high - low) / 2) for x in asked])
        by_hand = [sum(three) / 3 for three in zip(*standardised, strict=True)]
        np.testing.assert_allclose(found["score"].to_numpy(), by_hand, rtol=1e-9, atol=1e-12)
    assert facts["ensemble"] == Calibrations.load(run.scores).as_dict()["ensemble"]
    assert facts["calibration"] == Calibration.load(run.scores).as_dict()


def quantile(values, q):
    """By straight lines between the sorted values."""
    values, at = sorted(values), q * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def test_new_events_are_scored_as_those_of_the_file(run, event_rows):
    run.keep(MEMBERS, event_rows)
    for k in (3, 2, 1):  # an earlier ensemble leaves nothing behind
        run.score(Score(ensemble=k, of="loss", complexity="none"))
        Calibrations.load(run.scores).save(run.model)
        scorer = EventScorer.load(run.model)
        assert len(scorer.jets) == k
        for role, parts in run.files.items():
            again = pa.concat_tables([scorer.table(part) for part in parts.values()])
            assert again.combine_chunks().equals(run.table(role).combine_chunks())
        assert run.model.exists("ensemble.json") == (k > 1)


def test_a_broken_off_scoring_does_what_is_missing_and_no_more(run, event_rows):
    run.keep(MEMBERS, event_rows)
    members = scoring_members(run.model, Score(ensemble=3))
    run.score(Score(ensemble=3))
    whole, losses = run.table("search"), run.scores / LOSSES
    lost = [(2, "search", "rows-1.parquet"), (3, "background", "rows-0.parquet")]
    lost += [(n, "search", "rows-2.parquet") for n in (1, 2, 3)]
    before = {}
    for number in (1, 2, 3):
        for role in ROLES:
            folder = losses / f"{number}/{role}"
            for name in folder.names():
                if (number, role, name) in lost:
                    folder.remove(name)
                else:  # the work on it would write something else
                    before[number, role, name] = folder.read(name)
                    folder.write(name, b"done")
    actor, n = run.actor(members)
    assert n == 3
    done = actor(pa.table({"id": [0, 1, 2]}))
    assert done["fault"].null_count == 3
    for (number, role, name), content in before.items():
        assert (losses / f"{number}/{role}").read(name) == b"done"
        (losses / f"{number}/{role}").write(name, content)
    run.finish(members)
    assert run.table("search").equals(whole)


def test_what_is_of_events_and_what_is_stored_is_there_once(run, event_rows):
    run.keep(MEMBERS, event_rows)
    run.score(Score(ensemble=2, store=("latent",)))
    first = bundle_of(DENSE, event_rows, features="jet-axis")
    name, part = "rows-1.parquet", run.files["search"]["rows-1.parquet"]
    expected = JetScorer(first, 4096, store=("latent",)).scoring(part).stored["latent"]
    assert read_parquet((run.scores / "latent/search").read(name), name).equals(expected)
    controls = [c for c in run.table("search").column_names if c.startswith("control")]
    assert controls == list(SCORED[1:])
    run.scores.delete()
    run.score(Score(ensemble=2, controls=False))
    columns = run.table("search").column_names
    assert {"score", "score_1", "score_2"} <= set(columns)
    assert not [c for c in columns if c.startswith(("control", "tau21", "constant"))]


def made_losses(seed) -> dict[Role, pa.Table]:
    """Rows of losses of both samples."""
    return {role: losses_of(80, seed + place) for place, role in enumerate(ROLES)}


def drawn(k=3, n=400, seed=0):
    """Event scores of k members on background and on n other events."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=n)
    return [[rng.lognormal(i, 1 + i, n), np.exp(shared + rng.normal(i, 2, n))] for i in range(k)]


@pytest.mark.parametrize("logarithm", [False, True])
def test_units_of_a_members_loss_do_not_matter(logarithm):
    background, other = zip(*drawn(), strict=True)
    if logarithm:
        background, other = ([np.log(x) for x in scores] for scores in (background, other))
    plain = Ensemble.fit(background, [logarithm] * 3).combined(other)
    for factor in (1e-8, 3.0, 1e6):
        changed = [
            [x[0], x[1] + math.log(factor) if logarithm else x[1] * factor, x[2]]
            for x in (background, other)
        ]
        again = Ensemble.fit(changed[0], [logarithm] * 3).combined(changed[1])
        np.testing.assert_allclose(again, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("combination", ["sum", "mean", "max", "sum-log"])
def test_a_rescaled_loss_gives_the_same_ensemble(combination):
    tables = [made_losses(1), made_losses(5)]
    configs = [Score(combine=combination, controls=False), Score(controls=False)]
    scores = []
    for factor in (1.0, 1e3):
        first: dict[Role, pa.Table] = {}
        for role, table in tables[0].items():
            for name in ("loss_j1", "loss_j2"):
                place = table.column_names.index(name)
                scaled = pa.array(table[name].to_numpy() * factor)
                table = table.set_column(place, name, scaled)
            first[role] = table
        losses = [first, tables[1]]
        found = Calibrations.fit(losses, configs, [(), ()])
        scores.append(found.scores([of["search"] for of in losses])["score"].to_numpy())
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("logarithm", [False, True])
def test_copies_of_one_model_rank_events_as_it_does(logarithm):
    background, other = drawn(1)[0]
    # Far below and far above all of background: nothing is cut off.
    other = np.concatenate([other, [1e-300, 1e-200, 1e-30, 1e30, 1e200, 1e300]])
    if logarithm:
        background, other = np.log(background), np.log(other)
    for k in (1, 2, 5):
        ensemble = Ensemble.fit([background] * k, [logarithm] * k)
        found = ensemble.combined([other] * k)
        np.testing.assert_array_equal(rankdata(found), rankdata(other))


def test_the_order_of_members_does_not_matter_and_all_count():
    members = drawn()
    mixed = [
        Ensemble.fit([x[0] for x in some], [False] * 3).combined([x[1] for x in some])
        for some in permutations(members)
    ]
    for found in mixed[1:]:
        np.testing.assert_allclose(found, mixed[0], rtol=1e-12, atol=1e-12)
    raised = [[x[0], x[1] * (2.0 if i == 2 else 1.0)] for i, x in enumerate(members)]
    ensemble = Ensemble.fit([x[0] for x in members], [False] * 3)
    step = ensemble.combined([x[1] for x in raised]) - mixed[0]
    np.testing.assert_allclose(step, math.log(2) / ensemble.standards[2].width / 3)


@pytest.mark.parametrize(
    ("value", "logarithm", "told"),
    [
        (0.0, False, r"member 2: .* finite logarithm: 1 of 4, the first 0.0 in row 3"),
        (-1.0, False, r"finite logarithm: 1 of 4, the first -1.0"),
        (math.inf, False, r"finite logarithm: 1 of 4, the first inf"),
        (-math.inf, True, r"finite value: 1 of 4, the first -inf"),
        (math.nan, True, r"finite value: 1 of 4, the first nan"),
    ],
)
def test_scores_without_a_finite_logarithm_are_refused(value, logarithm, told):
    good, bad = np.array([1.0, 2.0, 4.0, 3.0]), np.array([1.0, 2.0, 4.0, value])
    with pytest.raises(RunError, match=told):
        Ensemble.fit([good, bad], [logarithm, logarithm])
    ensemble = Ensemble.fit([good, good], [logarithm, logarithm])
    with pytest.raises(RunError, match=told):
        ensemble.combined([good, bad])
    with pytest.raises(RunError, match="there is none"):
        Ensemble.fit([good[:0], good[:0]], [logarithm, logarithm])


def test_an_ensemble_is_kept_bit_for_bit(run):
    tables = [made_losses(1), made_losses(5)]
    found = Calibrations.fit(tables, [Score(), Score(combine="sum")], [(), ()])
    found.save(run.root)
    assert Calibrations.load(run.root) == found
    raw = found.as_dict()
    run.root.write_json("ensemble.json", {**raw, "members": raw["members"][:1]})
    with pytest.raises(RunError, match=r"not a whole ensemble: .*1 calibrations of 2 members"):
        Calibrations.load(run.root)
    raw["ensemble"]["logarithms"] = [True]
    run.root.write_json("ensemble.json", raw)
    with pytest.raises(RunError, match=r"not a whole ensemble: ensemble: .*2 standards of 1"):
        Calibrations.load(run.root)


def test_too_few_members_say_what_makes_them(run, event_rows):
    bundle_of(DENSE, event_rows).save(run.model)
    told = r"model: score.ensemble = 3, and {} members are kept there; raybead sweep with sweep.k"
    with pytest.raises(RunError, match=told.format(0)):
        scoring_members(run.model, Score(ensemble=3))
    run.keep(MEMBERS[:2], event_rows)
    (run.model / "members/3").write_json("score.json", {})  # a bundle that isn't there yet
    assert len(kept_members(run.model)) == 2
    with pytest.raises(RunError, match=told.format(2)):
        scoring_members(run.model, Score(ensemble=3))
    second = run.model / "members/2"
    second.write_json("score.json", {"of": "loss", "combine": "product"})
    with pytest.raises(RunError, match=r"members/2: not a whole score: combine"):
        kept_members(run.model)
    second.write_json("score.json", {"of": "chamfer"})
    with pytest.raises(RunError, match=r"members/2: score.of: 'chamfer' is no quantity"):
        kept_members(run.model)[1].bundle()
    second.remove("score.json")
    with pytest.raises(RunError, match=r"members/2: a member without score.json"):
        kept_members(run.model)


JOB = """
name = "few"
output = "{output}"
[data.background]
source = "lhco"
path = "{background}"
[data.search]
source = "lhco"
path = "{search}"
[score]
ensemble = 2
"""


def test_an_ensemble_that_is_not_there_is_refused_before_all_work(
    lhco_files, tmp_path, event_rows
):
    job = parse_job(JOB.format(output=tmp_path, **lhco_files))
    for verb in ("score", "run"):
        with pytest.raises(RunError, match=r"with members \(not done yet\); raybead sweep with"):
            execute(job, verb, Console(quiet=True))
    stage = Stages.of(job).model
    bundle = bundle_of(DENSE, event_rows)
    bundle.save(stage.beside)
    stage.finish({})
    with pytest.raises(RunError, match="and 0 members are kept there"):
        execute(job, "score", Console(quiet=True))
    keys = [Stages.of(job).scores.key]
    for score in (Score(), Score(combine="sum")):
        for number in (1, 2):
            folder = stage.folder / f"members/{number}"
            bundle.save(folder)
            folder.write_json("score.json", score.model_dump(mode="json"))
            keys.append(Stages.of(job).scores.key)
    assert len(set(keys)) == 5  # scores follow from their members
    refuse_missing_members(job.score, stage)
    # Of one bundle they don't.
    one = parse_job(JOB.format(output=tmp_path, **lhco_files), ["score.ensemble=1"])
    key = Stages.of(one).scores.key
    (stage.folder / "members").delete()
    assert Stages.of(one).scores.key == key
    refuse_missing_members(one.score, stage)
