// SPDX-License-Identifier: GPL-2.0
/* Mappings of shared files behave as those of private ones. */
#include "harness.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#define COMMON_SIZE MIB
#define HUGE (4 * MIB)

FIXTURE(map) {
	int fd;		/* common */
	uint32_t crc;
};

FIXTURE_VARIANT(map) {
	const char *image, *options;
};

FIXTURE_VARIANT_ADD(map, private) { .image = "share-a" };
FIXTURE_VARIANT_ADD(map, shared) { .image = "share-a", .options = DOMAIN };
FIXTURE_VARIANT_ADD(map, shared_chunks) { .image = "share-a-chunk", .options = DOMAIN };
FIXTURE_VARIANT_ADD(map, shared_512) { .image = "share-a-512", .options = DOMAIN };

FIXTURE_SETUP(map)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-b-private", "/mnt/private", NULL));
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", variant->options));
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/b", variant->options));
	ASSERT_EQ(0, path_crc("/mnt/private", "common", &self->crc));
	self->fd = open_read("/mnt/a", "common", 0);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(map)
{
}

TEST_F(map, reading)
{
	void *map = mmap(NULL, COMMON_SIZE, PROT_READ, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(self->crc, crc32(0, map, COMMON_SIZE));
	munmap(map, COMMON_SIZE);
	map = mmap(NULL, COMMON_SIZE, PROT_READ, MAP_PRIVATE | MAP_POPULATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(self->crc, crc32(0, map, COMMON_SIZE));
}

TEST_F(map, writing)
{
	char *map = mmap(NULL, COMMON_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->fd, 0), byte;
	char *shared;

	ASSERT_NE(MAP_FAILED, map);
	byte = map[5000];
	map[5000] = ~byte;
	EXPECT_EQ((char)~byte, map[5000]);
	EXPECT_EQ(1, pread(self->fd, &byte, 1, 5000));
	EXPECT_EQ((char)~byte, map[5000]);
	EXPECT_EQ(0, same_bytes("/mnt/b", "common", "/mnt/private", "common"));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, COMMON_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0));
	EXPECT_EQ(EACCES, errno);
	shared = mmap(NULL, COMMON_SIZE, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, shared);
	EXPECT_EQ(-1, mprotect(shared, COMMON_SIZE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
}

static int exec_hello(const void *path)
{
	execl(path, "hello", "one", NULL);
	return 99;
}

TEST_F(map, executing)
{
	EXPECT_EQ(42, wait_child(spawn(exec_hello, "/mnt/a/hello"), 30));
	EXPECT_EQ(42, wait_child(spawn(exec_hello, "/mnt/b/hello"), 30));
}

static sigjmp_buf jump;

static void on_sigbus(int signal)
{
	siglongjmp(jump, signal);
}

static bool faults(const volatile char *at)
{
	if (sigsetjmp(jump, 1))
		return true;
	(void)*at;
	return false;
}

TEST_F(map, beyond_the_end)
{
	int tail = open_read("/mnt/a", "tail", 0), empty = open_read("/mnt/a", "empty", 0);
	const char *map = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, tail, 0);
	const char *none = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, empty, 0);

	signal(SIGBUS, on_sigbus);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_NE(MAP_FAILED, none);
	/* To the end of its page the file goes on with zeros. */
	for (size_t i = 5000; i < 2 * PAGE; i++) {
		ASSERT_EQ(0, map[i]);
	}
	EXPECT_FALSE(faults(map));
	EXPECT_TRUE(faults(map + 2 * PAGE));
	EXPECT_TRUE(faults(map + 4 * PAGE - 1));
	EXPECT_TRUE(faults(none));
}

