/* Shared libraries and small files, on every system with a C library. */
#include "platform.h"

#if defined(__ANDROID__) && !__has_include(<stdio.h>)
/* Source: bionic libc/include/{dlfcn,stdio}.h. */
typedef struct __sFILE FILE;
#ifdef __LP64__
enum { RTLD_NOW = 2 };
#else
enum { RTLD_NOW = 0 };
#endif
enum { RTLD_LOCAL = 0, RTLD_NODELETE = 0x1000, SEEK_SET = 0, SEEK_END = 2 };
void *dlopen(const char *path, int flags);
void *dlsym(void *library, const char *name);
int dlclose(void *library);
FILE *fopen(const char *path, const char *mode);
int fclose(FILE *file);
size_t fread(void *data, size_t size, size_t count, FILE *file);
size_t fwrite(const void *data, size_t size, size_t count, FILE *file);
int fseek(FILE *file, long offset, int origin);
long ftell(FILE *file);
int rename(const char *from, const char *to);
int remove(const char *path);
#else
#include <dlfcn.h>
#include <stdio.h>
#endif

#ifndef RTLD_NODELETE
#define RTLD_NODELETE 0
#endif

/* Drivers start threads that outlive everything that was asked of them, so their code stays. */
void *octavo_platform_open_library(const char *name) {
  return dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

void *octavo_platform_symbol(void *library, const char *name) { return dlsym(library, name); }

void octavo_platform_close_library(void *library) { dlclose(library); }

void *octavo_platform_read(const char *path, size_t *num_bytes) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  void *data = NULL;
  long end = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
  if (end > 0 && fseek(file, 0, SEEK_SET) == 0) {
    *num_bytes = (size_t)end;
    data = octavo_platform_allocate(*num_bytes);
    if (data != NULL && fread(data, 1, *num_bytes, file) != *num_bytes) {
      octavo_platform_free(data);
      data = NULL;
    }
  }
  fclose(file);
  return data;
}

bool octavo_platform_write(const char *path, const char *temporary, const void *data,
                           size_t num_bytes) {
  FILE *file = fopen(temporary, "wb");
  if (file == NULL) return false;
  bool is_written = fwrite(data, 1, num_bytes, file) == num_bytes;
  is_written = fclose(file) == 0 && is_written;
  if (is_written && rename(temporary, path) == 0) return true;
  remove(temporary);
  return false;
}
