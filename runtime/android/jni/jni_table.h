/* The part of the Java Native Interface that octavo_jni.c uses, so that it is built where no JDK
 * and no NDK is. An environment is a table of functions, and their places in it are part of the
 * interface.
 *
 * Source: Java Native Interface Specification, chapter 4, "Interface Function Table".
 */
#ifndef OCTAVO_JNI_TABLE_H_
#define OCTAVO_JNI_TABLE_H_

#include <stdint.h>

typedef void *jobject;
typedef jobject jclass;
typedef uint8_t jboolean;
typedef int8_t jbyte;
typedef int32_t jint;
typedef int64_t jlong;
typedef void (*jni_function)(void);
typedef const jni_function *jni_environment; /* C's name of it: JNIEnv */

/* A function for Java by the class and the name that it has there. */
#define OCTAVO_JNI(result, name) \
  __attribute__((visibility("default"))) result Java_octavo_runtime_Native_##name

enum {
  JNI_DELETE_LOCAL_REF = 23,
  JNI_GET_ARRAY_LENGTH = 171,
  JNI_GET_OBJECT_ARRAY_ELEMENT = 173,
  JNI_NEW_BYTE_ARRAY = 176,
  JNI_NEW_LONG_ARRAY = 180,
  JNI_GET_BYTE_ARRAY_REGION = 200,
  JNI_GET_LONG_ARRAY_REGION = 204,
  JNI_SET_BYTE_ARRAY_REGION = 208,
  JNI_SET_INT_ARRAY_REGION = 211,
  JNI_SET_LONG_ARRAY_REGION = 212,
  JNI_GET_DIRECT_BUFFER_ADDRESS = 230
};

static inline void jni_delete_local_ref(jni_environment *env, jobject object) {
  ((void (*)(jni_environment *, jobject))(*env)[JNI_DELETE_LOCAL_REF])(env, object);
}

static inline jint jni_get_array_length(jni_environment *env, jobject array) {
  return ((jint(*)(jni_environment *, jobject))(*env)[JNI_GET_ARRAY_LENGTH])(env, array);
}

static inline jobject jni_get_element(jni_environment *env, jobject array, jint index) {
  return ((jobject(*)(jni_environment *, jobject, jint))(*env)[JNI_GET_OBJECT_ARRAY_ELEMENT])(
      env, array, index);
}

/* An array of `count` numbers: one of JNI_NEW_BYTE_ARRAY and JNI_NEW_LONG_ARRAY; NULL, and an
 * exception that Java throws once it is back, without memory. */
static inline jobject jni_new_array(jni_environment *env, int function, jint count) {
  return ((jobject(*)(jni_environment *, jint))(*env)[function])(env, count);
}

/* Copies `count` numbers from the front of an array, or to it: one of the functions ..._REGION. */
static inline void jni_copy(jni_environment *env, int function, jobject array, jint count,
                            void *numbers) {
  ((void (*)(jni_environment *, jobject, jint, jint, void *))(*env)[function])(env, array, 0, count,
                                                                               numbers);
}

static inline uint8_t *jni_buffer_address(jni_environment *env, jobject buffer) {
  return ((uint8_t * (*)(jni_environment *, jobject))(*env)[JNI_GET_DIRECT_BUFFER_ADDRESS])(env,
                                                                                           buffer);
}

#endif /* OCTAVO_JNI_TABLE_H_ */
