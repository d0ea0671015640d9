// SPDX-License-Identifier: GPL-2.0
/* What 32-bit programs are told: the same as others, whose answers iface_files.c checks. Their way into the kernel is open
   to any program that keeps what it passes below 4 GiB. */
#include "harness.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define ROOM 8192
#define ENTRIES 2048

/* Of i386. */
enum { CALL_IOCTL = 54, CALL_GETDENTS = 141, CALL_PREAD64 = 180, CALL_GETDENTS64 = 220 };

#ifdef __x86_64__
static bool compat_here(void)
{
	int pid = -1;

	/* Where there is no such way, it is a fault. */
	pid = fork();
	if (!pid) {
		int result;

		asm volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid */) : "memory", "r8", "r9", "r10", "r11");
		_exit(result != getpid());
	}
	return !wait_child(pid, 20);
}

static int call32(int call, int fd, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	int result;

	asm volatile("int $0x80" : "=a"(result) : "a"(call), "b"(fd), "c"(a), "d"(b), "S"(c), "D"(d)
		     : "memory", "r8", "r9", "r10", "r11");
	return result;
}
#else
static bool compat_here(void)
{
	return false;
}

static int call32(int call, int fd, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	return -ENOSYS;
}
#endif

FIXTURE(compat) {
	int fd, dir;
	char *low;	/* has an address of 32 bits */
};

FIXTURE_VARIANT(compat) {
	const char *image, *options, *file, *dir;
};

FIXTURE_VARIANT_ADD(compat, label) { .image = "label", .file = "file/size-5000", .dir = "many" };
FIXTURE_VARIANT_ADD(compat, chunks_512) { .image = "index-4k-512", .file = "file/sparse", .dir = "many" };
FIXTURE_VARIANT_ADD(compat, metabox) { .image = "z-lz4-metabox", .file = "dedupe/one", .dir = "dedupe" };
FIXTURE_VARIANT_ADD(compat, sharing) { .image = "share-a", .options = DOMAIN, .file = "common", .dir = "directory" };

FIXTURE_SETUP(compat)
{
	if (!compat_here())
		SKIP(return, "no 32-bit calls in this kernel");
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", variant->options));
	self->fd = open_read("/mnt/a", variant->file, 0);
	self->dir = open_read("/mnt/a", variant->dir, O_DIRECTORY);
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, self->dir);
	self->low = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, self->low);
	ASSERT_GT(1UL << 32, (uintptr_t)self->low + ROOM);
}

FIXTURE_TEARDOWN(compat)
{
}

/* Requests whose numbers and structures are the same in 32 bits. */
TEST_F(compat, ioctls)
{
	static const struct {
		unsigned long cmd;
		int first;	/* of the argument */
	} table[] = {
		{ FS_IOC_GETFSLABEL }, { _IOR(0x15, 0, char[17]) /* FS_IOC_GETFSUUID */ },
		{ _IOR(0x15, 1, char[129]) /* FS_IOC_GETFSSYSFSPATH */ }, { FIGETBSZ }, { FIONREAD }, { FIBMAP }, { FIBMAP, 1 },
		{ FIBMAP, -1 }, { FIBMAP, 1 << 20 }, { 0x5460 /* FIOQSIZE */ }, { FS_IOC_SETFSLABEL }, { FS_IOC_FSGETXATTR },
		{ FITRIM }, { FIFREEZE }, { 0xdead },
	};
	const int fds[] = { self->fd, self->dir };

	for (size_t i = 0; i < 2 * ARRAY_SIZE(table); i++) {
		unsigned long cmd = table[i / 2].cmd;
		char wanted[ROOM] __attribute__((aligned(8)));
		int here, there;

		memset(wanted, 0, ROOM);
		memcpy(wanted, &table[i / 2].first, sizeof(int));
		memcpy(self->low, wanted, ROOM);
		here = ioctl(fds[i % 2], cmd, wanted) ? -errno : 0;
		there = call32(CALL_IOCTL, fds[i % 2], cmd, (uintptr_t)self->low, 0, 0);
		EXPECT_EQ(here, there)
			TH_LOG("ioctl %lx on %zu", cmd, i % 2);
		EXPECT_EQ(0, memcmp(wanted, self->low, ROOM))
			TH_LOG("ioctl %lx on %zu", cmd, i % 2);
	}
	/* The C driver does not tell the label of a shared file. */
	if (!variant->options || !driver_is_c()) {
		EXPECT_EQ(0, call32(CALL_IOCTL, self->fd, FS_IOC_GETFSLABEL, (uintptr_t)self->low, 0, 0));
		EXPECT_EQ(-EFAULT, call32(CALL_IOCTL, self->fd, FS_IOC_GETFSLABEL, 0, 0, 0));
	}
	if (!strcmp(variant->image, "label")) {
		EXPECT_STREQ("fifteen letters", self->low);
	}
	/* Numbers of their own: flags are 32 bits. */
	EXPECT_EQ(-ENOTTY, call32(CALL_IOCTL, self->fd, FS_IOC32_GETFLAGS, (uintptr_t)self->low, 0, 0));
	EXPECT_EQ(-EROFS, call32(CALL_IOCTL, self->fd, FS_IOC32_SETFLAGS, (uintptr_t)self->low, 0, 0));
}

