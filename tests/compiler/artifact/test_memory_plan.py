import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.compiler.artifact.memory_plan import find_lifetimes, plan_memory
from octavo.compiler.lowering.program import (
    TENSOR_ALIGNMENT,
    Buffer,
    Operand,
    Port,
    Program,
    Step,
    Storage,
)
from octavo.errors import LoweringError


def step(name, reads=(), writes=()):
    operands = [*(Operand(b) for b in reads), *(Operand(b, is_written=True) for b in writes)]
    return Step(name, "kernel", tuple(operands), (), (), "int8", "")


def program(steps, inputs=(), outputs=(), alignment=64):
    def ports(buffers):
        return [Port(b.name, "uint8", (b.num_bytes,), b) for b in buffers]

    return Program(
        "p", "host", ports(inputs), ports(outputs), list(steps), {}, alignment=alignment)


def offsets(plan):
    return {a.lifetime.buffer.name: a.offset_bytes for a in plan.allocations}


def test_a_chain_needs_two_buffers():
    a, b, c, d = (Buffer(n, 128) for n in "abcd")
    plan = plan_memory(
        program([step("1", [a], [b]), step("2", [b], [c]), step("3", [c], [d])], [a], [d])
    )
    assert plan.arena_bytes == plan.lower_bound_bytes == 256


def test_a_skip_connection_keeps_its_tensor():
    a, b, c, d = (Buffer(n, 64) for n in "abcd")
    plan = plan_memory(
        program([step("1", [a], [b]), step("2", [b], [c]), step("3", [c, a], [d])], [a], [d])
    )
    places = offsets(plan)
    assert places["a"] not in (places["b"], places["c"], places["d"])


def test_outputs_survive_to_the_end():
    a, early, late, last = (Buffer(n, 64) for n in ("a", "early", "late", "last"))
    steps = [step("1", [a], [early]), step("2", [a], [late]), step("3", [late], [last])]
    places = offsets(plan_memory(program(steps, [a], [early, last])))
    assert places["early"] not in (places["late"], places["last"])


def test_all_inputs_are_apart_even_unused_ones():
    a, b, unused, out = (Buffer(n, 64) for n in ("a", "b", "unused", "out"))
    plan = plan_memory(program([step("1", [a, b], [out])], [a, b, unused], [out]))
    places = offsets(plan)
    assert len({places["a"], places["b"], places["unused"]}) == 3
    assert plan.arena_bytes == 192  # the output takes the place of the unused input


def test_persistent_buffers_come_first_and_are_not_shared():
    a, out = Buffer("a", 64), Buffer("out", 64)
    state = [Buffer("h", 100, persistent=True), Buffer("c", 1, persistent=True)]
    steps = [step("1", [a, state[0]], [out]), step("2", [out], [state[0], state[1]])]
    plan = plan_memory(program(steps, [a], [out]))
    places = offsets(plan)
    assert plan.persistent_bytes == 192
    assert {places["h"], places["c"]} == {0, 128}
    assert min(places["a"], places["out"]) >= 192


def test_weights_take_no_arena():
    w, out = Buffer("w", 64, Storage.WEIGHTS), Buffer("out", 64)
    plan = plan_memory(program([step("1", [w], [out])], [], [out]))
    assert offsets(plan) == {"out": 0}


