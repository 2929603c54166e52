/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/index_check.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/guard.h"

#define LMDB_MAGIC 0xBEEFC0DEU
#define LMDB_VERSION 1
#define DEPTH_MAX 32 /* LMDB's own CURSOR_STACK */
#define NO_PAGE UINT64_MAX

#define PAGE_BRANCH 0x01
#define PAGE_LEAF 0x02
#define PAGE_OVERFLOW 0x04
#define PAGE_META 0x08
#define PAGE_KIND 0x6f /* without "dirty", which tells nothing on disk */
#define NODE_BIG 0x01
#define TREE_INTEGER_KEYS 0x08
#define TREE_FLAGS 0x7f /* above them, the free tree's hold flags of the environment */

/* On disk, all little-endian. */
struct lmdb_page {
    uint64_t number;
    uint16_t pad, flags;
    uint16_t lower, upper; /* of an overflow page: how many follow, as one u32 */
};
struct lmdb_node {
    uint16_t low, high, flags, key_length;
};
struct lmdb_tree {
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};
struct lmdb_meta {
    uint32_t magic, version;
    uint64_t address, map_bytes;
    struct lmdb_tree trees[2]; /* free pages, data */
    uint64_t last_page, transaction;
};
_Static_assert(sizeof(struct lmdb_page) == 16 && sizeof(struct lmdb_node) == 8 &&
                   sizeof(struct lmdb_tree) == 48 && sizeof(struct lmdb_meta) == 136,
               "LMDB's layout");

struct check {
    const uint8_t *data;
    uint64_t pages; /* in the file, and below the last one in use */
    size_t page_bytes;
    uint8_t *seen; /* bit a page up to last_page */
    uint64_t last_page;
};

/* A page may be reached once: this breaks cycles, and bounds the walk by the file. */
static bool claim(struct check *c, uint64_t page, uint64_t count, bool must_be_in_file)
{
    uint64_t end = must_be_in_file ? c->pages : c->last_page + 1;
    if (page < 2 || page >= end || count > end - page)
        return false;
    for (uint64_t i = page; i < page + count; i++) {
        if (c->seen[i / 8] & 1U << i % 8)
            return false;
        c->seen[i / 8] |= (uint8_t)(1U << i % 8);
    }
    return true;
}

/* The data of a node that has pages of its own. */
static const uint8_t *overflow(struct check *c, const uint8_t *where, size_t length)
{
    uint64_t number;
    uint32_t count;
    memcpy(&number, where, sizeof number);
    uint64_t need = (sizeof(struct lmdb_page) + length + c->page_bytes - 1) / c->page_bytes;
    if (!claim(c, number, need, true))
        return NULL;
    const uint8_t *p = c->data + number * c->page_bytes;
    struct lmdb_page page;
    memcpy(&page, p, sizeof page);
    memcpy(&count, p + offsetof(struct lmdb_page, lower), sizeof count);
    if (page.number != number || (page.flags & PAGE_KIND) != PAGE_OVERFLOW || count < need)
        return NULL;
    /* Pages beyond the data belong to it too. */
    if (count > need && !claim(c, number + need, count - need, true))
        return NULL;
    return p + sizeof page;
}

/* A list of free pages: a count and that many page numbers. */
static bool check_free_list(struct check *c, const uint8_t *data, size_t length)
{
    struct bytes b = bytes_make(data, length);
    uint64_t count = bytes_le64(&b);
    if (b.bad || count > bytes_left(&b) / sizeof(uint64_t))
        return false;
    uint64_t before = UINT64_MAX;
    while (count--) {
        uint64_t page = bytes_le64(&b);
        if (page >= before || !claim(c, page, 1, false)) /* they fall strictly */
            return false;
        before = page;
    }
    return true;
}

static bool check_leaf_node(struct check *c, const struct lmdb_node *node, struct bytes *b,
                            bool is_free)
{
    size_t length = (size_t)node->low | (size_t)node->high << 16;
    bool big = node->flags & NODE_BIG;
    const uint8_t *data = bytes_take(b, big ? sizeof(uint64_t) : length);
    if (!data || node->flags & ~NODE_BIG)
        return false;
    if (big)
        data = overflow(c, data, length);
    return data && (!is_free || check_free_list(c, data, length));
}

static bool check_page(struct check *c, uint64_t number, unsigned depth, bool is_free);

