/* Makes a slow disk of a fast one: every sync of a file takes 2 ms more. Preloaded into servers and databases. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

#ifndef ADDED_MS
#define ADDED_MS 2
#endif

static void wait_longer(void)
{
    struct timespec left = {0, ADDED_MS * 1000000L};
    while (nanosleep(&left, &left) != 0)
        ;
}

int fsync(int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_longer();
    return real(file);
}

int fdatasync(int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_longer();
    return real(file);
}
