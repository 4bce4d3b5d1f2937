/* LD_PRELOAD: faults below Python, where SQLite writes too. Controlled by a text file, so that a test can change its mind
 * while the process runs. The file is read again at each call of a wrapped function; it holds lines of
 *
 *     fail FUNCTION SUBSTRING ERRNO     calls on files whose path contains SUBSTRING fail with ERRNO
 *     kill FUNCTION SUBSTRING N         the N-th such call of this process is its last: SIGKILL, after the call is done
 *     clock SECONDS                     the wall clock is off by so many seconds
 *
 * FUNCTION is write (also pwrite, writev and a growing ftruncate), fsync (also fdatasync), open (for writing) or rename.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static __thread int inside;
static int passed[16];

static size_t plan(char *text, size_t size) {
    const char *name = getenv("FAULT_PLAN");
    if (!name) return 0;
    int file = syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t got = syscall(SYS_read, file, text, size - 1);
    syscall(SYS_close, file);
    text[got > 0 ? got : 0] = 0;
    return got > 0 ? got : 0;
}

/* The errno to fail with, 0 for none; sets *last when this call is the process's last. */
static int fault(const char *function, const char *path, int *last) {
    char text[1024], verb[16], which[16], part[512], *rest;
    long number;
    int result = 0, rule = 0;
    *last = 0;
    if (inside || !path) return 0;
    inside = 1;
    int saved = errno;
    if (plan(text, sizeof text))
        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), rule++)
            if (sscanf(line, "%15s %15s %511s %ld", verb, which, part, &number) == 4 && !strcmp(which, function) && strstr(path, part)) {
                if (!strcmp(verb, "fail")) result = number;
                else if (!strcmp(verb, "kill") && rule < 16 && __sync_add_and_fetch(&passed[rule], 1) == number) *last = 1;
            }
    errno = saved;
    inside = 0;
    return result;
}

static const char *path_of(int file, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t got = readlink(link, path, size - 1);
    if (got < 0) return NULL;
    path[got] = 0;
    return path;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define CALL(function, path, failed, call) \
    do { int last, error = fault(function, path, &last); \
         if (error) { errno = error; return failed; } \
         __typeof__(call) result = call; \
         if (last) { kill(getpid(), SIGKILL); for (;;) pause(); } \
         return result; } while (0)
#define CALL_ON(function, file, failed, call) \
    do { char path[4096]; CALL(function, path_of(file, path, sizeof path), failed, call); } while (0)

ssize_t write(int file, const void *data, size_t size) { REAL(write); CALL_ON("write", file, -1, real(file, data, size)); }
ssize_t pwrite(int file, const void *data, size_t size, off_t at) { REAL(pwrite); CALL_ON("write", file, -1, real(file, data, size, at)); }
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) { REAL(pwrite64); CALL_ON("write", file, -1, real(file, data, size, at)); }
ssize_t writev(int file, const struct iovec *parts, int count) { REAL(writev); CALL_ON("write", file, -1, real(file, parts, count)); }
int fsync(int file) { REAL(fsync); CALL_ON("fsync", file, -1, real(file)); }
int fdatasync(int file) { REAL(fdatasync); CALL_ON("fsync", file, -1, real(file)); }
int rename(const char *from, const char *to) { REAL(rename); CALL("rename", to, -1, real(from, to)); }

static int writing(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }

int open(const char *path, int flags, ...) {
    REAL(open);
    va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more);
    CALL("open", writing(flags) ? path : NULL, -1, real(path, flags, mode));
}
int open64(const char *path, int flags, ...) {
    REAL(open64);
    va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more);
    CALL("open", writing(flags) ? path : NULL, -1, real(path, flags, mode));
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    char text[1024], *found;
    if (clock != CLOCK_REALTIME || inside) return result;
    inside = 1;
    if (plan(text, sizeof text) && (found = strstr(text, "clock "))) now->tv_sec += atol(found + 6);
    inside = 0;
    return result;
}
