"""``octavo targets``: levels and products, whole records as JSON."""

import json

from octavo.targets import PRODUCTS, TARGETS


def test_levels_and_products_are_listed(octavo):
    outcome = octavo("targets")
    assert outcome.code == 0
    levels, products = outcome.out.split("\n\n")
    assert levels.split()[0] == "level"
    assert products.split()[0] == "product"
    starts = {line.split(" ")[0] for line in levels.splitlines()}
    assert set(TARGETS) <= starts
    assert set(PRODUCTS) <= {line.split(" ")[0] for line in products.splitlines()}


def test_json_has_whole_records(octavo):
    entries = {t["name"]: t for t in json.loads(octavo("targets", "--json").out)["targets"]}
    assert set(entries) == set(TARGETS) | set(PRODUCTS)
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
