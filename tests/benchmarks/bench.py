"""Speeds as ratios against a reference in the same run: ``make bench``.

Absolute times mean little on a shared machine; each row pairs raybead with a reference on the
same inputs, in turn, and takes medians. What a row leaves out is said beside it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import awkward as ak
import fastjet
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from bead_slow import slow_read
from efps import efp_rows
from toys import toy_rows

from raybead.config import (
    BeadCsvSource,
    Graph,
    Jets,
    LhcoSource,
    MseLoss,
    NodeBottleneckModel,
    Prepare,
    PythiaSource,
)
from raybead.console import Console
from raybead.distributed.session import session
from raybead.events import EventSample, Particles, Span, open_source, read_parquet, write_lhco
from raybead.events.kinematics import massless
from raybead.events.particles import members_of, offsets_of
from raybead.graphs import JetBatch, Scaling, collate
from raybead.losses import mse
from raybead.models import AllPairsEdgeConv, Bundle, Inputs, Recipe, build_model
from raybead.preparing import Shard, prepare_shard
from raybead.scoring import JetScorer
from raybead.storage import Folder

warnings.filterwarnings("ignore", category=DeprecationWarning)
from torch_geometric.data import Batch, Data  # noqa: E402  warns of itself when imported
from torch_geometric.nn import EdgeConv  # noqa: E402

GENERATED = 500
"""Events that Pythia makes; larger samples repeat them, which changes no speed."""
REPEATS = 3
EDGENET = NodeBottleneckModel(kind="node-bottleneck", input_norm="batch")


@dataclass(frozen=True)
class Row:
    what: str
    figure: str
    wanted: str
    met: bool | None
    """None where the figure only informs"""


def paired(ours: Callable[[], object], reference: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of both, taken in turn after one run of each to warm up."""
    ours(), reference()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        for kept, work in zip(times, (ours, reference), strict=True):
            started = time.perf_counter()
            work()
            kept.append(time.perf_counter() - started)
    return statistics.median(times[0]), statistics.median(times[1])


def repeated(particles: Particles, n: int) -> Particles:
    """The first ``n`` events of the same events over and over."""
    index = np.arange(n) % len(particles)
    counts = np.diff(particles.offsets)[index]
    picked = members_of(particles.offsets[:-1][index], counts)
    return replace(
        particles,
        event=np.arange(n),
        offsets=offsets_of(counts),
        pt=particles.pt[picked],
        eta=particles.eta[picked],
        phi=particles.phi[picked],
        truth=None if particles.truth is None else particles.truth[index],
    )


def bench_prepare(folder: Path, particles: Particles) -> list[Row]:
    """HDF5 to Parquet on one core without Ray, against fastjet's clustering alone."""
    n = 2000
    sample = repeated(particles, n)
    write_lhco(folder / "prepare.h5", [sample], n, "none")
    source = LhcoSource(source="lhco", path=str(folder / "prepare.h5"))
    shard = shard_of(source, n, folder / "prepared")
    inputs = massless(sample.pt, sample.eta, sample.phi)
    record = ak.contents.RecordArray(
        [ak.contents.NumpyArray(component) for component in inputs],
        ["px", "py", "pz", "E"],
        parameters={"__record__": "Momentum4D"},
    )
    events = ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(sample.offsets), record))

    def clustering_alone() -> None:
        definition = fastjet.JetDefinition(fastjet.antikt_algorithm, 1.0)
        sequence = fastjet.ClusterSequence(events, definition)
        sequence.inclusive_jets(min_pt=200.0)
        sequence.constituent_index(min_pt=200.0)

    ours, alone = paired(lambda: prepare_shard(shard, Jets()), clustering_alone)
    ratio = alone / ours
    # Repeated events would pack too well: the size is that of those generated.
    distinct = shard_of(source, GENERATED, folder / "distinct")
    prepare_shard(distinct, Jets())
    size = (folder / "distinct" / distinct.name).stat().st_size / GENERATED
    return [
        Row(
            "prepare's rate over fastjet's alone, one core", f"{ratio:.2f}", ">= 0.8", ratio >= 0.8
        ),
        Row("disk, bytes an event", f"{size:.0f}", "<= 4000", size <= 4000),
    ]


