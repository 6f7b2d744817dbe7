"""Runs inside the emulated system: python guest.py KIND FILE INPUTS.npz OUTPUTS.npz RUNS.

Loads a network in ONNX Runtime ("ort") or LiteRT ("litert"), one thread, runs it RUNS times on
inputs that lie ready in memory, and writes the outputs. Needs numpy and the runtime, nothing
of this repository.
"""

import sys

import numpy as np


def onnxruntime(path, inputs):
    """Return functions that run once, and that give the outputs."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
    names = [output.name for output in session.get_outputs()]
    for name in names:
        binding.bind_output(name, "cpu")

    def outputs():
        return dict(zip(names, binding.copy_outputs_to_cpu(), strict=True))

    return (lambda: session.run_with_iobinding(binding)), outputs


def litert(path, inputs):
    """Return functions that run once, and that give the outputs."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    indices = {d["name"]: d["index"] for d in interpreter.get_input_details()}
    for name, array in inputs.items():
        interpreter.set_tensor(indices[name], array)

    def outputs():
        details = interpreter.get_output_details()
        return {d["name"]: interpreter.get_tensor(d["index"]) for d in details}

    return interpreter.invoke, outputs


def main():
    """Run what the command line says."""
    kind, path, inputs_file, outputs_file, num_runs = sys.argv[1:]
    with np.load(inputs_file) as data:
        inputs = dict(data)
    run, outputs = {"ort": onnxruntime, "litert": litert}[kind](path, inputs)
    for _ in range(int(num_runs)):
        run()
    np.savez(outputs_file, **outputs())


if __name__ == "__main__":
    main()
