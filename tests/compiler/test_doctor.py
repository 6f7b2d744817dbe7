import subprocess
import sys

import pytest

from octavo.compiler import doctor
from octavo.compiler.cli import main
from octavo.compiler.doctor import Check, Status


def test_this_machine_is_healthy_enough_to_test_on():
    failed = [check for check in doctor.run_checks() if check.status is Status.FAILED]
    assert failed == []


def test_a_check_that_breaks_does_not_hide_the_others(monkeypatch):
    def check_the_moon():
        raise OSError("no telescope")

    monkeypatch.setattr(doctor, "CHECKS", (check_the_moon, doctor.check_python))
    moon, python = doctor.run_checks()
    assert moon == Check("the moon", Status.FAILED, "OSError: no telescope")
    assert python.status is Status.OK


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [
        ("numpy>=2.0", ""),
        ("numpy>=99", "needs 99 or newer"),
        ("numpy==1.0", "only 1.0 works"),
        ("no-such-package-anywhere>=1", "no-such-package-anywhere is missing"),
        ("numpy", ""),
    ],
)
def test_requirements_are_compared_with_what_is_installed(monkeypatch, requirement, problem):
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda _: [requirement])
    check = doctor.check_packages()
    assert check.status is (Status.FAILED if problem else Status.OK)
    assert problem in check.detail


def test_requirements_of_extras_do_not_count(monkeypatch):
    monkeypatch.setattr(
        doctor.importlib.metadata, "requires", lambda _: ["torch>=2.6; extra == 'train'"]
    )
    assert doctor.check_packages().detail == "0 as required"


@pytest.mark.parametrize("check", [doctor.check_tvm, doctor.check_linker])
def test_a_tool_that_fails_gives_its_last_line_and_a_remedy(monkeypatch, check):
    broken = subprocess.CompletedProcess([], 1, "", "long story\nsymbol not found\n")
    monkeypatch.setattr(doctor, "_run", lambda _: broken)
    outcome = check()
    assert (outcome.status, outcome.detail) == (Status.FAILED, "symbol not found")
    assert "reinstall" in outcome.remedy


def test_a_missing_extension_module_is_a_warning(monkeypatch):
    monkeypatch.setitem(sys.modules, "octavo.compiler.native_call", None)
    monkeypatch.delattr("octavo.compiler.native_call", raising=False)
    outcome = doctor.check_calls()
    assert outcome.status is Status.WARNING
    assert "ctypes" in outcome.detail
    assert "python3-dev" in outcome.remedy


def test_the_command_fails_when_a_check_fails(monkeypatch, capsys):
    failing = Check("tvm", Status.FAILED, "symbol not found", "reinstall")
    monkeypatch.setattr(doctor, "CHECKS", (lambda: failing,))
    assert main(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert "symbol not found" in out
    assert err == "octavo: failed: tvm\n"


def test_the_child_process_is_this_python():
    assert doctor._run([sys.executable, "-c", "print(42)"]).stdout == "42\n"
