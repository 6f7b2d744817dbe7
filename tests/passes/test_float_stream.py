"""The residual stream of a transformer stays in float from its embedding on."""

import numpy as np

from octavo.passes.insert_quantizers import InsertQuantizers, place_with_ranges
from octavo.passes.quantizer_options import QuantizerOptions

EMBEDDING = """g (float[1,3,8,8] image) => (float[1,17,8] y) {
    [patches] p = Conv<kernel_shape=[2,2], strides=[2,2]>(image, w)
    [flat] f = Reshape(p, shape) [turn] t = Transpose<perm=[0,2,1]>(f)
    [tokens] c = Concat<axis=1>(token, t) [place] x = Add(c, position)
    [norm] n = LayerNormalization(x, gain, shift) [up] u = MatMul(n, v)
    [add] s = Add(x, u) [last] y = LayerNormalization(s, gain, shift)
}"""


def embedding(build, rng):
    return build(
        EMBEDDING,
        w=rng.normal(size=(8, 3, 2, 2)).astype(np.float32),
        shape=np.array([1, 8, 16]),
        token=rng.normal(size=(1, 1, 8)).astype(np.float32),
        position=rng.normal(size=(1, 17, 8)).astype(np.float32),
        gain=np.ones(8, np.float32),
        shift=np.zeros(8, np.float32),
        v=rng.normal(size=(8, 8)).astype(np.float32),
    )


def ranges():
    return dict.fromkeys(("image", *"npftcxusy"), (-9.0, 9.0))


def test_nothing_is_rounded_between_an_embedding_and_its_normalization(build, rng):
    model = embedding(build, rng)
    placement = place_with_ranges(model.graph, QuantizerOptions(), ranges())
    assert [value.name for value in placement.tensors] == ["image", "n"]
    assert not placement.constants
    assert {"flat", "turn", "tokens"} <= set(placement.float_nodes)
    assert "patches" not in placement.float_nodes


def test_its_readers_get_what_the_convolution_made(build, run, rng):
    model = embedding(build, rng)
    image = rng.normal(size=(1, 3, 8, 8)).astype(np.float32)
    before = run(model, image=image)["y"]
    InsertQuantizers(ranges(), QuantizerOptions())(model)
    quantized = [node for node in model.graph if node.op_type == "QuantizeLinear"]
    assert len(quantized) == 2
    after = run(model, image=image)["y"]
    # Half steps of 18/255 of two tensors through sums of 12 and 8 products, normalized to 1.
    assert np.square(after - before).mean() < 0.1**2


def test_a_convolution_that_integers_read_too_is_rounded(build, rng):
    model = embedding(build, rng)
    graph = EMBEDDING.replace(
        "[norm]", "[other] o = Conv<kernel_shape=[1,1]>(p, w2) [norm]"
    ).replace("(float[1,17,8] y)", "(float[1,17,8] y, float[1,8,4,4] o)")
    constants = {name: v.const_value.numpy() for name, v in model.graph.initializers.items()}
    model = build(graph, w2=rng.normal(size=(8, 8, 1, 1)).astype(np.float32), **constants)
    placement = place_with_ranges(model.graph, QuantizerOptions(), ranges() | {"o": (-9, 9)})
    assert "p" in [value.name for value in placement.tensors]