def bench_csv(folder: Path) -> list[Row]:
    """Event CSV to Parquet on one core without Ray, against reading it row by row alone.

    The reference only parses (csv module, ``float``); it writes nothing and finds no axes.
    """
    n, sizes = 2000, (70, 50, 37)
    rng = np.random.default_rng(0)
    path = folder / "events.csv"
    with path.open("w") as file:
        file.write("evtwt, met, metphi, njets, npart, isbtagged, pid,pt,eta,phi\n")
        for _ in range(n):
            cells = [f"1,{rng.exponential(40):.6g},{rng.uniform(0, 6.28):.6g},{len(sizes)}"]
            for size in sizes:
                pt = rng.exponential(600 / size, size)
                eta, phi = rng.normal(rng.normal(), 0.2, size), rng.normal(3, 0.2, size)
                cells.append(f"{size},0")
                cells += [
                    f"211,{p:.7g},{e:.7g},{f:.7g}" for p, e, f in zip(pt, eta, phi, strict=True)
                ]
            file.write(",".join(cells) + "\n")
    config = BeadCsvSource(source="bead_csv", path=str(path))
    seconds: list[float] = []

    def convert() -> None:
        started = time.process_time()
        (pieces,) = EventSample.of([config], "search").pieces(n)
        prepare_shard(Shard(pieces, Folder.at(str(folder / "csv"))), Jets())
        seconds.append(time.process_time() - started)

    ours, rows = paired(convert, lambda: list(slow_read(path)))
    each = statistics.median(seconds) * 10_000 / n
    return [
        Row(
            f"event CSV to Parquet over reading its rows in Python ({sum(sizes)} particles each)",
            f"{rows / ours:.1f}",
            "-",
            None,
        ),
        Row("the same, CPU seconds for 10,000 events", f"{each:.2f}", "< 1.14", each < 1.14),
    ]


def bench_step(folder: Path, threads: int) -> list[Row]:
    """An EdgeNet training step on 256 real jets, against torch-geometric on complete graphs."""
    torch.set_num_threads(threads)
    jets = jets_of(folder, "all").select(torch.arange(256))
    torch.manual_seed(0)
    net = build_model(EDGENET, Inputs(3))
    encoder, decoder = (
        EdgeConv(part.layers[0].conv.nn, aggr="mean") for part in (net.encoder, net.decoder)
    )
    edges = jets.edge_index()
    found: dict[str, list[torch.Tensor]] = {}

    def ours() -> None:
        net.zero_grad()
        mse(net(jets)).mean().backward()
        found["ours"] = [weight.grad.clone() for weight in net.parameters()]

    def theirs() -> None:
        net.zero_grad()
        output = decoder(encoder(net.norm(jets.x_TF), edges), edges)
        per_node = (output - jets.x_TF).square().mean(dim=1)
        torch.segment_reduce(per_node, "mean", offsets=jets.ptr).mean().backward()
        found["theirs"] = [weight.grad.clone() for weight in net.parameters()]

    mine, reference = paired(ours, theirs)
    # Both against double precision: a ReLU within rounding of its kink falls on either side.
    net.double()
    jets = replace(jets, x_TF=jets.x_TF.double())
    single = [torch.cat([grad.flatten() for grad in found[who]]) for who in ("ours", "theirs")]
    theirs()
    exact = torch.cat([grad.flatten() for grad in found["theirs"]])
    error, other = (float((grad - exact).norm() / exact.norm()) for grad in single)
    ratio = reference / mine
    what = f"EdgeNet step over torch-geometric's, {threads} thread{'s' * (threads > 1)}"
    figure = f"{ratio:.1f} (gradients off float64's by {error:.0e}, theirs {other:.0e})"
    return [Row(what, figure, ">= 4", ratio >= 4 and error < 1e-3)]


