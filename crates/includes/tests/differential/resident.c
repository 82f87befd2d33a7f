/* Preloaded into clang: its main function is entered once per request, each time in a new process.
 *
 * Most of what a small compile costs clang is to be loaded: its libraries hold a hundred megabytes, with a
 * million addresses to adjust. Here that is done once. What runs afterwards is clang's own `main` with the
 * arguments, the environment and the folder of the request.
 *
 * A request, on standard input: three numbers of 32 bits (arguments, variables, bytes of text), then the text:
 * the folder, the arguments, the variables, each ended by a zero byte. The answer, on standard output: two
 * numbers of 32 bits (the state as waitpid tells it, or -1 if time ran out; bytes of text), then what the compiler
 * wrote to standard error. An answer of zeros says that requests may come.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int Main(int, char **, char **);
typedef int Start(Main *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

extern char **environ;
static Main *real_main;

static void whole(ssize_t (*move)(int, void *, size_t), int fd, void *bytes, size_t left)
{
    char *at = bytes;
    while (left > 0) {
        ssize_t moved = move(fd, at, left);
        if (moved <= 0)
            _exit(0); /* The test has gone. */
        at += moved;
        left -= (size_t)moved;
    }
}

static ssize_t writes(int fd, void *bytes, size_t left)
{
    return write(fd, bytes, left);
}

static char *words(char *text, uint32_t count, char **to)
{
    for (uint32_t at = 0; at < count; at++) {
        to[at] = text;
        text += strlen(text) + 1;
    }
    to[count] = NULL;
    return text;
}

/* Waits for the end of a child, for some seconds. */
static int32_t end_of(pid_t child, int patience_ms)
{
    int watched = (int)syscall(SYS_pidfd_open, child, 0);
    struct pollfd ended = {.fd = watched, .events = POLLIN};
    int in_time = poll(&ended, 1, patience_ms);
    close(watched);
    if (in_time < 1)
        kill(-child, SIGKILL);
    int state = 0;
    waitpid(child, &state, 0);
    return in_time < 1 ? -1 : state;
}

static int serve(int argc, char **argv, char **env)
{
    (void)argc, (void)argv, (void)env;
    int said = memfd_create("said", MFD_CLOEXEC);
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    int32_t ready[2] = {0, 0};
    whole(writes, 1, ready, sizeof ready);
    for (;;) {
        uint32_t counts[3];
        whole(read, 0, counts, sizeof counts);
        char *text = malloc(counts[2]);
        char **arguments = calloc(counts[0] + 1, sizeof *arguments);
        char **variables = calloc(counts[1] + 1, sizeof *variables);
        whole(read, 0, text, counts[2]);
        char *rest = words(text + strlen(text) + 1, counts[0], arguments);
        words(rest, counts[1], variables);
        if (ftruncate(said, 0) != 0)
            _exit(1);
        pid_t child = fork();
        if (child == 0) {
            setpgid(0, 0);
            dup2(nothing, 0);
            dup2(nothing, 1);
            dup2(said, 2);
            lseek(2, 0, SEEK_SET);
            if (chdir(text) != 0)
                _exit(1);
            environ = variables;
            exit(real_main((int)counts[0], arguments, variables));
        }
        setpgid(child, child);
        int32_t answer[2] = {end_of(child, 100000), (int32_t)lseek(said, 0, SEEK_END)};
        char *message = malloc((size_t)answer[1] + 1);
        lseek(said, 0, SEEK_SET);
        whole(read, said, message, (size_t)answer[1]);
        whole(writes, 1, answer, sizeof answer);
        whole(writes, 1, message, (size_t)answer[1]);
        free(message);
        free(variables);
        free(arguments);
        free(text);
    }
}

int __libc_start_main(Main *entry, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end)
{
    Start *start = (Start *)dlsym(RTLD_NEXT, "__libc_start_main");
    real_main = entry;
    unsetenv("LD_PRELOAD");
    return start(serve, argc, argv, init, fini, loader_fini, stack_end);
}
