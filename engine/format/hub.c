#include "format/hub.h"

#include "base/buf.h"
#include "format/format.h"
#include "format/wrong.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { PART_MAX = 96, REVISION_MAX = 255, COMMIT_HEX = 40, REF_FILE_MAX = 4096 };

/* hf://ID[@REVISION][/PATH], taken apart. */
struct hub_name {
    const char *uri;
    char *id;
    char *revision; /* "main" unless named */
    bool named;
    char *path; /* or NULL */
};

/* ---- grammar ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_part(const char *s, size_t n)
{
    if (n == 0 || n > PART_MAX || !is_word(s[0]) || !is_word(s[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_word(s[i]) && s[i] != '.' && s[i] != '-')
            return false;
        if (i && s[i] == s[i - 1] && (s[i] == '.' || s[i] == '-'))
            return false;
    }
    return n < 4 || memcmp(s + n - 4, ".git", 4) != 0;
}

bool hub_is_id(const char *text)
{
    const char *slash = strchr(text, '/');

    return slash && is_part(text, (size_t)(slash - text)) && is_part(slash + 1, strlen(slash + 1));
}

/* Letters that git allows in a reference and that are safe in a path and in a shell line. */
static bool is_revision(const char *s)
{
    const size_t n = strlen(s);

    if (n == 0 || n > REVISION_MAX || s[0] == '/' || s[0] == '-' || s[n - 1] == '/')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_word(s[i]) && !strchr("./-+@,", s[i]))
            return false;
        if (s[i] == '.' && (i == 0 || s[i - 1] == '/' || s[i - 1] == '.'))
            return false;
        if (s[i] == '/' && s[i - 1] == '/')
            return false;
    }
    return true;
}

/* A file inside the snapshot, and nothing above it. */
static bool is_inside(const char *path)
{
    for (const char *s = path;; s++) {
        const size_t n = strcspn(s, "/");

        if (n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
            return false;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f || s[i] == '\\')
                return false;
        s += n;
        if (!*s)
            return true;
    }
}

/* Bytes of the revision at S: to the next slash, but refs/pr/N and refs/convert/NAME whole. */
static size_t revision_length(const char *s)
{
    size_t n = strcspn(s, "/");

    if (strncmp(s, "refs/pr/", 8) == 0)
        n = 8 + strcspn(s + 8, "/");
    else if (strncmp(s, "refs/convert/", 13) == 0)
        n = 13 + strcspn(s + 13, "/");
    return n;
}

/* A slash inside another revision is written %2F. */
static char *revision_decoded(const char *s, size_t n, struct arena *arena)
{
    char *out = arena_alloc(arena, n + 1), *to = out;

    for (size_t i = 0; i < n; i++) {
        const bool slash =
            n - i >= 3 && s[i] == '%' && s[i + 1] == '2' && (s[i + 2] == 'F' || s[i + 2] == 'f');

        *to++ = slash ? '/' : s[i];
        i += slash ? 2 : 0;
    }
    return out;
}

static bool refuse(const char *uri, struct err *err)
{
    return err_set(err, ERR_RECIPE,
                   "\"%.300s\" is no model of the hub; expected \"hf://ORG/NAME\", "
                   "\"hf://ORG/NAME@REVISION\" or \"hf://ORG/NAME@REVISION/FILE\"",
                   uri);
}

static bool parse(const char *uri, struct arena *arena, struct hub_name *out, struct err *err)
{
    static const char *const others[] = {"datasets/", "spaces/", "buckets/"};
    const char *s = uri + 5;

    *out = (struct hub_name){.uri = uri};
    if (strncmp(uri, "hf://", 5) != 0)
        return refuse(uri, err);
    for (size_t i = 0; i < countof(others); i++)
        if (strncmp(s, others[i], strlen(others[i])) == 0)
            return err_set(err, ERR_RECIPE, "\"%.300s\": %.*s of the hub are no models", uri,
                           (int)strlen(others[i]) - 1, others[i]);
    if (strncmp(s, "models/", 7) == 0)
        s += 7;
    const char *slash = strchr(s, '/');
    const size_t n = slash ? (size_t)(slash - s) + 1 + strcspn(slash + 1, "@/") : 0;

    out->id = arena_strndup(arena, s, n);
    if (!hub_is_id(out->id))
        return refuse(uri, err);
    s += n;
    out->named = *s == '@';
    if (out->named) {
        const size_t len = revision_length(++s);

        out->revision = revision_decoded(s, len, arena);
        s += len;
        if (!is_revision(out->revision))
            return refuse(uri, err);
    } else {
        out->revision = arena_strdup(arena, "main");
    }
    if (*s == '/' && s[1]) {
        out->path = arena_strdup(arena, s + 1);
        if (!is_inside(out->path))
            return refuse(uri, err);
    }
    return true;
}

/* ---- where the cache is ---- */

