/* Preloaded into a server on a machine that allows fewer open files than its checks ask for: says that 65535 are allowed.
 * Nothing is raised: a process that opens more than the machine allows still fails. */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILES = 65535 };

static int ask(pid_t process, int resource, const void *wanted, struct rlimit *found) {
    int result = (int)syscall(SYS_prlimit64, process, resource, wanted, found);
    if (result == 0 && found && resource == RLIMIT_NOFILE) {
        found->rlim_cur = FILES;
        found->rlim_max = FILES;
    }
    return result;
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *found) { return ask(0, (int)resource, 0, found); }

int getrlimit64(__rlimit_resource_t resource, struct rlimit64 *found) {
    return ask(0, (int)resource, 0, (struct rlimit *)found);
}

int prlimit(pid_t process, __rlimit_resource_t resource, const struct rlimit *wanted, struct rlimit *found) {
    return ask(process, (int)resource, wanted, found);
}

int prlimit64(pid_t process, __rlimit_resource_t resource, const struct rlimit64 *wanted, struct rlimit64 *found) {
    return ask(process, (int)resource, wanted, (struct rlimit *)found);
}
