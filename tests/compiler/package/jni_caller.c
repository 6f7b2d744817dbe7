/* Calls the functions that Java calls, with a table of functions that stands for a Java machine:
 * argument 1 is a file with weights from byte argument 2 on; input comes in, outputs go out. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jni_table.h"

enum { kSlots = 240 };

typedef struct array {
  int32_t count;
  int32_t width; /* bytes of an element; buffers of direct memory are arrays of bytes */
  uint8_t data[1 << 14];
} array;

static array *new_array(int32_t count, int32_t width) {
  array *made = calloc(1, sizeof *made);
  if (made == NULL || (size_t)(count * width) > sizeof made->data) exit(2);
  made->count = count;
  made->width = width;
  return made;
}

static void delete_local(jni_environment *env, jobject object) { (void)env, (void)object; }
static jint length(jni_environment *env, jobject a) { (void)env; return ((array *)a)->count; }
static jobject element(jni_environment *env, jobject a, jint i) {
  (void)env;
  return ((jobject *)((array *)a)->data)[i];
}
static jobject new_bytes(jni_environment *env, jint n) { (void)env; return new_array(n, 1); }
static jobject new_longs(jni_environment *env, jint n) { (void)env; return new_array(n, 8); }
static void get(jni_environment *env, jobject a, jint start, jint n, void *out) {
  array *from = a;
  (void)env;
  memcpy(out, from->data + start * from->width, (size_t)(n * from->width));
}
static void set(jni_environment *env, jobject a, jint start, jint n, const void *in) {
  array *to = a;
  (void)env;
  memcpy(to->data + start * to->width, in, (size_t)(n * to->width));
}
static uint8_t *address(jni_environment *env, jobject a) { (void)env; return ((array *)a)->data; }

jint Java_octavo_runtime_Native_numModels(jni_environment *, jclass);
jobject Java_octavo_runtime_Native_modelName(jni_environment *, jclass, jint);
jobject Java_octavo_runtime_Native_tensorRecord(jni_environment *, jclass, jint, jboolean, jint);
jint Java_octavo_runtime_Native_numTensors(jni_environment *, jclass, jint, jboolean);
jlong Java_octavo_runtime_Native_weightsBytes(jni_environment *, jclass, jint);
jlong Java_octavo_runtime_Native_loadDescriptor(jni_environment *, jclass, jint, jint, jlong, jlong,
                                                jobject);
jint Java_octavo_runtime_Native_prepare(jni_environment *, jclass, jlong, jint, jlong, jobject);
jint Java_octavo_runtime_Native_run(jni_environment *, jclass, jlong, jobject, jobject);
jint Java_octavo_runtime_Native_usage(jni_environment *, jclass, jlong, jobject);
void Java_octavo_runtime_Native_destroy(jni_environment *, jclass, jlong);

int main(int argc, char **argv) {
  jni_function table[kSlots] = {0};
  table[JNI_DELETE_LOCAL_REF] = (jni_function)delete_local;
  table[JNI_GET_ARRAY_LENGTH] = (jni_function)length;
  table[JNI_GET_OBJECT_ARRAY_ELEMENT] = (jni_function)element;
  table[JNI_NEW_BYTE_ARRAY] = (jni_function)new_bytes;
  table[JNI_NEW_LONG_ARRAY] = (jni_function)new_longs;
  table[JNI_GET_BYTE_ARRAY_REGION] = (jni_function)get;
  table[JNI_SET_BYTE_ARRAY_REGION] = (jni_function)set;
  table[JNI_SET_INT_ARRAY_REGION] = (jni_function)set;
  table[JNI_SET_LONG_ARRAY_REGION] = (jni_function)set;
  table[JNI_GET_DIRECT_BUFFER_ADDRESS] = (jni_function)address;
  jni_environment environment = table, *env = &environment;
  if (argc != 3 || Java_octavo_runtime_Native_numModels(env, NULL) != 1) return 3;
  array *name = Java_octavo_runtime_Native_modelName(env, NULL, 0);
  if (name->count != 4 || memcmp(name->data, "tiny", 4) != 0) return 4;
  int file = open(argv[1], O_RDONLY);
  array *status = new_array(1, 4);
  jlong num_bytes = Java_octavo_runtime_Native_weightsBytes(env, NULL, 0);
  jlong handle = Java_octavo_runtime_Native_loadDescriptor(env, NULL, 0, file, atol(argv[2]),
                                                           num_bytes, status);
  close(file);
  if (handle == 0 || Java_octavo_runtime_Native_prepare(env, NULL, handle, 3, 0, NULL) != 0) return 5;
  array *lists[2];
  for (int is_output = 0; is_output < 2; is_output++) {
    jint count = Java_octavo_runtime_Native_numTensors(env, NULL, 0, (jboolean)is_output);
    lists[is_output] = new_array(count, sizeof(jobject));
    for (jint i = 0; i < count; i++) {
      array *record = Java_octavo_runtime_Native_tensorRecord(env, NULL, 0, (jboolean)is_output, i);
      array *buffer = new_array((int32_t)((jlong *)record->data)[1], 1);
      ((jobject *)lists[is_output]->data)[i] = buffer;
      if (!is_output && fread(buffer->data, 1, (size_t)buffer->count, stdin) == 0) return 6;
    }
  }
  if (Java_octavo_runtime_Native_run(env, NULL, handle, lists[0], lists[1]) != 0) return 7;
  array *usage = new_array(7, 8);
  if (Java_octavo_runtime_Native_usage(env, NULL, handle, usage) != 0) return 8;
  if (((jlong *)usage->data)[1] != num_bytes) return 9; /* mapped, not copied */
  for (jint i = 0; i < lists[1]->count; i++) {
    array *buffer = ((jobject *)lists[1]->data)[i];
    fwrite(buffer->data, 1, (size_t)buffer->count, stdout);
  }
  Java_octavo_runtime_Native_destroy(env, NULL, handle);
  return 0;
}
