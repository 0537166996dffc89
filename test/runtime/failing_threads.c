// Preloaded: while the environment variable NO_THREADS is set, every second thread cannot be started.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) {
  static int (*create)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static int count;
  if (!create) create = dlsym(RTLD_NEXT, "pthread_create");
  if (getenv("NO_THREADS") && __sync_add_and_fetch(&count, 1) % 2 == 0) return EAGAIN;
  return create(thread, attributes, run, argument);
}
