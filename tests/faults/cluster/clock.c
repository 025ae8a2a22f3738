/* A wall clock that a test can move while the process that reads it runs.

   Loaded before the C library (LD_PRELOAD). SKEWED_CLOCK names a file of two 64-bit numbers: the
   seconds to add, and the number of readings. Monotonic clocks and sleeps do not change. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *skew;

__attribute__((constructor)) static void open_clock(void)
{
    const char *path = getenv("SKEWED_CLOCK");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *numbers = mmap(NULL, 2 * sizeof *skew, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (numbers != MAP_FAILED)
        skew = numbers;
    close(file);
}

static int64_t offset(void)
{
    if (!skew)
        return 0;
    __atomic_fetch_add(&skew[1], 1, __ATOMIC_RELAXED);
    return skew[0];
}

int clock_gettime(clockid_t which, struct timespec *moment)
{
    int failed = syscall(SYS_clock_gettime, which, moment);
    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        moment->tv_sec += offset();
    return failed;
}

int gettimeofday(struct timeval *moment, void *zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    moment->tv_sec = now.tv_sec;
    moment->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *moment)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (moment)
        *moment = now.tv_sec;
    return now.tv_sec;
}
