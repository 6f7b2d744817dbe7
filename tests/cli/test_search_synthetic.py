"""A search without data: what samples are made of, who judges, and what is said of it."""

from pathlib import Path

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
OPTIONS = (
    "search", DIGITS / "digits.onnx", "--target", "host", "--data", "synthetic",
    "--device", "none", "--formats", "w8a8,w2a8", "--rounding", "nearest", "--budget", 2,
    "--max-samples", 8,
)  # fmt: skip


def test_made_up_samples_calibrate_and_judge(octavo, tmp_path):
    done = octavo(*OPTIONS, "-o", tmp_path / "found")
    assert done.code == 0, done.err
    shown = " ".join(done.out.split())
    assert "note the 4 samples are synthetic, made from 5 BatchNormalization nodes" in shown
    assert "note nothing judges but made-up samples: losses are differences from" in shown
    page = (tmp_path / "found" / "report.html").read_text()
    assert "Nothing judges but made-up samples" in page
    again = octavo(*OPTIONS, "-o", tmp_path / "found", "--resume", "--json")
    assert again.code == 0, again.err  # the same samples were made once more
    assert again.json["num_judging"] == 4
    assert again.json["objectives"][0]["name"] == "noise"


def test_real_samples_judge_where_there_are_any(octavo, tmp_path):
    done = octavo(
        *OPTIONS, "-o", tmp_path / "found", "--test-data", DIGITS / "test.npz", "--json"
    )
    assert done.code == 0, done.err
    assert done.json["num_judging"] == 450
    assert done.json["objectives"][0]["name"] == "drop"
    assert len(done.json["notes"]) == 1


def test_made_up_samples_have_no_labels(octavo, tmp_path):
    done = octavo(*OPTIONS, "-o", tmp_path / "found", "--max-drop", 1)
    assert done.code == 2
    assert "synthetic samples have no labels" in done.error_line
    assert not (tmp_path / "found").exists()


def test_a_model_without_moments_is_one_line(octavo, tmp_path, model):
    options = [model if option == DIGITS / "digits.onnx" else option for option in OPTIONS]
    done = octavo(*options, "-o", tmp_path / "found")
    assert done.code == 2
    assert "BatchNormalization" in done.error_line
