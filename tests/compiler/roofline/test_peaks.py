import json

import pytest

from octavo.compiler.roofline.peaks import Rate, peaks_entry, peaks_from_entry


def test_peaks_survive_json(make_peaks):
    peaks = make_peaks(2)
    assert peaks_from_entry(json.loads(json.dumps(peaks_entry(peaks)))) == peaks


def test_products_of_bfloat16_have_a_roof_of_their_own_where_there_are_any(make_peaks):
    entry = peaks_entry(make_peaks())
    assert peaks_from_entry(entry).compute("bfloat16") == peaks_from_entry(entry).float32
    peaks = peaks_from_entry(entry | {"bfloat16": {"best": 200, "median": 190}})
    assert peaks.compute("bfloat16") == Rate(200, 190)
    assert peaks.compute("int8") == peaks.int8
    assert peaks_from_entry(peaks_entry(peaks)) == peaks


@pytest.mark.parametrize(
    ("num_bytes", "name"),
    [
        (0, "L1"),
        (1000, "L1"),
        (1001, "L2"),
        (10_000, "L2"),
        (10_001, "memory"),
        (1 << 40, "memory"),
    ],
)
def test_bytes_lie_in_the_smallest_level_that_holds_them(make_peaks, num_bytes, name):
    assert make_peaks().level(num_bytes).name == name


@pytest.mark.parametrize("damage", [{"levels": []}, {"int8": 3}, {"call_us": None}])
def test_damaged_peaks_are_refused(make_peaks, damage):
    with pytest.raises((KeyError, TypeError, ValueError)):
        peaks_from_entry(peaks_entry(make_peaks()) | damage)


def test_peaks_without_main_memory_are_refused(make_peaks):
    entry = peaks_entry(make_peaks())
    entry["levels"] = entry["levels"][:-1]
    with pytest.raises(ValueError, match="main memory"):
        peaks_from_entry(entry)


def test_runs_that_differ_or_waited_tell_of_a_busy_machine(make_peaks):
    entry = peaks_entry(make_peaks())
    assert peaks_from_entry(entry).is_steady
    assert not peaks_from_entry(entry | {"waited_share": 0.2}).is_steady
    assert not peaks_from_entry(entry | {"int8": {"best": 400, "median": 200}}).is_steady
    assert Rate(400, 300).spread == 0.25
