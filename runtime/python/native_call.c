/* octavo.compiler.native_call: calls a loaded model from Python in a tenth of the time that ctypes
 * takes, which a network of microseconds notices. compiler/model_call.py has the same in Python,
 * for installations without this module.
 *
 * Limited API of Python 3.11: one build serves every later version. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pythread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* A run that takes longer lets other Python threads run meanwhile. Giving the interpreter's lock
 * back and getting it again costs 40 ns, and much more when others are waiting for it. */
enum { kShortRunNs = 20000 };

/* octavo_run_copy; 0 is success. */
typedef int (*run_copy_function)(void *model, const void *const *inputs, void *const *outputs);

/* A loaded model that one thread at a time may use. */
typedef struct model_call {
  PyObject_HEAD
  run_copy_function run_copy;
  void *model;    /* NULL: closed, or not open yet */
  PyObject *fail; /* called with a status other than 0; raises */
  PyThread_type_lock lock;
  bool is_held; /* the lock; read and written under the interpreter's lock */
} model_call;

/* Repeated runs on the same arrays. */
typedef struct bound_call {
  PyObject_VAR_HEAD
  model_call *call;
  PyObject *owner; /* keeps the arrays and the library alive */
  bool is_short;   /* of at most kShortRunNs; false until measured */
  size_t num_inputs;
  void *pointers[]; /* inputs, then outputs */
} bound_call;

static PyTypeObject *g_bound_call_type;

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Whoever holds the model's lock may be waiting for the interpreter's. */
static void lock(model_call *self) {
  if (!PyThread_acquire_lock(self->lock, NOWAIT_LOCK)) {
    Py_BEGIN_ALLOW_THREADS
    PyThread_acquire_lock(self->lock, WAIT_LOCK);
    Py_END_ALLOW_THREADS
  }
  self->is_held = true;
}

static void unlock(model_call *self) {
  self->is_held = false;
  PyThread_release_lock(self->lock);
}

static PyObject *refuse(void) {
  PyErr_SetString(PyExc_ValueError, "the session is closed");
  return NULL;
}

static void free_object(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  freefunc free_memory = (freefunc)PyType_GetSlot(type, Py_tp_free);
  free_memory(self);
  Py_DECREF(type);
}

/* ----------------------------------------------------------------------- bound runs ---- */

static PyObject *finish(model_call *call, int status) {
  if (status != 0) return PyObject_CallFunction(call->fail, "i", status);
  Py_RETURN_NONE;
}

static PyObject *bound_run(PyObject *object, PyObject *unused) {
  (void)unused;
  bound_call *self = (bound_call *)object;
  model_call *call = self->call;
  const void *const *inputs = (const void *const *)self->pointers;
  void *const *outputs = self->pointers + self->num_inputs;
  /* Nobody can take the model while this thread keeps the interpreter's lock. */
  if (self->is_short && !call->is_held) {
    if (call->model == NULL) return refuse();
    return finish(call, call->run_copy(call->model, inputs, outputs));
  }
  lock(call);
  if (call->model == NULL) {
    unlock(call);
    return refuse();
  }
  int status;
  Py_BEGIN_ALLOW_THREADS
  uint64_t start_ns = now_ns();
  status = call->run_copy(call->model, inputs, outputs);
  self->is_short = now_ns() - start_ns <= kShortRunNs;
  Py_END_ALLOW_THREADS
  unlock(call);
  return finish(call, status);
}

static void bound_free(PyObject *object) {
  bound_call *self = (bound_call *)object;
  Py_XDECREF((PyObject *)self->call);
  Py_XDECREF(self->owner);
  free_object(object);
}

static PyMethodDef kBoundMethods[] = {
    {"run", bound_run, METH_NOARGS, "Run one inference. Nothing is checked and nothing allocated."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot kBoundSlots[] = {
    {Py_tp_dealloc, bound_free},
    {Py_tp_methods, kBoundMethods},
    {Py_tp_doc, "Repeated runs on the same arrays; see ModelCall.bind."},
    {0, NULL},
};

static PyType_Spec kBoundSpec = {
    .name = "octavo.compiler.native_call.BoundCall",
    .basicsize = sizeof(bound_call),
    .itemsize = sizeof(void *),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = kBoundSlots,
};

/* ---------------------------------------------------------------------- model calls ---- */

static PyObject *call_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
  static char *kNames[] = {"run_copy", "fail", NULL};
  unsigned long long run_copy;
  PyObject *fail;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "KO", kNames, &run_copy, &fail)) {
    return NULL;
  }
  allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
  model_call *self = (model_call *)allocate(type, 0);
  if (self == NULL) return NULL;
  self->lock = PyThread_allocate_lock();
  if (self->lock == NULL) {
    Py_DECREF((PyObject *)self);
    return PyErr_NoMemory();
  }
  self->run_copy = (run_copy_function)(uintptr_t)run_copy;
  self->fail = Py_NewRef(fail);
  return (PyObject *)self;
}

