"""What ``compile --device`` measured is what ``explain`` tells of other ways."""

from octavo.compiler.explain.alternatives import selected_from


def option(candidate, placement, latency_us):
    return {
        "candidate": candidate, "placement": placement, "variant": f"k.{candidate}",
        "cost": latency_us,
    }  # fmt: skip


LAYER = {
    "name": "c0", "op_types": ["Conv", "Relu"], "nodes": ["c0", "r0"],
    "chosen": option("int8", "int8", 10.0),
    "rejected": [option("float32", "float32", 9.0), option("int8 tile 2", "int8", 12.0)],
}  # fmt: skip


def manifest(*layers):
    return {"metadata": {"selection": {"unit": "us", "layers": list(layers)}}}


def test_all_ways_fastest_first_and_which_one_was_taken():
    found = selected_from(manifest(LAYER), {"r0"})
    assert [(way.what, way.latency_us, way.is_chosen) for way in found] == [
        ("float32", 9.0, False), ("int8", 10.0, True), ("int8 tile 2", 12.0, False)]


def test_without_a_selection_there_is_nothing_to_tell():
    assert selected_from({"metadata": {}}, {"r0"}) == ()
    assert selected_from(manifest(LAYER), {"other"}) == ()
