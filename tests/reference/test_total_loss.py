"""How terms add up: what scores, what trains, what is altered."""

import dataclasses

import pytest
import torch
from pydantic import TypeAdapter

from raybead.config import Graph, Losses, MseLoss
from raybead.errors import JobError
from raybead.graphs import JetBatch, Scaling, collate
from raybead.losses import JetLoss, Space, bce, kl, mse, ntxent, supcon, weights_l2
from raybead.models import Output

ALL = [
    {"kind": "weights-l2", "weight": 0.01},
    {"kind": "mse", "weight": 2.0},
    {"kind": "supcon", "weight": 0.5, "temperature": 0.3},
    {"kind": "kl", "weight": 0.1},
    {"kind": "ntxent", "weight": 0.2, "views": ["noise", "rotation"]},
]


@pytest.fixture(scope="module")
def jets(event_rows):
    graph = Graph(nodes=8)
    some = collate(event_rows.slice(0, 10), graph)
    scaling = Scaling.fit(graph, some.x_TF)
    batch = scaling.apply(some)
    return Space(graph, scaling), dataclasses.replace(
        batch, generator_B=torch.arange(len(batch)) % 3
    )


class Net(torch.nn.Module):
    """A latent of a jet's mean features, with a posterior, and a reconstruction of sorts."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.mu, self.log_variance = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
        self.back = torch.nn.Linear(2, 3)

    def forward(self, batch):
        mean = torch.segment_reduce(batch.x_TF, "mean", offsets=batch.ptr, axis=0)
        mu = self.mu(mean)
        decoded = self.back(mu)[batch.jet_of_node()]
        return Output(
            decoded, batch.x_TF, batch.ptr, mu, mu=mu, log_variance=self.log_variance(mean)
        )


def loss_of(terms, space):
    return JetLoss(TypeAdapter(Losses).validate_python(terms), space)


def seen(loss, net, batch):
    """As training lets a model see a batch and its views: once."""
    views = loss.views(batch)
    parts = net(JetBatch.cat([batch, *views])).split([len(batch)] * (1 + len(views)))
    return dataclasses.replace(parts[0], views=tuple(parts[1:]))


def test_terms_that_score_and_terms_that_train(jets):
    space, batch = jets
    loss, net = loss_of(ALL, space), Net()
    assert loss.names == ("weights-l2", "mse", "supcon", "kl", "ntxent")
    assert loss.scoring == ("mse", "kl")
    assert loss.contrasts
    assert not loss_of(ALL[:2], space).contrasts
    output = seen(loss, net, batch)
    score, trained = loss(output, batch), loss.training(output, batch, net)
    assert tuple(score.terms) == loss.scoring
    assert tuple(trained.terms) == loss.names
    expected = {
        "weights-l2": weights_l2(net).expand(len(batch)),
        "mse": mse(output),
        "supcon": supcon(output, batch, temperature=0.3),
        "kl": kl(output),
        "ntxent": ntxent(output, temperature=0.07),
    }
    for name, value in expected.items():
        torch.testing.assert_close(trained.terms[name], value)
        assert value.shape == (len(batch),)
        assert (value != 0).any()
    torch.testing.assert_close(score.total_B, 2 * expected["mse"] + 0.1 * expected["kl"])
    more = 0.01 * expected["weights-l2"] + 0.5 * expected["supcon"] + 0.2 * expected["ntxent"]
    torch.testing.assert_close(trained.total_B, score.total_B + more)
    trained.total_B.mean().backward()
    assert all((weight.grad != 0).any() for weight in net.parameters())


def test_what_only_scores_is_the_same_in_training(jets):
    space, batch = jets
    loss, net = loss_of({"kind": "vae", "beta": 0.3}, space), Net()
    assert loss.views(batch) == []
    output = seen(loss, net, batch)
    assert output.views == ()
    torch.testing.assert_close(
        loss.training(output, batch, net).total_B, loss(output, batch).total_B
    )


def test_two_views_of_each_item_are_drawn(jets):
    space, batch = jets
    loss = loss_of([{"kind": "mse"}, {"kind": "ntxent", "noise": 0.2}], space)
    first, second = loss.views(batch)
    assert (first.x_TF != second.x_TF).all()
    for view in (first, second):
        assert 0.17 < (view.x_TF - batch.x_TF).std() < 0.23
        assert torch.equal(view.event_B, batch.event_B)


def test_altered_changes_what_it_says_and_nothing_else(jets):
    space, batch = jets
    loss, net = loss_of(ALL, space), Net()
    output = seen(loss, net, batch)
    before = loss.training(output, batch, net)
    other = loss.altered(
        weights_l2={"weight": 0.0}, supcon={"temperature": 1.0, "weight": 2.0}, mse={}
    )
    after = other.training(output, batch, net)
    assert other.names == loss.names
    torch.testing.assert_close(after.terms["supcon"], supcon(output, batch, temperature=1.0))
    for name in ("weights-l2", "mse", "kl", "ntxent"):
        assert torch.equal(after.terms[name], before.terms[name])
    expected = (
        before.total_B
        - 0.01 * before.terms["weights-l2"]
        - 0.5 * before.terms["supcon"]
        + 2.0 * after.terms["supcon"]
    )
    torch.testing.assert_close(after.total_B, expected)
    assert torch.equal(loss.training(output, batch, net).total_B, before.total_B)
    torch.manual_seed(1)
    quiet = loss.altered(ntxent={"views": ("noise",), "noise": 1e-6}).views(batch)
    torch.testing.assert_close(quiet[0].x_TF, batch.x_TF, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"chamfer": {"weight": 1.0}}, "loss.chamfer: no term of this loss"),
        ({"supcon": {"temperature": 0.0}}, "loss.supcon.temperature: Input should be greater"),
        ({"mse": {"temperature": 1.0}}, "loss.mse.temperature: Extra inputs"),
        ({"weights_l2": {"weight": -1.0}}, "loss.weights-l2.weight is -1.0"),
        ({"kl": {"weight": float("nan")}}, "loss.kl.weight is nan"),
    ],
)
def test_what_can_not_be_altered_is_said_in_a_line(jets, settings, says):
    space, _ = jets
    with pytest.raises(JobError) as caught:
        loss_of(ALL, space).altered(**settings)
    assert says in str(caught.value)


def test_the_constant_takes_only_what_compares(jets):
    space, batch = jets
    loss, net = loss_of(ALL, space), Net()
    output = seen(loss, net, batch)
    nothing = dataclasses.replace(
        output, reconstruction_NF=torch.zeros_like(output.reconstruction_NF)
    )
    torch.testing.assert_close(loss.constant(output, batch), 2 * mse(nothing))


def test_logits_come_back_as_features(event_rows):
    graph = Graph(nodes=8, scaling="min-max")
    some = collate(event_rows.slice(0, 4), graph)
    scaling = Scaling.fit(graph, some.x_TF)
    batch = scaling.apply(some)
    loss = loss_of({"kind": "bce"}, Space(graph, scaling))
    output = Net()(batch)
    torch.testing.assert_close(loss(output, batch).total_B, bce(output))
    torch.testing.assert_close(loss.reconstruction(output), output.reconstruction_NF.sigmoid())
    plain = JetLoss([MseLoss(kind="mse")], Space(graph, scaling))
    assert plain.reconstruction(output) is output.reconstruction_NF
