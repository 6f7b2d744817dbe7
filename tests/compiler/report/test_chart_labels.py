from octavo.compiler.report.chart_labels import (
    Box,
    Wanted,
    dot_box,
    place_labels,
    text_box,
)

CHART = Box(0, 0, 400, 300)


def wanted(x, y, text, *, is_needed=False):
    return Wanted(x, y, 5.0, text, "number", is_needed)


def test_labels_meet_neither_each_other_nor_dots():
    rows = [wanted(40 + 37 * (i % 9), 40 + 29 * (i // 9), f"#{i}") for i in range(60)]
    labels = place_labels(rows, [], CHART)
    assert len(labels) == 60
    boxes = [text_box(label) for label in labels]
    dots = [dot_box(row.x, row.y, row.radius) for row in rows]
    for i, box in enumerate(boxes):
        assert box.within(CHART)
        assert not any(box.meets(other) for other in (*boxes[:i], *dots))


def test_a_label_at_the_right_edge_goes_to_the_left():
    (label,) = place_labels([wanted(395, 100, "number 1")], [], CHART)
    assert label.anchor == "end"


def test_where_there_is_no_room_only_needed_labels_stay():
    crowd = [wanted(200, 150, f"crowd {i}") for i in range(20)]
    needed = wanted(200, 150, "chosen", is_needed=True)
    labels = place_labels([needed, *crowd], [], CHART)
    assert labels[0].text == "chosen"
    assert len(labels) < 12
    full = [Box(-1000, -1000, 1000, 1000)]
    assert [x.text for x in place_labels([needed, *crowd], full, CHART)] == ["chosen"]
