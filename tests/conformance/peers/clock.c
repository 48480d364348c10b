/* The clock of a schedule, preloaded into nginx: the second it is stands in the file $EVENER_CLOCK,
 * as eight bytes. nginx counts failures by gettimeofday's seconds, and by nothing else. */

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

static const volatile int64_t *seconds;

__attribute__((constructor)) static void find(void) {
  const char *path = getenv("EVENER_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *seconds, PROT_READ, MAP_SHARED, file, 0);
  if (page == MAP_FAILED)
    abort(); /* another clock than the one that was asked for would make every pick a guess */
  seconds = page;
}

int gettimeofday(struct timeval *now, void *zone) {
  (void)zone;
  now->tv_sec = *seconds;
  now->tv_usec = 0;
  return 0;
}
