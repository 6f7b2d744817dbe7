/* Find OpenCL's functions in the library of the system's drivers. */
#include "opencl_api.h"

#include "platform.h"

/* The loader's name first; where a phone has none, the drivers of its GPU's makers are OpenCL
 * libraries themselves. */
static const char *const kLibraries[] = {
    "libOpenCL.so",
    "libOpenCL.so.1",
    "/vendor/lib64/libOpenCL.so",
    "/system/vendor/lib64/libOpenCL.so",
    "/vendor/lib64/egl/libGLES_mali.so",
    "/vendor/lib64/libPVROCL.so",
    "/System/Library/Frameworks/OpenCL.framework/OpenCL",
};

const char *octavo_opencl_load(octavo_opencl_api *api) {
  *api = (octavo_opencl_api){0};
  for (size_t i = 0; i < sizeof kLibraries / sizeof *kLibraries && api->library == NULL; i++) {
    api->library = octavo_platform_open_library(kLibraries[i]);
  }
  if (api->library == NULL) return "there is no OpenCL library (libOpenCL.so)";
/* A pointer to data becomes one to a function: POSIX promises that it may. */
#define OCTAVO_FIND(result, name, parameters)                                  \
  {                                                                            \
    void *found = octavo_platform_symbol(api->library, "cl" #name);            \
    if (found == NULL) {                                                       \
      octavo_opencl_unload(api);                                               \
      return "the OpenCL library has no function cl" #name;                    \
    }                                                                          \
    __builtin_memcpy(&api->name, &found, sizeof found);                        \
  }
  OCTAVO_OPENCL_FUNCTIONS(OCTAVO_FIND)
#undef OCTAVO_FIND
  return NULL;
}

void octavo_opencl_unload(octavo_opencl_api *api) {
  if (api->library != NULL) octavo_platform_close_library(api->library);
  *api = (octavo_opencl_api){0};
}
