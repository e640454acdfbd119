/* temp.c - temporaries beside final names, and those of processes that are gone */
#include "base/file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char mark[] = ".vbtmp.";

char *temp_name(struct arena *arena, const char *path)
{
    return arena_printf(arena, "%s/.%s%s%ld", path_dir(arena, path), path_base(path), mark,
                        (long)getpid());
}

/* Is NAME a temporary whose process is gone? */
static bool is_dead(const char *name)
{
    const char *at = name[0] == '.' ? strstr(name, mark) : NULL;
    const long pid = at ? strtol(at + strlen(mark), NULL, 10) : 0;

    return pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

size_t temp_sweep(const char *dir)
{
    struct arena *arena = arena_new();
    struct err err = {0};
    char **names;
    size_t n, swept = 0;

    if (dir_list(dir, arena, &names, &n, &err))
        for (size_t i = 0; i < n; i++)
            if (is_dead(names[i]) && dir_remove(path_join(arena, dir, names[i]), &err))
                swept++;
    arena_free(arena);
    return swept;
}

bool temp_adopt(const char *path, const char *temp)
{
    struct arena *arena = arena_new();
    const char *dir = path_dir(arena, path),
               *of = arena_printf(arena, ".%s%s", path_base(path), mark);
    struct err err = {0};
    bool found = false;
    char **names;
    size_t n;

    if (dir_list(dir, arena, &names, &n, &err))
        for (size_t i = 0; !found && i < n; i++) {
            const char *name = path_join(arena, dir, names[i]);
            struct stat st;

            found = strncmp(names[i], of, strlen(of)) == 0 && is_dead(names[i]) &&
                    lstat(name, &st) == 0 && !S_ISLNK(st.st_mode) && rename(name, temp) == 0;
        }
    arena_free(arena);
    return found;
}
