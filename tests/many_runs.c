/* many_runs.c -- preloaded into a command that reads one text and dies, lets it read many.

   The command's main() is run once for each text on standard input, in a child of a process that has been
   linked and set up already: a fifth of the time that starting it anew takes.  Texts end with a NUL; each
   takes the place of the last argument.  What a run prints is followed on standard output by its exit
   status and a NUL, on standard error by a NUL. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int main_fn(int, char **, char **);
typedef int start_fn(main_fn *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

static main_fn *command;

static int run_each(int argc, char **argv, char **envp)
{
    char *text = NULL;
    size_t room = 0;
    int status;

    while (getdelim(&text, &room, '\0', stdin) > 0) {
        pid_t child = fork();
        if (child == 0) {
            dup2(open("/dev/null", O_RDONLY), 0);
            argv[argc - 1] = text;
            return command(argc, argv, envp);
        }
        if (child < 0 || waitpid(child, &status, 0) != child) {
            return 1;
        }
        dprintf(2, "%c", 0);
        dprintf(1, "%d%c", WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    }
    return 0;
}

int __libc_start_main(main_fn *wanted, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end)
{
    start_fn *start = (start_fn *)dlsym(RTLD_NEXT, "__libc_start_main");

    command = wanted;
    return start(run_each, argc, argv, init, fini, rtld_fini, stack_end);
}
