from octavo.compiler.measurements.key import Context, TuningKey, operation_text
from octavo.compiler.measurements.latencies import KernelLatency
from octavo.compiler.predictor.training_set import (
    OLDER_WEIGHT,
    measured_programs,
    training_set,
)
from octavo.targets.ops.conv import Conv

HERE = Context("avx2 x", "cpu L1:1", "kernels:new")
OLDER = Context("avx2 x", "cpu L1:1", "kernels:old")
OTHER = Context("avx2 x", "phone", "kernels:new")
VARIANT = "conv_gemm.avx2.4x16"


def conv(out_c: int, dtype: str = "uint8") -> Conv:
    return Conv(1, 8, 8, 16, out_c, dtype=dtype)


def row(profile: str, step: int, op: Conv, latency_us: float, *, where: Context = HERE,
        at: str = "2025-01-01") -> KernelLatency:
    key = TuningKey(VARIANT, operation_text(op), where)
    return KernelLatency(
        key, None, latency_us, latency_us, latency_us, latency_us, 5, at, f"{profile}-{step}")


def test_a_profile_is_a_program_and_equal_calls_are_one():
    rows = [row("a", 0, conv(8), 1.0), row("a", 1, conv(8), 3.0), row("a", 2, conv(9), 5.0)]
    ((first, second),) = measured_programs(rows, HERE)
    assert (first.latency_us, first.count) == (2.0, 2)
    assert (second.latency_us, second.count) == (5.0, 1)


def test_profiles_of_the_same_calls_are_one_program():
    rows = [row("a", 0, conv(8), 1.0), row("b", 0, conv(8), 3.0), row("c", 0, conv(9), 5.0)]
    programs = measured_programs(rows, HERE)
    assert [[(m.latency_us, m.count) for m in p] for p in programs] == [[(2.0, 1)], [(5.0, 1)]]


def test_other_devices_do_not_count():
    assert measured_programs([row("a", 0, conv(8), 1.0, where=OTHER)], HERE) == []


def test_an_older_toolchain_counts_less_and_not_where_a_newer_one_measured():
    rows = [
        row("a", 0, conv(8), 1.0, where=OLDER), row("a", 1, conv(9), 2.0, where=OLDER),
        row("b", 0, conv(8), 4.0, at="2025-02-01"),
        row("b", 1, conv(10), 5.0, at="2025-02-01")]
    old, new = measured_programs(rows, HERE)
    assert [(m.latency_us, m.weight) for m in old] == [(2.0, OLDER_WEIGHT)]
    assert [(m.latency_us, m.weight) for m in new] == [(4.0, 1.0), (5.0, 1.0)]


def test_operations_of_another_version_are_left_out():
    strange = row("a", 0, conv(8), 1.0)
    operation = strange.key.operation.replace("Conv", "Convolution")
    unknown = KernelLatency(
        TuningKey(VARIANT, operation, HERE), None, 1.0, 1.0, 1.0, 1.0, 5, "2025", "a-1")
    assert measured_programs([unknown], HERE) == []
    ((known,),) = measured_programs([strange, unknown], HERE)
    assert known.call.work.columns == 8


def test_a_network_in_two_precisions_is_left_out_as_one():
    sizes, others = (8, 9, 10), (20, 21, 22)
    rows = [row("a", i, conv(n), 1.0) for i, n in enumerate(sizes)]
    rows += [row("b", i, conv(n, "float32"), 2.0) for i, n in enumerate(sizes)]
    rows += [row("c", i, conv(n), 3.0) for i, n in enumerate(others)]
    data = training_set(measured_programs(rows, HERE))
    assert len(set(data.programs.tolist())) == 3
    assert data.num_networks == 2
    networks = dict(zip(data.latencies_us.tolist(), data.networks.tolist(), strict=True))
    assert networks[1.0] == networks[2.0] != networks[3.0]


def test_the_digest_tells_whether_anything_changed():
    rows = [row("a", 0, conv(8), 1.0)]
    again, other = (
        training_set(measured_programs(r, HERE)) for r in (rows, [row("a", 0, conv(8), 1.5)]))
    assert training_set(measured_programs(rows, HERE)).digest() == again.digest()
    assert again.digest() != other.digest()
