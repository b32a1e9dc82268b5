"""The device is asked; what is chosen is recorded, kept on --resume, and a change is told."""

import warnings

import pytest

torch = pytest.importorskip("torch", reason="pip install lvs[train]")

from lvs_train import precision
from lvs_train.config import from_mapping
from lvs_train.distributed import World
from lvs_train.loop import Trainer
from lvs_train.precision import PrecisionWarning, choose, is_native

CPU = torch.device("cpu")
RECIPE = {
    "precision": "auto", "samples": 0, "workers": 1, "image": {"size_px": 32},
    "stages": [{"name": "a", "steps": 1, "batch_size": 2, "seconds": [0.1, 0.1]}],
}  # fmt: skip


@pytest.fixture
def capable(monkeypatch):
    """A processor with the named extensions."""
    return lambda *names: monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(names, True))


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16", "sve_bf16"])
def test_auto_is_bf16_where_the_cpu_computes_in_it(capable, name):
    capable("avx2", name)
    assert choose("auto", CPU, World()) == "bf16"
    assert choose("auto", CPU, World(), before="fp32") == "fp32"


@pytest.mark.parametrize("names", [(), ("avx2",), ("avx512_f", "avx512_vnni", "avx512_bw")])
def test_auto_is_fp32_elsewhere_and_a_name_is_told(capable, names):
    capable(*names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose("auto", CPU, World()) == choose("fp32", CPU, World()) == "fp32"
    for name in ("bf16", "fp16"):
        with pytest.warns(PrecisionWarning, match="emulates it.*--set precision=auto") as told:
            assert choose(name, CPU, World()) == name
        assert len(told) == 1


def test_one_process_without_it_decides_for_all(capable, monkeypatch):
    capable("avx512_bf16")
    answers = iter([[True, False], [True, True]])  # bf16, then fp32
    monkeypatch.setattr(World, "gather_objects", lambda self, value: next(answers))
    assert choose("auto", CPU, World(0, 2)) == "fp32"


def test_another_precision_on_resume_is_told(capable):
    capable("avx2")
    with pytest.warns(PrecisionWarning, match="computed in bf16 and goes on in fp32"):
        assert choose("auto", CPU, World(), before="bf16") == "fp32"


def test_the_processor_s_own_answer_is_a_bool():
    assert is_native("bf16", CPU) is any(torch.cpu.get_capabilities().get(n, False) for n in precision.NATIVE["bf16"])
    assert is_native("fp32", CPU)


def test_the_choice_is_recorded_beside_what_was_asked(capable, tmp_path, capsys):
    capable("avx2")
    trainer = Trainer(from_mapping(RECIPE), tmp_path, CPU, False)
    assert "precision fp32 (auto asked), cpu" in capsys.readouterr().err
    meta = trainer.checkpoint.meta
    assert (trainer.recipe.precision, meta["precision"], meta["recipe"]["precision"]) == ("fp32", "fp32", "auto")