def bench_layer(threads: int) -> list[Row]:
    """An EdgeConv alone, forward and backward, on 256 made-up jets of 30 to 120 nodes.

    Against torch-geometric's with its edges made beforehand; and against the rate of a product
    of two 1024 x 1024 matrices in torch, in single precision as all of it. Counted is what the
    result needs, so not the activations that the backward pass computes again.
    """
    torch.set_num_threads(threads)
    on = f"{threads} thread{'s' * (threads > 1)}"
    torch.manual_seed(0)
    sizes = torch.randint(30, 121, (256,))
    square = torch.randn(1024, 1024)
    zeros = torch.zeros(256, dtype=torch.long)
    ptr = torch.cat([zeros[:1], sizes.cumsum(0)])
    nodes, pairs = int(ptr[-1]), int((sizes * (sizes - 1)).sum())
    edges = JetBatch(torch.zeros(nodes, 1), ptr, torch.zeros(256, 4), zeros, zeros, sizes)
    edges = edges.edge_index()
    rows = []
    for features, widths, aggregation in (
        (3, (32, 32, 2), "mean"),
        (32, (32, 32, 32), "mean"),
        (3, (32, 32, 2), "max"),
        (32, (32, 32, 32), "max"),
    ):
        layer = AllPairsEdgeConv(features, widths, last_relu=True, aggregation=aggregation)
        theirs = EdgeConv(layer.nn, aggr=aggregation)
        x = torch.randn(nodes, features, requires_grad=True)
        grad = torch.randn(nodes, widths[-1])
        wanted = [x, *layer.parameters()]

        def ours(layer=layer, x=x, grad=grad, wanted=wanted) -> None:
            torch.autograd.grad(layer(x, ptr), wanted, grad)

        def reference(theirs=theirs, x=x, grad=grad, wanted=wanted) -> None:
            torch.autograd.grad(theirs(x, edges), wanted, grad)

        mine, other = paired(ours, reference)
        shape = f"{features} -> {', '.join(map(str, widths))}, {aggregation}, {on}"
        what = f"EdgeConv {shape}: over torch-geometric's"
        rows.append(Row(what, f"{other / mine:.1f}", ">= 6", other / mine >= 6))
        if aggregation == "max":
            continue  # its backward pass needs few of the pairs: another count
        products = sum(inside * outside for inside, outside in pairwise(widths))
        # Forward, then gradients of inputs and of weights: three products of each kind.
        needed = 3 * 2 * (pairs * products + nodes * 2 * features * widths[0])
        _, matmul = paired(ours, lambda: [square @ square for _ in range(10)])
        rate, ceiling = needed / mine / 1e9, 10 * 2 * len(square) ** 3 / matmul / 1e9
        figure = f"{rate:.0f} of {ceiling:.0f} ({rate / ceiling:.2f})"
        rows.append(Row("the same: GF/s that it needs, of a large product's", figure, "-", None))
    return rows


def bench_scoring(folder: Path) -> list[Row]:
    """Scoring event rows, against a loop over jets that does the same one by one.

    As the study's: for each jet its complete graph's edges, a torch-geometric batch of one, the
    model, the loss, and the jet's own quantities. Both start from the rows in memory.
    """
    torch.set_num_threads(1)
    graph, model, loss = Graph(nodes="all"), EDGENET, (MseLoss(kind="mse"),)
    rows = table_of(folder).slice(0, 150)
    jets = collate(rows, graph)
    recipe = Recipe(graph=graph, model=model, loss=loss)
    torch.manual_seed(0)
    weights = recipe.build().state_dict()
    scaling = Scaling.fit(graph, jets.x_TF)
    scorer = JetScorer(Bundle(recipe, scaling, weights, {}), batch_items=256)
    net = scorer.model
    encoder, decoder = (
        EdgeConv(part.layers[0].conv.nn, aggr="mean") for part in (net.encoder, net.decoder)
    )
    found: dict[str, np.ndarray] = {}

    def ours() -> None:
        table = scorer.table(rows)
        found["ours"] = np.stack(
            [table["loss_j1"].to_numpy(), table["loss_j2"].to_numpy()], axis=1
        )

    def loop() -> None:
        losses = []
        scaled = scaling.apply(jets)
        with torch.no_grad():
            for start, stop in zip(scaled.ptr[:-1].tolist(), scaled.ptr[1:].tolist(), strict=True):
                nodes = scaled.x_TF[start:stop]
                size = stop - start
                pairs = [(j, i) for i in range(size) for j in range(size) if i != j]
                data = Batch.from_data_list([Data(x=nodes, edge_index=torch.tensor(pairs).t())])
                latent = encoder(net.norm(data.x), data.edge_index)
                output = decoder(latent, data.edge_index)
                losses.append(float(torch.nn.functional.mse_loss(output, data.x)))
        found["loop"] = np.array(losses).reshape(-1, 2)

    mine, reference = paired(ours, loop)
    np.testing.assert_allclose(found["ours"], found["loop"], rtol=1e-3)
    ratio = reference / mine
    return [Row("scoring over the per-jet loop, one thread", f"{ratio:.1f}", ">= 10", ratio >= 10)]