static const char *env(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/* "~" at the start and $NAME, ${NAME} anywhere; a variable that is not set stays as written. */
static char *expand(const char *text, struct arena *arena)
{
    struct buf out = {0};
    const char *home = getenv("HOME");

    if (text[0] == '~' && (text[1] == 0 || text[1] == '/') && home) {
        buf_text(&out, home);
        text++;
    }
    while (*text) {
        const bool brace = text[0] == '$' && text[1] == '{';
        const char *name = text + 1 + brace;
        size_t n = 0;

        while (text[0] == '$' && is_word(name[n]))
            n++;
        const bool whole = n > 0 && (!brace || name[n] == '}');
        const char *value = whole ? getenv(arena_strndup(arena, name, n)) : NULL;

        if (value) {
            buf_text(&out, value);
            text = name + n + brace;
        } else {
            buf_u8(&out, (uint8_t)*text++);
        }
    }
    char *copy = arena_strdup(arena, buf_cstr(&out));

    buf_finish(&out);
    return copy;
}

char *hub_folder(struct arena *arena)
{
    const char *cache = env("HF_HUB_CACHE") ? env("HF_HUB_CACHE") : env("HUGGINGFACE_HUB_CACHE");

    if (cache)
        return expand(cache, arena);
    if (env("HF_HOME"))
        return path_join(arena, expand(env("HF_HOME"), arena), "hub");
    if (env("XDG_CACHE_HOME"))
        return path_join(arena, expand(env("XDG_CACHE_HOME"), arena), "huggingface/hub");
    return expand("~/.cache/huggingface/hub", arena);
}

/* ---- the lookup ---- */

/* Not there: where it was looked for, and the line that downloads it. */
static bool miss(const struct hub_name *name, const char *const *looked, size_t n, struct err *err)
{
    struct buf text = {0};

    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", looked[i]);
    err_set(err, ERR_IO, "%s: not on this disk; looked in %s; download it with: hf download %s%s%s",
            name->uri, buf_cstr(&text), name->id, name->named ? " --revision " : "",
            name->named ? name->revision : "");
    buf_finish(&text);
    return false;
}

static bool is_commit(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
            return false;
    return n == COMMIT_HEX;
}

/* refs/REVISION holds the commit, with white space around it. */
static bool read_ref(const char *path, struct arena *arena, char **commit, struct err *err)
{
    struct shown shown;
    char *text;
    size_t n;

    if (!file_read(path, REF_FILE_MAX, arena, &text, &n, err))
        return false;
    while (n && isspace((unsigned char)text[n - 1]))
        n--;
    while (n && isspace((unsigned char)text[0])) {
        text++;
        n--;
    }
    if (!is_commit(text, n)) {
        for (size_t i = 0; i < n; i++) /* what is no text is not shown as such */
            if ((unsigned char)text[i] >= 0x80)
                text[i] = '?';
        return err_set(err, ERR_FORMAT, "%s: \"%s\" is no commit (40 hex digits); download again",
                       path, name_shown(&shown, text, n));
    }
    *commit = arena_strndup(arena, text, n);
    return true;
}

/* "ORG/NAME" is the folder models--ORG--NAME. */
static char *repo_dir(const char *cache, const char *id, struct arena *arena)
{
    const char *slash = strchr(id, '/');

    return path_join(arena, cache,
                     arena_printf(arena, "models--%.*s--%s", (int)(slash - id), id, slash + 1));
}

bool hub_resolve(const char *uri, struct arena *arena, char **dir, struct err *err)
{
    return hub_resolve_in(hub_folder(arena), uri, arena, dir, err);
}

bool hub_resolve_in(const char *folder, const char *uri, struct arena *arena, char **dir,
                    struct err *err)
{
    const char *looked[3];
    struct hub_name name;
    size_t n = 0;

    if (!parse(uri, arena, &name, err))
        return false;
    const char *repo = repo_dir(folder, name.id, arena);
    char *commit = name.revision;

    looked[n++] = repo;
    if (!is_commit(commit, strlen(commit))) {
        const char *ref = path_join(arena, path_join(arena, repo, "refs"), name.revision);

        if (!file_is_dir(repo))
            return miss(&name, looked, n, err);
        looked[n++] = ref;
        if (!file_exists(ref))
            return miss(&name, looked, n, err);
        if (!read_ref(ref, arena, &commit, err))
            return false;
    }
    char *snapshot = path_join(arena, path_join(arena, repo, "snapshots"), commit);

    looked[n++] = snapshot;
    if (!file_is_dir(snapshot))
        return miss(&name, looked, n, err);
    if (name.path) {
        snapshot = path_join(arena, snapshot, name.path);
        looked[n - 1] = snapshot;
        if (!file_exists(snapshot))
            return miss(&name, looked, n, err);
    }
    *dir = snapshot;
    return true;
}
