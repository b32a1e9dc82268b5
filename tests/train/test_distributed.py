"""Two real processes on gloo: loss and gradients of the joint batch; a process that dies is an error, not a hang."""

import os
import socket
import subprocess
import sys

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
