"""``octavo targets``: levels and products, whole records as JSON."""

import json

from octavo.targets import PRODUCTS, SYSTEMS, TARGETS


def test_levels_and_products_are_listed(octavo):
    outcome = octavo("targets")
    assert outcome.code == 0
    levels, products = outcome.out.split("\n\n")
    assert levels.split()[0] == "level"
    assert products.split()[0] == "product"
    starts = {line.split(" ")[0] for line in levels.splitlines()}
    assert set(TARGETS) | set(SYSTEMS) <= starts
    assert set(PRODUCTS) <= {line.split(" ")[0] for line in products.splitlines()}


def test_json_has_whole_records(octavo):
    entries = {t["name"]: t for t in json.loads(octavo("targets", "--json").out)["targets"]}
    assert set(entries) == set(TARGETS) | set(SYSTEMS) | set(PRODUCTS)
    assert {e["kind"] for e in entries.values()} == {"level", "product"}
    level = entries["arm64-dotprod"]
    assert level["features"] == ["+v8.2a", "+dotprod"]
    assert level["device"] is None
    phone = entries["pixel-8"]
    assert phone["level"] == "arm64-i8mm"
    assert phone["abi"]["system"] == "android"
    chip = phone["device"]["chip"]
    assert [c["count"] for c in chip["clusters"]] == [1, 4, 4]
    assert chip["gpu"]["name"] == "Mali-G715"
    assert phone["device"]["sources"]


def test_one_target_says_what_is_known_of_it_and_from_where(octavo):
    outcome = octavo("targets", "pixel-8")
    assert outcome.code == 0
    facts = [line.split(maxsplit=1) for line in outcome.out.splitlines() if line.strip()]
    assert facts[0][0] == "pixel-8"
    assert ["level", "arm64-i8mm"] in [[key, value.strip()] for key, value in facts]
    assert "1 Cortex-X3, 2,910 MHz" in outcome.out
    assert "Mali-G715: mali" in outcome.out
    assert "8.00 GiB at most" in outcome.out
    assert sum(key == "source" for key, _ in facts) == len(PRODUCTS["pixel-8"].sources)


def test_several_targets_are_shown_in_their_order(octavo):
    names = ["hexagon-v73", "raspberry-pi-3"]
    entries = json.loads(octavo("targets", *names, "--json").out)["targets"]
    assert [entry["name"] for entry in entries] == names
    out = octavo("targets", *names).out
    assert out.index("hexagon-v73") < out.index("raspberry-pi-3")
    assert "possible: dyadic" in out


def test_an_unknown_name_is_refused_with_the_nearest(octavo):
    outcome = octavo("targets", "pixel8")
    assert outcome.code == 2
    assert "did you mean 'pixel-8'?" in outcome.err
