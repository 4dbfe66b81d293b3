import pytest
import torch

from raybead.config import Graph, JetBottleneckModel, KlLoss, MseLoss, Train
from raybead.errors import TrainingError
from raybead.graphs import Scaling, collate
from raybead.losses import JetLoss, Space
from raybead.models import Bundle, Inputs, Recipe, build_model
from raybead.scoring import JetScorer
from raybead.storage import Folder
from raybead.training import Trainer, batches, split_by_event

LOSS = (MseLoss(kind="mse"),)
MODEL = JetBottleneckModel(
    kind="jet-bottleneck", encoder=((8, 8),), head=(8,), decoder=(16, 16), decode=10
)
GRAPH = Graph(nodes=10)


@pytest.fixture
def make_trainer(event_rows):
    def make(model=MODEL, losses=LOSS, **more):
        config = Train(**{"epochs": 4, "batch_items": 16, "validation": 0.2, **more})
        jets = collate(event_rows, GRAPH)
        split = split_by_event(jets.event_B, config, seed=5)
        scaling = Scaling.fit(GRAPH, jets.select(split.train).x_TF)
        loss = JetLoss(losses, Space(GRAPH, scaling))
        torch.manual_seed(5)
        return Trainer(
            build_model(model, Inputs(3)), scaling.apply(jets), split, loss, config, seed=5
        )

    return make


def weights_of(trainer):
    return torch.cat([weight.detach().flatten() for weight in trainer.model.parameters()])


def test_same_seed_same_numbers_and_losses_fall(make_trainer):
    first, second = make_trainer(), make_trainer()
    records = [list(trainer.epochs()) for trainer in (first, second)]
    assert records[0] == records[1]
    assert torch.equal(weights_of(first), weights_of(second))
    assert records[0][-1].train < records[0][0].train


def test_a_resumed_training_ends_where_an_unbroken_one_does(make_trainer, tmp_path):
    whole = make_trainer()
    list(whole.epochs())
    broken = make_trainer()
    epochs = broken.epochs()
    next(epochs), next(epochs)
    torch.save(broken.state(), tmp_path / "state.pt")
    resumed = make_trainer()
    resumed.restore(torch.load(tmp_path / "state.pt"))
    assert [record.epoch for record in resumed.epochs()] == [2, 3]
    assert resumed.progress.history == whole.progress.history
    assert torch.equal(weights_of(resumed), weights_of(whole))


def test_training_stops_early_and_the_rate_falls_on_a_plateau(make_trainer):
    trainer = make_trainer(epochs=60, patience=3, plateau_patience=0, min_delta=1e3)
    records = list(trainer.epochs())
    assert len(records) == 4  # the first is the best, and three are waited for
    assert [record.best for record in records] == [True, False, False, False]
    assert trainer.progress.best_weights.keys() == trainer.model.state_dict().keys()


def test_a_gradient_is_that_of_the_whole_batch_for_any_team(make_trainer):
    alone = make_trainer()
    batch = alone.split.train[:7]
    alone._step(batch, alone.loss)
    reference = [weight.grad.clone() for weight in alone.model.parameters()]
    shares = []
    for rank in range(2):
        member = make_trainer()
        member.team = type("Team", (), {"rank": rank, "size": 2, "total": lambda _, v: v})()
        member._step(batch, member.loss)
        shares.append([weight.grad for weight in member.model.parameters()])
    for whole, *parts in zip(reference, *shares, strict=True):
        torch.testing.assert_close(sum(parts) / 2, whole, rtol=1e-4, atol=1e-6)


def test_a_variational_gradient_is_that_of_the_whole_batch_too(make_trainer):
    """Noise and all: each jet has its own, whoever has the jet."""
    model = MODEL.model_copy(update={"posterior": "gaussian"})
    losses = (MseLoss(kind="mse"), KlLoss(kind="kl", weight=0.1))
    gradients = []
    for size in (1, 2):
        total = 0.0
        for rank in range(size):
            member = make_trainer(model, losses)
            member.team = type("Team", (), {"rank": rank, "size": size})()
            torch.manual_seed(9)
            member._step(member.split.train[:7], member.loss)
            flat = [weight.grad.flatten() for weight in member.model.parameters()]
            total = total + torch.cat(flat) / size
        gradients.append(total)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_splits_are_by_event_and_complete(event_rows):
    jets = collate(event_rows, GRAPH)
    split = split_by_event(jets.event_B, Train(validation=0.2, test=0.2), seed=1)
    assert sorted(torch.cat(split).tolist()) == list(range(len(jets)))
    events = [set(jets.event_B[side].tolist()) for side in split]
    assert len(set.union(*events)) == sum(map(len, events))
    with pytest.raises(TrainingError, match="too few"):
        split_by_event(jets.event_B[:2], Train(), seed=1)


def test_batches_lose_nothing_and_are_alike_in_size():
    parts = batches(torch.arange(103), 10, (1, 2))
    assert sorted(torch.cat(parts).tolist()) == list(range(103))
    assert {len(part) for part in parts} == {9, 10}
    assert not torch.equal(torch.cat(parts), torch.arange(103))


def test_a_diverging_loss_is_said(make_trainer):
    trainer = make_trainer(learning_rate=1e18, epochs=20, patience=20)
    with pytest.raises(TrainingError, match="no longer a number"):
        list(trainer.epochs())


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_options_train_too(make_trainer, precision):
    records = list(make_trainer(clip_norm=0.5, precision=precision).epochs())
    assert records[-1].train < records[0].train


def test_a_bundle_scores_as_the_model_does_and_as_a_loop_over_jets(
    make_trainer, event_rows, tmp_path
):
    trainer = make_trainer()
    list(trainer.epochs())
    jets = collate(event_rows, GRAPH)
    scaling = Scaling.fit(GRAPH, jets.select(trainer.split.train).x_TF)
    recipe = Recipe(graph=GRAPH, model=MODEL, loss=LOSS)
    folder = Folder.at(str(tmp_path / "model"))
    Bundle(recipe, scaling, trainer.progress.best_weights, {"epochs": 4}).save(folder)
    scorer = JetScorer(Bundle.load(folder), batch_items=7)
    scores = scorer.table(event_rows)
    assert scores.column("event").equals(event_rows.column("event"))
    trainer.model.load_state_dict(trainer.progress.best_weights)
    trainer.model.eval()
    slow = []
    with torch.inference_mode():
        for b in range(len(jets)):
            jet = scaling.apply(jets.select(torch.tensor([b])))
            output = trainer.model(jet)
            slow.append(float((output.reconstruction_NF - output.target_NF).square().mean()))
    assert scorer.table(event_rows.slice(0, 0)).schema == scores.schema
    fast = (
        torch.tensor([scores["loss_j1"].to_pylist(), scores["loss_j2"].to_pylist()]).t().flatten()
    )
    torch.testing.assert_close(fast, torch.tensor(slow), rtol=1e-4, atol=1e-6)
