"""A run on two nodes, in a cluster of its own beside the tests' Ray, and faults that strike runs.

``make faults`` has many more of them.
"""

from functools import partial

import pytest
from faults.cases import in_bucket, node_lost, refuses, struck, watching
from faults.nodes import nodes
from faults.runs import Runs, driver, finish

pytestmark = pytest.mark.usefixtures("cluster")


@pytest.fixture
def runs(finished, job_text, lhco_files, tmp_path):
    """The job of the finished run, which was trained by two workers on one node."""
    output, inputs = finished.uri.rpartition("/")[0], lhco_files["search"].parent
    template = job_text.replace(output, "{output}").replace(str(inputs), "{inputs}")
    return Runs(tmp_path, inputs, template, finished)


def test_two_nodes_come_to_the_result_of_one(runs):
    begun = runs.begun("two", "hunt", 2, fresh=True)
    with (
        nodes(runs.root, [2, 2]) as cluster,
        driver(begun.job, "hunt", begun.log, cluster.environment, cluster.address) as process,
        watching(cluster.pid, begun, "train") as training,
    ):
        finish(process, begun.log)
        others = cluster.raylets[1:]
    assert training.raylets == set(others)  # one each, and the head has no CPU to lend
    found = begun.compared()
    assert found.same, found


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(partial(node_lost, verb="train"), id="a node lost in training"),
        pytest.param(
            partial(in_bucket, disturb=refuses, verb="train"), id="a bucket that refuses"
        ),
    ],
)
def test_a_fault_leaves_no_trace(runs, case):
    told = struck(case, runs, "struck")
    assert told.compared.same, told
