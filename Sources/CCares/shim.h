// The one header through which Swift sees c-ares.
#ifndef EKIDEN_CCARES_SHIM_H
#define EKIDEN_CCARES_SHIM_H

#include <sys/time.h>

#include <ares.h>

// Milliseconds to the channel's next timeout, rounded up; -1 when nothing is under way. In C because `struct timeval`
// belongs to several modules and Swift asks for a different one of them depending on what else is imported.
static inline long ekiden_ares_milliseconds_to_timeout(ares_channel channel) {
  struct timeval storage;
  const struct timeval *next = ares_timeout(channel, 0, &storage);
  if (!next) return -1;
  return next->tv_sec * 1000 + (next->tv_usec + 999) / 1000;
}

#endif