TEST_F(map, page_tails_are_zero)
{
	char name[32];

	for (int i = 0; i < 40; i++) {
		struct stat st;
		const char *map;
		int fd;

		snprintf(name, sizeof(name), "directory/same-%02d", i);
		fd = open_read("/mnt/a", name, 0);
		ASSERT_EQ(0, fstat(fd, &st));
		map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		ASSERT_NE(MAP_FAILED, map);
		for (size_t k = st.st_size; k % PAGE; k++) {
			ASSERT_EQ(0, map[k])
				TH_LOG("%s, byte %zu", name, k);
		}
		munmap((void *)map, st.st_size);
		close(fd);
	}
}

TEST_F(map, advice)
{
	static const int good[] = { MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_DONTFORK,
		MADV_DOFORK, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_COLD, MADV_PAGEOUT,
		MADV_POPULATE_READ };
	void *map = mmap(NULL, COMMON_SIZE, PROT_READ, MAP_SHARED, self->fd, 0);

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT_EQ(0, madvise(map, COMMON_SIZE, good[i]))
			TH_LOG("advice %d", good[i]);
		EXPECT_EQ(self->crc, crc32(0, map, COMMON_SIZE));
	}
	EXPECT_EQ(-1, madvise(map, COMMON_SIZE, MADV_FREE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, madvise(map, COMMON_SIZE, MADV_REMOVE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, madvise(map, COMMON_SIZE, MADV_POPULATE_WRITE));
	EXPECT_EQ(EINVAL, errno);
}

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

TEST_F(map, collapse)
{
	int fd = open_read("/mnt/a", "huge", 0);
	/* Aligned to 2 MiB, as the huge page must be. */
	char *room = mmap(NULL, HUGE + 2 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = (char *)(((uintptr_t)room + 2 * MIB - 1) & ~(2 * MIB - 1));
	uint32_t crc;

	ASSERT_EQ(at, mmap(at, HUGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0));
	ASSERT_EQ(0, path_crc("/mnt/private", "huge", &crc));
	ASSERT_EQ(0, madvise(at, HUGE, MADV_POPULATE_READ));
	EXPECT_EQ(0, madvise(at, HUGE, MADV_COLLAPSE));
	EXPECT_EQ(crc, crc32(0, at, HUGE));
	EXPECT_EQ(0, same_bytes("/mnt/b", "huge", "/mnt/private", "huge"));
	if (variant->options) {
		EXPECT_EQ(1024, frames_shared("/mnt/a", "huge", "/mnt/b", "huge", 1024));
	}
}

/* The person sees the file that was opened, on the image that it was opened on. */
TEST_F(map, proc_maps)
{
	void *map = mmap(NULL, COMMON_SIZE, PROT_READ, MAP_SHARED, self->fd, 0);
	char line[512], expected[256];
	struct stat st;
	bool found = false;
	FILE *f = fopen("/proc/self/maps", "r");

	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, fstat(self->fd, &st));
	snprintf(expected, sizeof(expected), "%02x:%02x %lu ", major(st.st_dev), minor(st.st_dev), (unsigned long)st.st_ino);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "/mnt/a/common")) {
			found = true;
			EXPECT_NE(NULL, strstr(line, expected))
				TH_LOG("%s, not %s", line, expected);
		}
	EXPECT_TRUE(found);
	fclose(f);
}

TEST_F(map, two_members_in_one_process)
{
	int other = open_read("/mnt/b", "common", 0);
	char *a = mmap(NULL, COMMON_SIZE, PROT_READ, MAP_SHARED, self->fd, 0);
	char *b = mmap(NULL, COMMON_SIZE, PROT_READ, MAP_SHARED, other, 0);
	pid_t pid;

	ASSERT_EQ(0, memcmp(a, b, COMMON_SIZE));
	pid = fork();
	if (!pid)
		_exit(crc32(0, a, COMMON_SIZE) != self->crc);
	EXPECT_EQ(0, wait_child(pid, 30));
	munmap(a, COMMON_SIZE);
	EXPECT_EQ(self->crc, crc32(0, b, COMMON_SIZE));
}

TEST_HARNESS_MAIN