static void call_free(PyObject *object) {
  model_call *self = (model_call *)object;
  Py_XDECREF(self->fail);
  if (self->lock != NULL) PyThread_free_lock(self->lock);
  free_object(object);
}

static PyObject *call_enter(PyObject *self, PyObject *unused) {
  (void)unused;
  lock((model_call *)self);
  return Py_NewRef(self);
}

static PyObject *call_exit(PyObject *self, PyObject *unused) {
  (void)unused;
  unlock((model_call *)self);
  Py_RETURN_NONE;
}

static PyObject *call_use(PyObject *self, PyObject *address) {
  void *model = PyLong_AsVoidPtr(address);
  if (model == NULL && PyErr_Occurred()) return NULL;
  ((model_call *)self)->model = model;
  Py_RETURN_NONE;
}

/* Appends the addresses of a tuple of integers. */
static bool read_addresses(PyObject *tuple, void **pointers) {
  Py_ssize_t size = PyTuple_Size(tuple);
  for (Py_ssize_t i = 0; i < size; i++) {
    pointers[i] = PyLong_AsVoidPtr(PyTuple_GetItem(tuple, i));
    if (pointers[i] == NULL && PyErr_Occurred()) return false;
  }
  return true;
}

static PyObject *call_bind(PyObject *object, PyObject *arguments) {
  PyObject *inputs, *outputs, *owner;
  if (!PyArg_ParseTuple(arguments, "O!O!O", &PyTuple_Type, &inputs, &PyTuple_Type, &outputs,
                        &owner)) {
    return NULL;
  }
  Py_ssize_t num_inputs = PyTuple_Size(inputs), num_outputs = PyTuple_Size(outputs);
  allocfunc allocate = (allocfunc)PyType_GetSlot(g_bound_call_type, Py_tp_alloc);
  PyObject *bound = allocate(g_bound_call_type, num_inputs + num_outputs);
  if (bound == NULL) return NULL;
  bound_call *self = (bound_call *)bound;
  self->call = (model_call *)Py_NewRef(object);
  self->owner = Py_NewRef(owner);
  self->num_inputs = (size_t)num_inputs;
  if (!read_addresses(inputs, self->pointers) ||
      !read_addresses(outputs, self->pointers + num_inputs)) {
    Py_DECREF(bound);
    return NULL;
  }
  PyObject *run = PyObject_GetAttrString(bound, "run");
  Py_DECREF(bound);
  return run;
}

static PyMethodDef kCallMethods[] = {
    {"__enter__", call_enter, METH_NOARGS, "Keep others from the model."},
    {"__exit__", call_exit, METH_VARARGS, "Let others have it."},
    {"use", call_use, METH_O, "Run this model from now on; 0: refuse runs."},
    {"bind", call_bind, METH_VARARGS, "Return a function that runs on these addresses."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot kCallSlots[] = {
    {Py_tp_new, call_new},
    {Py_tp_dealloc, call_free},
    {Py_tp_methods, kCallMethods},
    {Py_tp_doc, "A loaded model that one thread at a time may use."},
    {0, NULL},
};

static PyType_Spec kCallSpec = {
    .name = "octavo.compiler.native_call.ModelCall",
    .basicsize = sizeof(model_call),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = kCallSlots,
};

/* --------------------------------------------------------------------------- module ---- */

static struct PyModuleDef g_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "octavo.compiler.native_call",
    .m_doc = "Calls of a loaded model without ctypes.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit_native_call(void) {
  PyObject *module = PyModule_Create(&g_module);
  if (module == NULL) return NULL;
  PyObject *bound_type = PyType_FromSpec(&kBoundSpec);
  PyObject *call_type = bound_type == NULL ? NULL : PyType_FromSpec(&kCallSpec);
  if (call_type == NULL || PyModule_AddObjectRef(module, "ModelCall", call_type) < 0) {
    Py_XDECREF(bound_type);
    Py_XDECREF(call_type);
    Py_DECREF(module);
    return NULL;
  }
  Py_DECREF(call_type);
  g_bound_call_type = (PyTypeObject *)bound_type; /* kept with the module, which is never freed */
  return module;
}
