"""Native TensorRT and TensorRT-RTX: an engine for each part, its buffers on the GPU, one stream each.

numpy ──► buffer on the GPU ──► engine ──► buffer on the GPU ──► numpy        (a CUDA graph where the shape is fixed)

This file follows the libraries' documentation. It has never run on a GPU: no machine of this project has one.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle import Bundle
from ..errors import BundleError, DeviceError
from ..manifest import Part
from . import engines
from .base import GraphBackend
from .cuda import Cuda
from .host import read_cached, write_cached

# The inspector has written formats as "Half", "FP16" or "Row major linear FP16 format", by version.
FORMATS = {"Half": ("Half", "FP16"), "Float": ("Float", "FP32"), "Int8": ("Int8", "INT8"), "BFloat16": ("BF16",)}


class TensorrtBackend(GraphBackend):
    """Device "tensorrt" or "rtx"."""

    def __init__(self, bundle: Bundle, device: str, threads: int, why: str = "asked for") -> None:
        """Find or build the engines and open them; raises `DeviceError`, `BundleError`."""
        super().__init__(bundle, device, threads, why)
        self._trt = engines.load_library(device)
        self.runtime = self._trt.__name__
        self._cuda = Cuda(device)
        self._log = engines.logger(self._trt)
        self._library = self._trt.Runtime(self._log)
        self._sources: dict[str, str] = {}
        self._graphs = {name: self._open(bundle, name) for name in self._parts}

    @property
    def provider(self) -> str:
        """The library and the GPU, e.g. "TensorRT NVIDIA L4"."""
        return f"{'TensorRT-RTX' if self._device == 'rtx' else 'TensorRT'} {self._cuda.gpu.name}"

    @property
    def version(self) -> str:
        """Of the library."""
        return str(self._trt.__version__)

    def describe(self) -> dict[str, Any]:
        """As every back end's, and the GPU, where the engines came from, and their tensors by number format."""
        gpu = self._cuda.gpu
        return {
            **super().describe(),
            "gpu": {"name": gpu.name, "compute_capability": gpu.compute_capability, "cuda": gpu.driver},
            "engines": self._sources,
            "formats": {name: graph.formats for name, graph in self._graphs.items()},
        }

    def _nodes_of_parts(self) -> dict[str, dict[str, int] | None]:
        """Layers of each engine, after fusion: all on the GPU, an engine has no other place."""
        return {name: {self.provider: graph.num_layers} for name, graph in self._graphs.items()}

    def _infer(self, part_name: str, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return self._graphs[part_name].run(*arrays)

    def _release(self) -> None:
        for graph in self._graphs.values():
            graph.close()
        self._graphs, self._library = {}, None

    def _open(self, bundle: Bundle, name: str) -> EngineGraph:
        facts = engines.facts_for(self._trt, self._device, self._cuda.gpu, engines.sha256_of(bundle, name))
        found = engines.find(bundle, self._device, name, facts)
        if found is None:
            plan = engines.build_and_keep(self._trt, self._device, bundle, name, facts, self._log)
            found = plan, "built now"
        plan, self._sources[name] = found
        engine = self._library.deserialize_cuda_engine(plan)
        if engine is None:  # the library raises nothing
            raise DeviceError(
                f"--device {self._device}: {self.runtime} {self.version} cannot open the engine of part {name} (from: "
                f"{self._sources[name]}): {'; '.join(self._log.errors) or 'no reason given'}; rebuild it: "
                f"lvs-export --bundle {bundle.path} --format {engines.LIBRARIES[self._device][1]}"
            )
        part = self._parts[name]
        longest = round(engines.SECONDS[-1] * bundle.audio.sample_rate)
        graph = EngineGraph(self._trt, self._cuda, engine, part, longest, f"jit/{engines.key(facts)}.cache")
        graph.check_signature(f"{self._where}: engine of {part.file}")
        if self._device == "tensorrt" and part.precision == "fp16" and not graph.formats.get("Half"):
            raise DeviceError(
                f"--device tensorrt: part {name} is fp16, the engine's inspector shows no Half tensor "
                f"({graph.formats}); rebuild it: lvs-export --bundle {bundle.path} --format engine"
            )
        return graph


class EngineGraph:
    """One engine with its context, stream and buffers; one inference at a time, other callers wait."""

    def __init__(self, trt: Any, cuda: Cuda, engine: Any, part: Part, longest: int, jit_cache: str) -> None:
        """`longest`: values of a dimension that may vary, for the size of the buffers; `jit_cache`: its name (RTX)."""
        self._trt, self._cuda, self._engine, self._part = trt, cuda, engine, part
        self._lock = threading.Lock()
        self._static = all(isinstance(n, int) for spec in part.all_inputs for n in spec.shape)
        self._runs = 0
        self._recorded: Any = None  # the CUDA graph
        self._jit_cache: Any = None
        self._jit_name = jit_cache
        self._context = self._make_context()
        self._stream = cuda.call("cudaStreamCreate")
        most = engines.BATCHES[-1]
        self._inputs = [cuda.empty(engines.varied(spec.shape, most, longest), spec.dtype) for spec in part.all_inputs]
        self._output = cuda.empty(engines.varied(part.output.shape, most, longest), "float32")
        self.formats = self._inspect()
        self.num_layers = int(engine.num_layers)

    def run(self, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """One inference of inputs of the part's types and shapes."""
        sources = [np.ascontiguousarray(array) for array in arrays]
        shapes = [source.shape for source in sources]
        output = np.empty(engines.varied(self._part.output.shape, len(sources[0]), 0), np.float32)
        with self._lock:
            for address, source in zip(self._inputs, sources, strict=True):
                self._cuda.copy_in(address, source, self._stream)
            if self._recorded is None:
                self._enqueue(shapes)
            else:
                self._cuda.call("cudaGraphLaunch", self._recorded, self._stream)
            self._cuda.copy_out(output, self._output, self._stream)
            self._runs += 1
            if self._runs == 1:
                self._after_first(shapes)
        return output

    def check_signature(self, what: str) -> None:
        """`BundleError` unless the engine's own inputs and output are those that the manifest promised."""
        inputs: list[Any] = []
        outputs: list[Any] = []
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            shape = tuple(self._engine.get_tensor_shape(name))
            is_input = self._engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT
            kind = np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name))).name
            (inputs if is_input else outputs).append((name, kind, shape))
        for found, want in ((inputs, self._part.all_inputs), (outputs, (self._part.output,))):
            shapes = [tuple(n if isinstance(n, int) else -1 for n in spec.shape) for spec in want]
            wanted = [(spec.name, spec.dtype, shape) for spec, shape in zip(want, shapes, strict=True)]
            if sorted(found) != sorted(wanted):
                said = "; ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in want)
                raise BundleError(f"{what} has {found}, the manifest says {said}")

    def close(self) -> None:
        """Give memory and stream back."""
        with self._lock:
            if self._recorded is not None:
                self._cuda.call("cudaGraphExecDestroy", self._recorded)
            for address in (*self._inputs, self._output):
                self._cuda.call("cudaFree", address)
            self._cuda.call("cudaStreamDestroy", self._stream)
            self._context = self._engine = self._recorded = None

    def _make_context(self) -> Any:
        """TensorRT-RTX compiles its kernels at the first run: it gets a cache for them, and graphs of its own."""
        if not hasattr(self._trt, "IRuntimeConfig") or not hasattr(self._trt, "CudaGraphStrategy"):
            return self._made(self._engine.create_execution_context())
        config = self._engine.create_runtime_config()
        self._jit_cache = config.create_runtime_cache()
        kept = read_cached(self._jit_name)
        if kept is not None:
            self._jit_cache.deserialize(kept)  # one of another GPU or version is left out by the library itself
        config.set_runtime_cache(self._jit_cache)
        if self._static:
            config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        return self._made(self._engine.create_execution_context(config))

    def _made(self, context: Any) -> Any:
        if context is None:
            raise DeviceError(f"{self._trt.__name__}: no context for {self._part.file}: is the GPU's memory full?")
        return context

    def _enqueue(self, shapes: Sequence[tuple[int, ...]]) -> None:
        context = self._context
        for spec, address, shape in zip(self._part.all_inputs, self._inputs, shapes, strict=True):
            if not self._static and not context.set_input_shape(spec.name, shape):
                raise DeviceError(f"{self._part.file}: the engine was not built for an input of shape {list(shape)}")
            context.set_tensor_address(spec.name, address)
        context.set_tensor_address(self._part.output.name, self._output)
        if not context.execute_async_v3(int(self._stream)):
            raise DeviceError(f"{self._part.file}: {self._trt.__name__} could not start the inference")

    def _after_first(self, shapes: Sequence[tuple[int, ...]]) -> None:
        """Everything is allocated and compiled by now: keep what was compiled, record what can be recorded."""
        if self._jit_cache is not None:
            write_cached(self._jit_name, bytes(self._jit_cache.serialize()))
        elif self._static:
            self._cuda.begin_capture(self._stream)
            self._enqueue(shapes)
            self._recorded = self._cuda.end_capture(self._stream)

    def _inspect(self) -> dict[str, int]:
        """Tensors between the engine's layers by number format ("Half", "Float", "Int8"), as the inspector says."""
        text = self._engine.create_engine_inspector().get_engine_information(self._trt.LayerInformationFormat.JSON)
        counts: Counter[str] = Counter()
        for layer in json.loads(text).get("Layers", []):
            for tensor in layer.get("Outputs", []) if isinstance(layer, dict) else []:
                words = str(tensor.get("Format/Datatype", "")).replace(",", " ").split()
                found = next((kind for kind in FORMATS for word in words if word in FORMATS[kind]), None)
                if found:
                    counts[found] += 1
        return dict(counts)