def test_a_dense_block_is_packed_to_the_bound():
    """Tensors that grow layer by layer, where each greedy order alone leaves gaps."""
    x = Buffer("x", 150_528)
    current, pixels, channels, steps = x, 56 * 56, 64, []
    for block, num_layers in enumerate((6, 12, 24, 16)):
        for layer in range(num_layers):
            sizes = {"relu": channels, "bottleneck": 128, "conv": 32, "concat": channels + 32}
            made = {k: Buffer(f"{k}{block}.{layer}", pixels * n) for k, n in sizes.items()}
            scratch = Buffer(f"scratch{block}.{layer}", (pixels + 64) * 128)
            steps += [
                step("relu", [current], [made["relu"]]),
                step("bottleneck", [made["relu"]], [made["bottleneck"]]),
                step("conv", [made["bottleneck"]], [made["conv"], scratch]),
                step("concat", [current, made["conv"]], [made["concat"]]),
            ]
            current, channels = made["concat"], channels + 32
        pooled = Buffer(f"pooled{block}", pixels * channels // 8)
        steps.append(step("pool", [current], [pooled]))
        current, channels, pixels = pooled, channels // 2, pixels // 4
    plan = plan_memory(program(steps, [x], [current]))
    assert plan.arena_bytes <= 1.02 * plan.lower_bound_bytes


def test_an_empty_program_needs_nothing():
    plan = plan_memory(program([]))
    assert plan.arena_bytes == plan.lower_bound_bytes == 0


def test_reading_what_nothing_wrote_is_refused():
    a, out = Buffer("a", 64), Buffer("out", 64)
    with pytest.raises(LoweringError, match="step 'bad' reads 'a', which nothing has written"):
        plan_memory(program([step("bad", [a], [out])], [], [out]))
    with pytest.raises(LoweringError, match="nothing writes output 'out'"):
        plan_memory(program([], [], [out]))


@st.composite
def programs(draw):
    """Steps that read up to three earlier buffers and write up to two new ones."""
    sizes = st.integers(1, 5000)
    num_inputs = draw(st.integers(1, 3))
    buffers = [Buffer(f"in{i}", draw(sizes)) for i in range(num_inputs)]
    inputs, steps = list(buffers), []
    for index in range(draw(st.integers(1, 20))):
        reads = draw(st.lists(st.sampled_from(buffers), min_size=1, max_size=3, unique=True))
        writes = []
        for part in range(draw(st.integers(1, 2))):
            persistent = draw(st.integers(0, 9)) == 0
            writes.append(Buffer(f"b{index}.{part}", draw(sizes), persistent=persistent))
        steps.append(step(str(index), reads, writes))
        buffers += writes
    outputs = draw(st.lists(st.sampled_from(buffers), min_size=1, max_size=3, unique=True))
    return program(steps, inputs, outputs)


@settings(deadline=None)  # a loaded machine is no failure
@given(programs())
def test_live_buffers_never_overlap(p):
    plan = plan_memory(p)
    allocations = plan.allocations
    for i, a in enumerate(allocations):
        assert a.offset_bytes % TENSOR_ALIGNMENT == 0
        assert 0 <= a.offset_bytes <= plan.arena_bytes - a.lifetime.buffer.num_bytes
        for b in allocations[:i]:
            apart = (
                a.offset_bytes + a.lifetime.buffer.num_bytes <= b.offset_bytes
                or b.offset_bytes + b.lifetime.buffer.num_bytes <= a.offset_bytes
            )
            assert apart or not a.lifetime.overlaps(b.lifetime)


@settings(deadline=None)  # a loaded machine is no failure
@given(programs())
def test_the_bound_holds_and_is_the_largest_live_sum(p):
    plan = plan_memory(p)
    lifetimes = find_lifetimes(p)
    live = [
        sum(x.num_bytes for x in lifetimes if x.first_step <= t <= x.last_step)
        for t in range(-1, len(p.steps) + 1)
    ]
    assert plan.lower_bound_bytes == max(live)
    assert plan.lower_bound_bytes <= plan.arena_bytes <= sum(x.num_bytes for x in lifetimes)


@settings(deadline=None)  # a loaded machine is no failure
@given(programs())
def test_planning_is_deterministic(p):
    first, second = plan_memory(p), plan_memory(p)
    assert offsets(first) == offsets(second)
    assert first.order == second.order


def test_tensors_begin_at_multiples_of_the_alignment_of_the_program():
    a, b, out = (Buffer(n, 65) for n in ("a", "b", "out"))
    p = program([step("1", [a, b], [out])], [a, b], [out])
    assert plan_memory(p).arena_bytes == 3 * 128
    p = program([step("1", [a, b], [out])], [a, b], [out], alignment=256)
    plan = plan_memory(p)
    assert sorted(x.offset_bytes for x in plan.allocations) == [0, 256, 512]
    assert plan.arena_bytes == 3 * 256
