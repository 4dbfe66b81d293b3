"""A run on two nodes, in a cluster of its own beside the tests' Ray, and faults that strike runs.

``make faults`` has many more of them.
"""

import pytest
from faults.cases import CASES, struck, watching
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


@pytest.mark.parametrize("case", ["node-train", "bucket-refuses"])
def test_a_fault_leaves_no_trace(runs, case):
    told = struck(CASES[case], runs, case)
    assert told.compared.same, told
