"""Scales put by hand where the forms of a graph network say, as its quantizer does."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort

from octavo.passes.message_passing.find import recognize
from octavo.passes.message_passing.forms import Kind, degree_form, form_of, readout_form
from octavo.passes.wiring import only_consumer


def forms_of(graph):
    """Every form of a graph, what has none left out."""
    network = recognize(graph)
    found = [
        *map(form_of, network.passings),
        *map(readout_form, network.readouts),
        *map(degree_form, network.degrees),
    ]
    return [form for form in found if not isinstance(form, str)]


class GraphQuantizer:
    """Puts QuantizeLinear and DequantizeLinear behind values of a float model.

    Attributes:
        model: Changed in place.
        real: What onnxruntime computes of every value.
        results: What has been rounded behind aggregations, dequantized.
    """

    def __init__(self, model, feeds, dtype=np.uint8):
        self.model, self.dtype = model, dtype
        self.real = float_values(ir.to_proto(model), feeds)
        self.real |= feeds
        self.results = []
        self._done = {}

    def run(self, *, results=True):
        """Quantize all that forms name; the results, too, unless they stay float."""
        network = recognize(self.model.graph)
        forms = [form_of(passing) for passing in network.passings]
        forms += [readout_form(readout) for readout in network.readouts]
        for form in forms:
            if not isinstance(form, str):
                self._form(form, results)
        self.model.graph.sort()
        return self.model

    def _form(self, form, results):
        shared = self._params(*form.features)
        for value in form.features:
            self._insert(value, *shared)
        if form.kind is Kind.PRODUCT:
            self._matrix(form)
        elif form.coefficients is not None:
            self._insert(form.coefficients, *self._factor_params(form))
        if results:
            end = _last(form.output)
            self._insert(end, *self._params(end))
            self.results.append(self._done.get(end, end))

    def _matrix(self, form):
        numbers = np.asarray(form.coefficients.const_value.numpy())
        axis = 0 if form.head.inputs[0] is form.coefficients else 1
        scale = np.abs(numbers).max(axis=1 - axis).astype(np.float32) / 127
        scale[scale == 0] = 1
        along = scale[:, None] if axis == 0 else scale[None, :]
        stored = np.rint(numbers / along).astype(np.int8)
        parts = [
            self._constant(form.coefficients.name, stored),
            self._constant(form.coefficients.name, scale),
            self._constant(form.coefficients.name, np.zeros(scale.shape, np.int8)),
        ]
        back = ir.node("DequantizeLinear", parts, {"axis": axis})
        self._give(back.outputs[0], f"{form.head.name}.dq", form.coefficients)
        self.model.graph.append(back)
        position = list(form.head.inputs).index(form.coefficients)
        form.head.replace_input_with(position, back.outputs[0])

    def _params(self, *values):
        parts = [self._array(value).reshape(-1) for value in values]
        low = min(0.0, *(float(p.min()) for p in parts))
        high = max(0.0, *(float(p.max()) for p in parts))
        info = np.iinfo(self.dtype)
        scale = np.float32(max(high - low, 1e-3) / 255)
        zero = int(np.clip(np.rint(info.min - low / scale), info.min, info.max))
        return scale, zero, self.dtype

    def _factor_params(self, form):
        if form.scores is not None:
            return np.float32(1 / 256), 0, np.uint8
        array = self._array(form.coefficients)
        if array.min() >= 0:
            return np.float32(max(array.max(), 1e-3) / 255), 0, np.uint8
        return np.float32(np.abs(array).max() / 127), 0, np.int8

    def _array(self, value):
        if value.const_value is not None:
            return np.asarray(value.const_value.numpy())
        return self.real[value.name]

    def _insert(self, value, scale, zero, dtype):
        if value in self._done or value.dtype != ir.DataType.FLOAT:
            return
        producer = value.producer()
        if producer is not None and producer.op_type == "DequantizeLinear":
            return
        params = [self._constant(value.name, np.asarray(scale, np.float32)),
                  self._constant(value.name, np.asarray(zero, dtype))]  # fmt: skip
        rounding = ir.node("QuantizeLinear", [value, *params])
        back = ir.node("DequantizeLinear", [rounding.outputs[0], *params])
        self._give(rounding.outputs[0], f"{value.name}.q", value)
        rounding.outputs[0].dtype = ir.DataType.from_numpy(np.dtype(dtype))
        self._give(back.outputs[0], f"{value.name}.dq", value)
        result = back.outputs[0]
        for user, position in list(value.uses()):
            if user is not rounding:
                user.replace_input_with(position, result)
        outputs = self.model.graph.outputs
        if value in outputs:
            outputs[outputs.index(value)] = result
        self.model.graph.extend([rounding, back])
        self._done[value] = self._done[result] = result

    def _give(self, value, name, like):
        value.name, value.shape, value.dtype = name, like.shape, like.dtype
        value.producer().name = name

    def _constant(self, stem, array):
        value = ir.val(f"{stem}.c{len(self.model.graph.initializers)}",
                       const_value=ir.tensor(np.asarray(array)))  # fmt: skip
        value.shape, value.dtype = value.const_value.shape, value.const_value.dtype
        self.model.graph.initializers[value.name] = value
        return value


def _last(value):
    """What is rounded: behind a constant bias and a Relu."""
    while (node := only_consumer(value)) is not None:
        constant = any(v.const_value is not None for v in node.inputs if v is not None)
        if node.op_type not in ("Reshape", "Relu") and not (
            node.op_type == "Add" and constant
        ):
            break
        value = node.outputs[0]
    return value


def float_values(model, feeds):
    """All values that a model computes of ``feeds``."""
    model = onnx.shape_inference.infer_shapes(model)
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(
        info for info in model.graph.value_info if info.name not in known
    )
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))
