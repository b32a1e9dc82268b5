"""A GPU that is none: CUDA's calls on host memory, and an engine that ONNX Runtime computes.

It holds our use of TensorRT and CUDA to their order, sizes and lifetimes: an address that was not allocated, a copy
beyond a buffer, an enqueue while nothing is bound, a leak. It proves nothing about NVIDIA's libraries; those parts run
only where a GPU is (mark gpu).
"""

from __future__ import annotations

import ctypes
import enum
import json
from types import SimpleNamespace

import numpy as np
import onnxruntime


class Status(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1


class FakeRuntime:
    """Stands for cuda.bindings.runtime."""

    cudaError_t = Status
    cudaMemcpyKind = enum.Enum("cudaMemcpyKind", "cudaMemcpyHostToDevice cudaMemcpyDeviceToHost")
    cudaStreamCaptureMode = enum.Enum("cudaStreamCaptureMode", "cudaStreamCaptureModeThreadLocal")

    def __init__(self, name="NVIDIA Test", capability=(8, 9), driver=13000):
        self.facts = SimpleNamespace(name=name.encode() + b"\0\0", major=capability[0], minor=capability[1])
        self.driver = driver
        self.memory, self.streams, self.graphs = {}, set(), {}
        self.recording, self.launches = None, 0

    def cudaGetDeviceCount(self):
        return Status.cudaSuccess, 1

    def cudaGetDeviceProperties(self, index):
        return Status.cudaSuccess, self.facts

    def cudaDriverGetVersion(self):
        return Status.cudaSuccess, self.driver

    def cudaGetErrorString(self, error):
        return Status.cudaSuccess, error.name.encode()

    def cudaMalloc(self, size):
        buffer = np.zeros(size, np.uint8)
        self.memory[buffer.ctypes.data] = buffer
        return Status.cudaSuccess, buffer.ctypes.data

    def cudaFree(self, address):
        return (Status.cudaSuccess if self.memory.pop(address, None) is not None else Status.cudaErrorInvalidValue,)

    def cudaMemcpyAsync(self, target, source, size, kind, stream):
        device = target if kind is self.cudaMemcpyKind.cudaMemcpyHostToDevice else source
        fits = device in self.memory and size <= self.memory[device].nbytes and stream in self.streams
        if not fits or self.recording is not None:
            return (Status.cudaErrorInvalidValue,)
        ctypes.memmove(target, source, size)
        return (Status.cudaSuccess,)

    def cudaStreamCreate(self):
        stream = 1000 + len(self.streams)
        self.streams.add(stream)
        return Status.cudaSuccess, stream

    def cudaStreamDestroy(self, stream):
        self.streams.remove(stream)
        return (Status.cudaSuccess,)

    def cudaStreamSynchronize(self, stream):
        return (Status.cudaSuccess if stream in self.streams else Status.cudaErrorInvalidValue,)

    def cudaStreamBeginCapture(self, stream, mode):
        self.recording = []
        return (Status.cudaSuccess,)

    def cudaStreamEndCapture(self, stream):
        recorded, self.recording = self.recording, None
        return Status.cudaSuccess, recorded

    def cudaGraphInstantiate(self, graph, flags):
        handle = 5000 + len(self.graphs)
        self.graphs[handle] = graph
        return Status.cudaSuccess, handle

    def cudaGraphLaunch(self, handle, stream):
        self.launches += 1
        for work in self.graphs[handle]:
            work()
        return (Status.cudaSuccess,)

    def cudaGraphExecDestroy(self, handle):
        del self.graphs[handle]
        return (Status.cudaSuccess,)


class FakeLibrary:
    """Stands for the module tensorrt. A "plan" is b"PLAN" and the ONNX graph; its engine is an ONNX Runtime session."""

    TensorIOMode = enum.Enum("TensorIOMode", "INPUT OUTPUT")
    ProfilingVerbosity = enum.Enum("ProfilingVerbosity", "DETAILED")
    LayerInformationFormat = enum.Enum("LayerInformationFormat", "JSON")
    NetworkDefinitionCreationFlag = enum.IntEnum("NetworkDefinitionCreationFlag", "STRONGLY_TYPED")
    BuilderFlag = enum.Enum("BuilderFlag", "TF32")

    def __init__(self, cuda, version="10.3.0", formats=("Float",), name="tensorrt"):
        self.__name__, self.__version__ = name, version
        self.cuda, self.formats, self.built, self.typed = cuda, formats, [], []

    class ILogger:
        ERROR = 1

    def nptype(self, kind):
        return kind

    def Runtime(self, log):
        return SimpleNamespace(deserialize_cuda_engine=lambda plan: self._engine(plan, log))

    def _engine(self, plan, log):
        if plan[:4] != b"PLAN":
            log.log(1, "magic tag does not match")
            return None
        return FakeEngine(self, plan[4:])

    def Builder(self, log):
        def build(network, config):
            self.built.append(network.model)
            return b"PLAN" + network.model

        def create_network(flags):
            self.typed.append(flags)
            return SimpleNamespace(num_inputs=0, model=b"")

        return SimpleNamespace(
            create_network=create_network,
            create_builder_config=lambda: SimpleNamespace(
                clear_flag=lambda flag: None,
                create_timing_cache=lambda data: data,
                set_timing_cache=lambda cache, ignore_mismatch: None,
                get_timing_cache=lambda: SimpleNamespace(serialize=lambda: b"timings"),
            ),
            build_serialized_network=build,
        )

    def OnnxParser(self, network, log):
        def parse(model):
            network.model = model
            return True

        return SimpleNamespace(parse=parse)


class FakeEngine:
    def __init__(self, library, model):
        self.library = library
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.ports = {node.name: node for node in (*self.session.get_inputs(), *self.session.get_outputs())}
        self.names = list(self.ports)
        self.num_io_tensors = len(self.names)
        self.num_layers = 3

    def get_tensor_name(self, index):
        return self.names[index]

    def get_tensor_mode(self, name):
        modes = self.library.TensorIOMode
        return modes.INPUT if name in {node.name for node in self.session.get_inputs()} else modes.OUTPUT

    def get_tensor_dtype(self, name):
        return {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}[self.ports[name].type]

    def get_tensor_shape(self, name):
        return [n if isinstance(n, int) else -1 for n in self.ports[name].shape]

    def create_engine_inspector(self):
        layers = [
            {"Outputs": [{"Format/Datatype": f"Row major linear {kind} format"}]} for kind in self.library.formats
        ]
        return SimpleNamespace(get_engine_information=lambda form: json.dumps({"Layers": layers}))

    def create_execution_context(self):
        return FakeContext(self)


class FakeContext:
    def __init__(self, engine):
        self.engine, self.addresses, self.shapes = engine, {}, {}

    def set_input_shape(self, name, shape):
        self.shapes[name] = tuple(shape)
        return shape[0] <= 32 and (len(shape) == 4 or 8_000 <= shape[1] <= 160_000)

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def execute_async_v3(self, stream):
        cuda, session = self.engine.library.cuda, self.engine.session
        target = session.get_outputs()[0]
        shapes = {source.name: self.shapes.get(source.name) or tuple(source.shape) for source in session.get_inputs()}
        if not self.addresses.keys() >= {*shapes, target.name}:
            return False
        if not all(address in cuda.memory for address in self.addresses.values()) or stream not in cuda.streams:
            return False

        def work():
            feed = {}
            for name, shape in shapes.items():
                kind = np.dtype(self.engine.get_tensor_dtype(name))
                size = int(np.prod(shape)) * kind.itemsize
                feed[name] = cuda.memory[self.addresses[name]][:size].view(kind).reshape(shape)
            output = session.run(None, feed)[0]
            cuda.memory[self.addresses[target.name]][: output.nbytes] = output.reshape(-1).view(np.uint8)

        cuda.recording.append(work) if cuda.recording is not None else work()
        return True
