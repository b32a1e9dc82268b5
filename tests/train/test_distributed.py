"""Two real processes on gloo: loss and gradients of the joint batch; a process that dies is an error, not a hang."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="pip install lvs[train]")

from lvs_runtime.errors import ConfigError
from lvs_train.distributed import World, local_device, synchronised
from lvs_train.losses import TriMapConfig, trimap_loss
from lvs_train.model import cross_similarity, unit

SCRIPT = """
import os, signal, sys, torch
from lvs_train.distributed import world_of
from lvs_train.losses import TriMapConfig, trimap_loss
from lvs_train.model import cross_similarity, unit
from lvs_runtime.errors import DeviceError

torch.set_num_threads(1)
torch.manual_seed(0)
nets = [torch.nn.Conv2d(3, 16, 1), torch.nn.Linear(5, 16)]
images, sounds, extra = torch.randn(6, 3, 4, 4), torch.randn(6, 5), torch.randn(2, 5)
with world_of(torch.device("cpu"), 30) as world:
    mine = slice(world.rank * 3, world.rank * 3 + 3)
    cells = unit(nets[0](images[mine]))
    audio = torch.cat([world.gather(unit(nets[1](sounds[mine]))),
                       world.gather(unit(nets[1](extra[world.rank:world.rank + 1])))])
    own = torch.arange(3) + 3 * world.rank
    results = []
    for config in (TriMapConfig(), TriMapConfig(directions="both"), TriMapConfig(form="paper")):
        for net in nets:
            net.zero_grad()
        loss = trimap_loss(cross_similarity(cells, audio), config, own, gather=world.gather)
        loss.backward(retain_graph=True)
        parameters = [p for n in nets for p in n.parameters()]
        world.average_gradients(parameters)
        results.append((world.gather(loss.detach()[None]).mean(), [p.grad.clone() for p in parameters]))
    assert world.gather_objects(world.rank) == [0, 1]
    if world.rank == 0:
        torch.save(results, sys.argv[1])
    else:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        world.gather(torch.ones(1))
    except DeviceError as error:
        print(error)
        sys.exit(2)
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def spawn(arguments, size=2, **options):
    common = {**os.environ, "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [
        subprocess.Popen([sys.executable, *arguments], env={**common, "RANK": str(rank)}, text=True, **options)
        for rank in range(size)
    ]


def test_two_processes_equal_one_on_the_joint_batch_and_a_lost_one_is_told(tmp_path):
    first, second = spawn(["-c", SCRIPT, str(tmp_path / "r.pt")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said, errors = first.communicate(timeout=60)
    second.communicate(timeout=60)
    assert first.returncode == 2, errors
    assert "another process of this run was lost" in said
    assert "--resume" in said

    torch.manual_seed(0)
    nets = [torch.nn.Conv2d(3, 16, 1), torch.nn.Linear(5, 16)]
    images, sounds, extra = torch.randn(6, 3, 4, 4), torch.randn(6, 5), torch.randn(2, 5)
    cells, audio = unit(nets[0](images)), unit(nets[1](torch.cat([sounds, extra])))
    configs = (TriMapConfig(), TriMapConfig(directions="both"), TriMapConfig(form="paper"))
    for config, (loss, gradients) in zip(configs, torch.load(tmp_path / "r.pt"), strict=True):
        for net in nets:
            net.zero_grad()
        joint = trimap_loss(cross_similarity(cells, audio), config)
        joint.backward(retain_graph=True)
        torch.testing.assert_close(loss, joint.detach(), rtol=1e-5, atol=1e-5)
        for got, parameter in zip(gradients, (p for n in nets for p in n.parameters()), strict=True):
            torch.testing.assert_close(got, parameter.grad, rtol=1e-5, atol=1e-5)


def test_one_process_is_the_identity_and_shares_must_be_even():
    x = torch.ones(2)
    assert World().gather(x) is x
    assert World().share(7) == 7
    assert World(1, 4).share(8) == 2
    with pytest.raises(ConfigError, match="evenly"):
        World(0, 2).share(7)
    assert local_device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises(ConfigError, match="GPUs only"):
        synchronised(torch.nn.BatchNorm2d(1), torch.device("cpu"))


RECIPE = """
seed = 1
samples = 0
calibration_examples = 20
save_every_s = 0.0
workers = 1
[image]
size_px = 32
[[stages]]
name = "a"
steps = 8
batch_size = 4
seconds = [0.1, 0.1]
average = 0.9
"""


def process_of_rank(rank, launcher):
    """The child of torchrun that runs a rank."""
    for status in Path("/proc").glob("[0-9]*/status"):
        folder = status.parent
        if f"\nPPid:\t{launcher}\n" in status.read_text() and f"\0RANK={rank}\0" in (folder / "environ").read_text():
            return int(folder.name)
    raise LookupError(f"torchrun {launcher} has no rank {rank}")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks a child process up in /proc: run on Linux")
@pytest.mark.timeout(900)  # for busy machines: each of three starts imports torch twice
def test_a_killed_process_under_torchrun_is_told_and_resume_gives_the_same_losses(tmp_path):
    (tmp_path / "r.toml").write_text(RECIPE)
    whole, killed = tmp_path / "whole", tmp_path / "killed"

    def torchrun(out, *more):
        launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
        own = ["-m", "lvs_train.cli", "--config", str(tmp_path / "r.toml"), "--out", str(out), "--threads", "1", *more]
        return subprocess.Popen([sys.executable, *launch, *own], stderr=subprocess.PIPE, text=True)

    def losses(out):
        return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]

    first = torchrun(whole)
    assert first.wait(300) == 0, first.stderr.read()
    second = torchrun(killed)
    until = time.monotonic() + 300
    while time.monotonic() < until and not ((killed / "model.pt").is_file() and len(losses(killed)) > 2):
        time.sleep(0.01)
    os.kill(process_of_rank(1, second.pid), signal.SIGKILL)
    _, said = second.communicate(timeout=120)
    assert second.returncode == 1  # torchrun's own
    assert "error: process 0 of 2" in said
    assert "another process of this run was lost" in said
    assert len(losses(killed)) < 8
    third = torchrun(killed, "--resume")
    assert third.wait(300) == 0, third.stderr.read()
    assert losses(killed) == losses(whole)
