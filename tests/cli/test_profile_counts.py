"""profile --device qemu: counts of an artifact for another architecture."""

import shutil

import pytest

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-aarch64") is None, reason="qemu-user is not installed"
)


@pytest.fixture
def artifact(octavo, model, samples, tmp_path):
    folder = tmp_path / "out"
    done = octavo("compile", model, "--target", "arm64-neon", "--data", samples, "-o", folder)
    assert done.code == 0, done.err
    return folder


def test_counts_are_shown_and_never_as_time(octavo, artifact):
    payload = octavo("profile", artifact, "--device", "qemu", "--json").json
    assert payload["device"] == "qemu"
    assert payload["unit"] == "instructions"
    assert payload["emulator"] == "qemu-aarch64 -cpu cortex-a72"
    steps, total = payload["steps"], payload["total"]
    for name in ("instructions", "loads", "stores", "loaded_bytes", "stored_bytes"):
        assert all(step[name] > 0 for step in steps)
        assert sum(s[name] for s in steps) + payload["runtime"][name] == total[name]
    for step in steps:
        assert step["share"] == pytest.approx(step["instructions"] / total["instructions"])
        if step["macs"]:
            per_mac = step["instructions"] / step["macs"]
            assert step["instructions_per_mac"] == pytest.approx(per_mac)
    assert "_us" not in str(payload)

    page = artifact / "page.html"
    text = octavo("profile", artifact, "--device", "qemu", "--report", page).out
    html = page.read_text(encoding="utf-8")
    assert "Counted by qemu-aarch64 -cpu cortex-a72" in html
    assert all(f'<th scope="row">{step["name"]}</th>' in html for step in steps)
    header = text.splitlines()[0].split()
    assert header == [
        "#", "step", "kernel", "MACs", "instructions", "share", "cum.", "per", "MAC",
        "loads", "stores",
    ]  # fmt: skip
    assert len(text.splitlines()) == 1 + len(steps) + 2
    assert "one inference: " in text
    assert " ms" not in text


@pytest.mark.parametrize(
    "option",
    [("--runs", 3), ("--num-threads", 2), ("--trace", "trace.json"), ("--no-roofline",)],
    ids=lambda option: option[0],
)
def test_options_of_times_are_refused(octavo, artifact, option):
    outcome = octavo("profile", artifact, "--device", "qemu", *option)
    assert outcome.code == 2
    assert f"{option[0]} is about times" in outcome.err


def test_an_artifact_without_emulator_is_refused(octavo, model, samples, tmp_path):
    folder = tmp_path / "host"
    done = octavo("compile", model, "--target", "host", "--data", samples, "-o", folder)
    assert done.code == 0, done.err
    outcome = octavo("profile", folder, "--device", "qemu", "-q")
    assert outcome.code == 2
    assert outcome.error_line.startswith("octavo: nothing emulates host")
