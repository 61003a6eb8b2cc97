"""Several hosts that train one model together, by torch.distributed over gloo, on every runner."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.site import PYTORCH

if TYPE_CHECKING:
    from tests.site import Site

SCRIPT = """
import datetime, json, os, pathlib
import torch, torch.distributed as dist
config = json.load(open("/opt/ml/input/config/resourceconfig.json"))
hosts, me = config["hosts"], config["current_host"]
os.environ.setdefault("GLOO_SOCKET_IFNAME", config["network_interface_name"])
dist.init_process_group(
    "gloo", init_method=f"tcp://{hosts[0]}:29511", rank=hosts.index(me), world_size=len(hosts),
    timeout=datetime.timedelta(seconds=60),
)
torch.manual_seed(hosts.index(me))
x = torch.randn(256, 3)
y = x @ torch.tensor([1.0, -2.0, 3.0])
w = torch.zeros(3, requires_grad=True)
for step in range(200):
    loss = ((x @ w - y) ** 2).mean()
    loss.backward()
    dist.all_reduce(w.grad)
    with torch.no_grad():
        w -= 0.05 * w.grad / len(hosts)
        w.grad.zero_()
total = torch.tensor([float(hosts.index(me) + 1)])
dist.all_reduce(total)
print(f"{me}: sum {total.item():.0f}", flush=True)
pathlib.Path(f"/opt/ml/model/{me}.json").write_text(json.dumps(w.tolist()))
dist.barrier()
dist.destroy_process_group()
"""


def test_two_hosts_train_together_by_gloo(site: Site) -> None:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    job = site.run(SCRIPT, ResourceConfig=resources, algorithm={"TrainingImage": PYTORCH})
    weights = {name: json.loads(text) for name, text in site.artifact(job).items()}
    assert sorted(weights) == ["algo-1.json", "algo-2.json"]
    assert weights["algo-1.json"] == weights["algo-2.json"]
    assert all(abs(a - b) < 0.01 for a, b in zip(weights["algo-1.json"], [1, -2, 3], strict=True))
    for host in ("algo-1", "algo-2"):
        assert f"{host}: sum 3" in site.lines(job["TrainingJobName"], host)
