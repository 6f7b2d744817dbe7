/* Files mapped into memory, on every POSIX system. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_POPULATE, O_CLOEXEC */
#endif
#ifndef _DARWIN_C_SOURCE
#define _DARWIN_C_SOURCE
#endif
#if !defined(__LP64__) && !defined(_FILE_OFFSET_BITS)
#define _FILE_OFFSET_BITS 64 /* places in files above 2 GiB */
#endif
#include "platform.h"

#include "c_library.h"

octavo_status octavo_platform_open(const char *path, int *file) {
  *file = open(path, O_RDONLY | O_CLOEXEC);
  return *file < 0 ? OCTAVO_FILE_ERROR : OCTAVO_OK;
}

void octavo_platform_close(int file) { close(file); }

octavo_status octavo_platform_file_bytes(int file, uint64_t *num_bytes) {
  struct stat info;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < 0) {
    return OCTAVO_FILE_ERROR;
  }
  *num_bytes = (uint64_t)info.st_size;
  return OCTAVO_OK;
}

/* Anywhere, or at an address that is mapped already. Populated now where the system can, so that
 * the first run is not the one that takes the page faults. */
static void *map_file(int file, uint64_t offset, size_t num_bytes, void *at) {
  if ((off_t)offset < 0 || (uint64_t)(off_t)offset != offset) return NULL; /* of 32 bits */
  int flags = MAP_PRIVATE | MAP_POPULATE | (at != NULL ? MAP_FIXED : 0);
  void *memory = mmap(at, num_bytes, PROT_READ, flags, file, (off_t)offset);
  return memory == MAP_FAILED ? NULL : memory;
}

octavo_status octavo_platform_map(int file, uint64_t offset, size_t num_bytes,
                                  octavo_mapping *mapping, const uint8_t **data) {
  size_t before = (size_t)(offset % OCTAVO_LARGEST_PAGE);
  if (num_bytes > SIZE_MAX - before) return OCTAVO_OUT_OF_MEMORY;
  uint8_t *base = map_file(file, offset - before, before + num_bytes, NULL);
  if (base == NULL) return OCTAVO_FILE_ERROR;
  *mapping = (octavo_mapping){base, before + num_bytes};
  *data = base + before;
  return OCTAVO_OK;
}

octavo_status octavo_platform_map_behind(int file, uint64_t offset, size_t num_bytes,
                                         size_t expanded_bytes, octavo_mapping *mapping,
                                         uint8_t **memory) {
  /* Bytes in front of what is expanded, so that the file behind it begins with a page. */
  size_t margin = (OCTAVO_LARGEST_PAGE - expanded_bytes % OCTAVO_LARGEST_PAGE) %
                  OCTAVO_LARGEST_PAGE;
  size_t room_bytes = margin + expanded_bytes;
  uint8_t *room = mmap(NULL, room_bytes + num_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return OCTAVO_OUT_OF_MEMORY;
  if (map_file(file, offset, num_bytes, room + room_bytes) == NULL) {
    munmap(room, room_bytes + num_bytes);
    return OCTAVO_FILE_ERROR;
  }
  *mapping = (octavo_mapping){room, room_bytes + num_bytes};
  *memory = room + margin;
  return OCTAVO_OK;
}

void octavo_platform_unmap(octavo_mapping *mapping) {
  if (mapping->base != NULL) munmap(mapping->base, mapping->num_bytes);
  *mapping = (octavo_mapping){0};
}