/* bounded: depth falls with each level */
static bool check_node(struct check *c, const uint8_t *at, size_t room, unsigned depth,
                       bool is_free)
{
    struct lmdb_node node;
    struct bytes b = bytes_make(at, room);
    const uint8_t *head = bytes_take(&b, sizeof node);
    if (!head)
        return false;
    memcpy(&node, head, sizeof node);
    if (!bytes_take(&b, node.key_length))
        return false;
    if (depth > 1) {
        uint64_t child =
            (uint64_t)node.low | (uint64_t)node.high << 16 | (uint64_t)node.flags << 32;
        return check_page(c, child, depth - 1, is_free);
    }
    return (!is_free || node.key_length == sizeof(uint64_t)) &&
           check_leaf_node(c, &node, &b, is_free);
}

static bool check_page(struct check *c, uint64_t number, unsigned depth, bool is_free)
{
    if (!claim(c, number, 1, true))
        return false;
    const uint8_t *p = c->data + number * c->page_bytes;
    struct lmdb_page page;
    memcpy(&page, p, sizeof page);
    int kind = depth > 1 ? PAGE_BRANCH : PAGE_LEAF;
    if (page.number != number || (page.flags & PAGE_KIND) != kind || page.lower < sizeof page ||
        page.lower > page.upper || page.upper > c->page_bytes || page.lower % 2)
        return false;
    size_t nodes = (page.lower - sizeof page) / 2;
    if (nodes < (depth > 1 ? 2 : 1))
        return false;
    for (size_t i = 0; i < nodes; i++) {
        uint16_t offset;
        memcpy(&offset, p + sizeof page + 2 * i, sizeof offset);
        if (offset < page.upper || offset >= c->page_bytes || offset % 2 ||
            !check_node(c, p + offset, c->page_bytes - offset, depth, is_free))
            return false;
    }
    return true;
}

static bool check_tree(struct check *c, const struct lmdb_tree *tree, bool is_free)
{
    uint16_t flags = is_free ? TREE_INTEGER_KEYS : 0;
    if ((tree->flags & TREE_FLAGS) != flags || tree->depth > DEPTH_MAX)
        return false;
    if (tree->root == NO_PAGE)
        return tree->depth == 0 && tree->entries == 0;
    return tree->depth > 0 && check_page(c, tree->root, tree->depth, is_free);
}

static bool check_file(const uint8_t *data, size_t length)
{
    long page_bytes = sysconf(_SC_PAGESIZE);
    struct check c = {.data = data, .page_bytes = (size_t)page_bytes};
    struct lmdb_meta metas[2];
    if (length < 2 * c.page_bytes)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        struct lmdb_page page;
        memcpy(&page, data + i * c.page_bytes, sizeof page);
        memcpy(&metas[i], data + i * c.page_bytes + sizeof page, sizeof metas[i]);
        if ((page.flags & PAGE_KIND) != PAGE_META || metas[i].magic != LMDB_MAGIC ||
            metas[i].version != LMDB_VERSION || metas[i].trees[0].pad != c.page_bytes)
            return false;
    }
    /* The newer one counts, as LMDB chooses. */
    const struct lmdb_meta *meta = &metas[metas[1].transaction > metas[0].transaction];
    c.pages = length / c.page_bytes;
    c.last_page = meta->last_page;
    /* Pages at the end may be unwritten where they are free; but never as many as are written. */
    if (c.last_page < 1 || c.last_page / 2 > c.pages)
        return false;
    if (c.pages > c.last_page + 1)
        c.pages = c.last_page + 1;
    AUTO_FREE uint8_t *seen = calloc(1, (size_t)(c.last_page / 8 + 1));
    c.seen = seen;
    return seen && check_tree(&c, &meta->trees[0], true) && check_tree(&c, &meta->trees[1], false);
}

int index_check(int dirfd, const char *name, struct err *err)
{
    AUTO_FD int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_set(err, errno, "%s: %s", name, strerror(errno));
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "%s: %s", name, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size == 0) /* LMDB's begins with two pages */
        return err_set(err, EBADMSG, "%s: %s", name, st.st_size ? "no regular file" : "empty");
    size_t length = (size_t)st.st_size;
    void *data = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return err_set(err, errno, "%s: %s", name, strerror(errno));
    int guard = guard_map_add(data, length);
    bool good = check_file(data, length), lost = guard_map_lost(guard);
    guard_map_remove(guard);
    (void)munmap(data, length); /* our own mapping, whole */
    if (lost)
        return err_set(err, EIO, "%s: its disk failed", name);
    return good ? 0 : err_set(err, EBADMSG, "%s: damaged", name);
}