TEST_F(compat, fiemap)
{
	struct fiemap *low = (void *)self->low, *wanted = calloc(1, ROOM);

	wanted->fm_length = FIEMAP_MAX_OFFSET;
	wanted->fm_extent_count = (ROOM - sizeof(*wanted)) / sizeof(struct fiemap_extent);
	memcpy(low, wanted, ROOM);
	ASSERT_EQ(0, ioctl(self->fd, FS_IOC_FIEMAP, wanted));
	ASSERT_EQ(0, call32(CALL_IOCTL, self->fd, FS_IOC_FIEMAP, (uintptr_t)low, 0, 0));
	EXPECT_LE(1, low->fm_mapped_extents);
	EXPECT_EQ(0, memcmp(wanted, low, ROOM));
	low->fm_flags = FIEMAP_FLAG_CACHE;
	EXPECT_EQ(-EBADR, call32(CALL_IOCTL, self->fd, FS_IOC_FIEMAP, (uintptr_t)low, 0, 0));
	free(wanted);
}

struct entry64 {
	uint64_t ino;
	int64_t off;
	uint16_t size;
	uint8_t type;
	char name[];
} __attribute__((packed));

struct entry32 {
	uint32_t ino, off;
	uint16_t size;
	char name[];	/* the type is the record's last byte */
};

/* Numbers of inodes that have more than 32 bits would be an EOVERFLOW. */
TEST_F(compat, names)
{
	static struct {
		struct entry64 head;
		char name[256];
	} list[ENTRIES];
	static char buf[ROOM] __attribute__((aligned(8)));
	static const int calls[] = { CALL_GETDENTS64, CALL_GETDENTS };
	int count = 0, n, at;

	while ((n = syscall(SYS_getdents64, self->dir, buf, sizeof(buf))) > 0)
		for (at = 0; at < n; at += ((struct entry64 *)(buf + at))->size) {
			ASSERT_GT(ENTRIES, count);
			list[count].head = *(struct entry64 *)(buf + at);
			strcpy(list[count++].name, ((struct entry64 *)(buf + at))->name);
		}
	ASSERT_EQ(0, n);
	ASSERT_LT(2, count);
	for (size_t c = 0; c < ARRAY_SIZE(calls); c++) {
		int seen = 0;

		ASSERT_EQ(0, lseek(self->dir, 0, SEEK_SET));
		while ((n = call32(calls[c], self->dir, (uintptr_t)self->low, ROOM, 0, 0)) > 0)
			for (at = 0; at < n; seen++) {
				struct entry64 *e64 = (void *)(self->low + at);
				struct entry32 *e32 = (void *)(self->low + at);
				const struct entry64 *wanted = &list[seen].head;

				ASSERT_GT(count, seen);
				if (calls[c] == CALL_GETDENTS64) {
					EXPECT_EQ(wanted->ino, e64->ino);
					EXPECT_EQ(wanted->off, e64->off);
					EXPECT_EQ(wanted->type, e64->type);
					EXPECT_STREQ(list[seen].name, e64->name);
					at += e64->size;
				} else {
					EXPECT_EQ(wanted->ino, e32->ino);
					EXPECT_EQ(wanted->off, e32->off);
					EXPECT_EQ(wanted->type, self->low[at + e32->size - 1]);
					EXPECT_STREQ(list[seen].name, e32->name);
					at += e32->size;
				}
			}
		EXPECT_EQ(0, n);
		EXPECT_EQ(count, seen);
	}
}

TEST_F(compat, contents)
{
	char wanted[1000];
	ssize_t n = pread(self->fd, wanted, sizeof(wanted), 123);

	ASSERT_LT(0, n);
	EXPECT_EQ(n, call32(CALL_PREAD64, self->fd, (uintptr_t)self->low, sizeof(wanted), 123, 0));
	EXPECT_EQ(0, memcmp(wanted, self->low, n));
	/* Far beyond the end, which the lower half alone is not. */
	EXPECT_EQ(0, call32(CALL_PREAD64, self->fd, (uintptr_t)self->low, sizeof(wanted), 123, 1));
}

TEST_HARNESS_MAIN
