#include "format/wrong.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool begins(const unsigned char *head, size_t n, const char *with, size_t size)
{
    return n >= size && memcmp(head, with, size) == 0;
}

static bool is_html(const unsigned char *head, size_t n)
{
    static const char *const marks[] = {"<!doctype", "<html", "<head", "<?xml"};
    size_t at = 0;

    while (at < n && (head[at] == ' ' || (head[at] >= '\t' && head[at] <= '\r')))
        at++;
    for (size_t i = 0; i < countof(marks); i++)
        if (n - at >= strlen(marks[i]) &&
            strncasecmp((const char *)head + at, marks[i], strlen(marks[i])) == 0)
            return true;
    return false;
}

bool wrong_check(const char *path, const unsigned char *head, size_t n, struct err *err)
{
    if (n == 0)
        return err_set(err, ERR_FORMAT, "%s: the file is empty; fetch it again", path);
    if (begins(head, n, "version https://git-lfs", 23))
        return err_set(err, ERR_FORMAT,
                       "%s: this is a Git LFS pointer, not the weights; run `git lfs pull` in its "
                       "folder",
                       path);
    if (begins(head, n, "PK\3\4", 4))
        return err_set(err, ERR_FORMAT,
                       "%s: this is a zip file, as torch.save and numpy.savez write them; pickles "
                       "are never read, convert it to safetensors",
                       path);
    if (n >= 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5)
        return err_set(err, ERR_FORMAT,
                       "%s: this is a Python pickle, which is a program and never read; convert it "
                       "to safetensors",
                       path);
    if (is_html(head, n))
        return err_set(err, ERR_FORMAT,
                       "%s: this is a web page, saved in place of the file; download the file "
                       "itself",
                       path);
    return true;
}

const char *name_shown(struct shown *shown, const char *name, size_t n)
{
    char *to = shown->text;
    size_t i = 0;

    while (i < n) {
        const unsigned char c = (unsigned char)name[i];
        const bool escape = c < 0x20 || c == 0x7f || c == '"' || c == '\\';
        size_t len = 1; /* bytes of this character */

        while (c >= 0x80 && i + len < n && ((unsigned char)name[i + len] & 0xc0) == 0x80)
            len++;
        if (to + (escape ? 4 : len) > shown->text + 200)
            break;
        if (escape)
            to += snprintf(to, 5, "\\x%02x", c);
        else
            for (size_t k = 0; k < len; k++)
                *to++ = name[i + k];
        i += len;
    }
    snprintf(to, 4, "%s", i < n ? "..." : "");
    return shown->text;
}