JOB = """
name = "scaling-{workers}"
output = "{folder}"
[data.background]
source = "lhco"
path = "{folder}/scaling.h5"
[data.search]
source = "lhco"
path = "{folder}/prepare.h5"
stop = 1
[prepare]
workers = {workers}
"""


def bench_workers(folder: Path, particles: Particles) -> list[Row]:
    """Prepare of 20,000 events with one and two workers: on a Ray that runs, and from nothing."""
    n = 20_000
    write_lhco(folder / "scaling.h5", [repeated(particles, n)], n, "none")
    source = LhcoSource(source="lhco", path=str(folder / "scaling.h5"))

    def stage(workers: int, source: LhcoSource = source) -> float:
        target = Folder.at(str(folder / "staged"))
        target.delete()
        started = time.perf_counter()
        pieces = EventSample.of([source], "search").pieces("auto")
        prepare(pieces, Jets(), Prepare(workers=workers), target, lambda *_: None)
        return time.perf_counter() - started

    with session("local") as _:
        from raybead.distributed.prepare import prepare

        stage(2, source.model_copy(update={"stop": 4000}))  # both workers import what they need
        pairs = [(stage(2), stage(1)) for _ in range(REPEATS)]
    ratio = statistics.median(two / one for two, one in pairs)
    seconds = {}
    for workers in (1, 2):
        job = folder / f"scaling-{workers}.toml"
        job.write_text(JOB.format(folder=folder, workers=workers))
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "raybead", "prepare", str(job)], check=True, capture_output=True
        )
        seconds[workers] = time.perf_counter() - started
    total = seconds[2] / seconds[1]
    what = "prepare of 20,000 events, two workers over one"
    return [
        Row(f"{what}, Ray running", f"{ratio:.2f}", "< 0.65", ratio < 0.65),
        Row(f"{what}, with Ray's start and end", f"{total:.2f}", "-", None),
    ]


def table_of(folder: Path):
    (path,) = (folder / "prepared").iterdir()
    return read_parquet(path.read_bytes(), path.name)


def shard_of(source, n: int, folder: Path) -> Shard:
    """The first ``n`` events of a source as one shard."""
    (pieces,) = EventSample.of([source.model_copy(update={"stop": n})], "search").pieces(n)
    return Shard(pieces, Folder.at(str(folder)))


def jets_of(folder: Path, nodes: str) -> JetBatch:
    graph = Graph(nodes=nodes)
    jets = collate(table_of(folder), graph)
    return Scaling.fit(graph, jets.x_TF).apply(jets)


def main() -> None:
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        console.say(f"generating {GENERATED} events ...")
        source = PythiaSource(
            source="pythia", events=GENERATED, slice_events=GENERATED, signal_fraction=0.1
        )
        particles, _ = open_source(source).read(Span(0, GENERATED))
        rows = []
        for title, bench in (
            ("prepare", lambda: bench_prepare(folder, particles)),
            ("csv", lambda: bench_csv(folder)),
            ("step", lambda: bench_step(folder, 1) + bench_step(folder, 2)),
            ("layer", lambda: bench_layer(1) + bench_layer(2)),
            ("scoring", lambda: bench_scoring(folder)),
            ("efps", lambda: [Row(*row) for row in efp_rows(paired)]),
            ("toys", lambda: [Row(*row) for row in toy_rows(paired)]),
            ("workers", lambda: bench_workers(folder, particles)),
        ):
            console.say(f"{title} ...")
            rows += bench()
    console.table(
        "Ratios in this run",
        ["what", "figure", "wanted", "met"],
        [
            [row.what, row.figure, row.wanted, {True: "yes", False: "NO", None: ""}[row.met]]
            for row in rows
        ],
    )


if __name__ == "__main__":
    main()
