"""Calls of a model through the extension module and through ctypes: the same behaviour."""

import ctypes
import gc
import sys
import threading
import time
import weakref

import numpy as np
import pytest

from octavo.compiler import model_call
from octavo.compiler.session import load

INPUT = np.zeros((10, 100), np.int8)
RUN_COPY = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


@pytest.fixture(params=["native", "ctypes"])
def call_type(request, monkeypatch):
    """The class of the calls that sessions make in this test."""
    if request.param == "ctypes":
        monkeypatch.setattr("octavo.compiler.session.model_call", model_call.CtypesCall)
        return model_call.CtypesCall
    return pytest.importorskip("octavo.compiler.native_call").ModelCall


class Recorder:
    """Stands for a model: notes what a call passes, and returns ``status``."""

    def __init__(self, status=0):
        self.status = status
        self.calls = []
        self.function = RUN_COPY(self._run)  # kept alive: the call holds the address only
        self.address = ctypes.cast(self.function, ctypes.c_void_p).value

    def _run(self, model, inputs, outputs):
        read = ctypes.POINTER(ctypes.c_void_p)
        source, result = ctypes.cast(inputs, read), ctypes.cast(outputs, read)
        self.calls.append((model, source[0], source[1], result[0]))
        return self.status


def fail(status):
    raise RuntimeError(f"status {status}")


def test_sessions_use_the_extension_module_where_there_is_one(add_artifact):
    native = pytest.importorskip("octavo.compiler.native_call")
    with load(add_artifact) as session:
        assert isinstance(session._call, native.ModelCall)


def test_without_the_extension_module_sessions_use_ctypes(add_artifact, monkeypatch):
    monkeypatch.setitem(sys.modules, "octavo.compiler.native_call", None)
    monkeypatch.delattr("octavo.compiler.native_call", raising=False)
    with load(add_artifact) as session:
        assert isinstance(session._call, model_call.CtypesCall)


def test_model_and_addresses_are_passed_on(call_type):
    recorder = Recorder()
    call = call_type(recorder.address, fail)
    run = call.bind((64, 2**63 + 128), (192,), None)
    with call:
        call.use(32)
    for _ in range(3):
        assert run() is None
    assert recorder.calls == [(32, 64, 2**63 + 128, 192)] * 3


def test_a_status_other_than_zero_is_raised(call_type):
    recorder = Recorder(status=9)
    call = call_type(recorder.address, fail)
    call.use(1)
    run = call.bind((1, 2), (3,), None)
    for _ in range(2):  # the lock was released
        with pytest.raises(RuntimeError, match="status 9"):
            run()


def test_a_model_that_is_not_in_use_does_not_run(call_type):
    recorder = Recorder()
    call = call_type(recorder.address, fail)
    run = call.bind((1, 2), (3,), None)
    for model in (0, 1, 0):
        call.use(model)
        if model:
            run()
        else:
            with pytest.raises(ValueError, match="the session is closed"):
                run()
    assert len(recorder.calls) == 1


def test_a_run_waits_until_the_model_is_free(call_type):
    recorder = Recorder()
    call = call_type(recorder.address, fail)
    call.use(1)
    run = call.bind((1, 2), (3,), None)
    for _ in range(2):  # short runs, once measured, keep the interpreter's lock
        thread = threading.Thread(target=run)
        before = len(recorder.calls)
        with call:
            thread.start()
            time.sleep(0.02)
            assert len(recorder.calls) == before
        thread.join()
        assert len(recorder.calls) == before + 1


def test_long_runs_let_other_threads_run(call_type):
    """The model waits for another Python thread, which must get the interpreter's lock."""
    arrived, seen = threading.Event(), []

    def run_slowly(_model, _inputs, _outputs):
        time.sleep(0.001)
        seen.append(arrived.wait(10))
        return 0

    function = RUN_COPY(run_slowly)
    call = call_type(ctypes.cast(function, ctypes.c_void_p).value, fail)
    call.use(1)
    run = call.bind((), (), None)
    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.01)
    arrived.set()
    thread.join()
    run()
    assert seen == [True, True]


def test_the_function_keeps_its_arrays_and_its_session(call_type, add_artifact):
    x, y = INPUT.copy(), np.zeros(1000, np.int8)
    session = load(add_artifact)
    run = session.bind({"x:0": x}, {"y": y}).run
    kept = weakref.ref(x), weakref.ref(y), weakref.ref(session)
    expected = session.run({"x:0": x})["y"]
    del x, session
    gc.collect()
    assert all(reference() is not None for reference in kept)
    run()
    assert (y == expected).all()
    del run
    gc.collect()
    assert kept[0]() is None
    assert kept[2]() is None


def test_functions_of_one_session_may_run_in_several_threads(call_type, add_artifact):
    failures = []
    with load(add_artifact) as session:
        expected = session.run({"x:0": INPUT})["y"]

        def work(offset):
            x = INPUT + np.int8(offset)
            bound = session.bind({"x:0": x})
            for _ in range(300):
                bound.outputs["y"][...] = 0
                bound.run()
                if not (bound.outputs["y"] == expected + np.int8(offset)).all():
                    failures.append(offset)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_wrong_arguments_are_refused(call_type):
    call = call_type(1, fail)
    with pytest.raises(TypeError):
        call.bind(("not an address",), (), None)
    with pytest.raises(TypeError):
        call_type()
