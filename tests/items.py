"""Items made by hand: events whose jets are short, or not there."""

import torch

from raybead.graphs import JetBatch

NODES = 15
"""Places of a jet."""


def events_of(jets, seed=0, features=5, efps=0):
    """A batch of events.

    Args:
        jets: of each event, how many constituents each of its jets has; 0 is no jet.
        seed: of the features.
        features: F.
        efps: E of each jet.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.tensor([sum(one) for one in jets])
    slots = [j * NODES + i for one in jets for j, n in enumerate(one) for i in range(n)]
    n, width = len(jets), max(map(len, jets))
    has = torch.tensor([[*one, *[0] * width][:width] for one in jets]) > 0
    polynomials = torch.randn(n, width, efps, generator=generator) * has[..., None]
    return JetBatch(
        x_TF=torch.randn(len(slots), features, generator=generator),
        ptr=torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)]),
        p4_B4=torch.randn(n, 4, generator=generator),
        event_B=torch.arange(n),
        rank_B=torch.zeros(n, dtype=torch.long),
        n_constituents_B=sizes,
        slot_T=torch.tensor(slots),
        efps_BJE=polynomials if efps else None,
        has_jet_BJ=has if efps else None,
    )
