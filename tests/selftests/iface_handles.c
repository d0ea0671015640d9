// SPDX-License-Identifier: GPL-2.0
/* File handles: their bytes, finding files by them, and what does not lead to one. */
#include "harness.h"

#include <sys/stat.h>

#define ALONE 0x81
#define WITH_PARENT 0x82
#define CONNECTABLE 0x10000	/* FILEID_IS_CONNECTABLE */
#define WORDS 6

#ifndef AT_HANDLE_CONNECTABLE
#define AT_HANDLE_CONNECTABLE 0x002
#endif

struct handle {
	struct file_handle head;
	uint32_t word[WORDS];
};

FIXTURE(handles) {
	int mnt;
};

FIXTURE_VARIANT(handles) {
	const char *image, *options;
	const char *dir, *file;	/* a directory, and a file in it */
};

FIXTURE_VARIANT_ADD(handles, plain) { .image = "plain-4096", .dir = "file", .file = "file/random" };
FIXTURE_VARIANT_ADD(handles, blocks_512) { .image = "extended-512", .dir = "file", .file = "file/random" };
FIXTURE_VARIANT_ADD(handles, no_dot) { .image = "dot-omitted-4096", .dir = "file", .file = "file/random" };
FIXTURE_VARIANT_ADD(handles, lz4) { .image = "z-lz4-compact", .dir = "dedupe", .file = "dedupe/one" };
FIXTURE_VARIANT_ADD(handles, metabox) { .image = "z-lz4-metabox", .dir = "dedupe", .file = "dedupe/one" };

FIXTURE_SETUP(handles)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", variant->options));
	self->mnt = open("/mnt/a", O_RDONLY | O_DIRECTORY);
	ASSERT_GE(self->mnt, 0);
}

FIXTURE_TEARDOWN(handles)
{
}

/* Gives 0 or -errno; a handle's size is in bytes. */
static int handle_of(int dir, const char *path, unsigned int size, int flags, struct handle *handle)
{
	int id;

	memset(handle, 0, sizeof(*handle));
	handle->head.handle_bytes = size;
	return name_to_handle_at(dir, path, &handle->head, &id, flags) ? -errno : 0;
}

/* A descriptor, or -errno. */
static int open_handle(int mnt, struct handle *handle, int flags)
{
	int fd = open_by_handle_at(mnt, &handle->head, flags);

	return fd < 0 ? -errno : fd;
}

static int open_words(int mnt, int type, unsigned int bytes, const uint32_t *words, int flags)
{
	struct handle handle = { .head = { .handle_bytes = bytes, .handle_type = type } };

	memcpy(handle.word, words, sizeof(handle.word));
	return open_handle(mnt, &handle, flags);
}

static bool same_inode(int fd, const char *path)
{
	struct stat a, b;

	return !fstat(fd, &a) && !lstat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_mode == b.st_mode;
}

TEST_F(handles, bytes)
{
	struct handle handle, dir;
	bool metabox = strstr(variant->image, "metabox");
	struct stat st;

	ASSERT_EQ(0, handle_of(self->mnt, variant->file, 128, 0, &handle));
	EXPECT_EQ(ALONE, handle.head.handle_type);
	EXPECT_EQ(12, handle.head.handle_bytes);
	ASSERT_EQ(0, fstatat(self->mnt, variant->file, &st, 0));
	if (!metabox) {
		EXPECT_EQ(st.st_ino, (uint64_t)handle.word[0] << 32 | handle.word[1]);
	} else {
		EXPECT_EQ(1, handle.word[0] >> 31);
	}
	EXPECT_EQ(0, handle.word[2]);

	ASSERT_EQ(0, handle_of(self->mnt, variant->dir, 128, 0, &dir));
	EXPECT_EQ(ALONE, dir.head.handle_type);
	ASSERT_EQ(0, handle_of(self->mnt, variant->file, 128, AT_HANDLE_CONNECTABLE, &handle));
	EXPECT_EQ(WITH_PARENT, handle.head.handle_type & 0xff);
	EXPECT_EQ(24, handle.head.handle_bytes);
	EXPECT_EQ(0, memcmp(handle.word + 3, dir.word, 12));
}

TEST_F(handles, too_small_a_buffer)
{
	struct handle handle;

	for (unsigned int size = 0; size < 12; size += 4) {
		EXPECT_EQ(-EOVERFLOW, handle_of(self->mnt, variant->file, size, 0, &handle));
		EXPECT_EQ(12, handle.head.handle_bytes);
	}
	EXPECT_EQ(-EOVERFLOW, handle_of(self->mnt, variant->file, 20, AT_HANDLE_CONNECTABLE, &handle));
	EXPECT_EQ(24, handle.head.handle_bytes);
}

TEST_F(handles, lead_back)
{
	static const int flags[] = { 0, AT_HANDLE_CONNECTABLE };
	const char *names[] = { variant->file, variant->dir, "link/fast", "." };
	char path[256];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		for (size_t f = 0; f < ARRAY_SIZE(flags); f++) {
			struct handle handle;
			int fd;

			/* A directory's handle needs no parent to be connectable. */
			ASSERT_EQ(0, handle_of(self->mnt, names[i], 128, flags[f], &handle));
			for (int cold = 0; cold < 2; cold++) {
				if (cold) {
					ASSERT_EQ(0, drop_caches(3));
				}
				fd = open_handle(self->mnt, &handle, O_PATH | O_NOFOLLOW);
				ASSERT_GE(fd, 0)
					TH_LOG("%s, cold %d", names[i], cold);
				snprintf(path, sizeof(path), "/mnt/a/%s", names[i]);
				EXPECT_TRUE(same_inode(fd, path));
				close(fd);
			}
		}
	}
}

TEST_F(handles, data_after_another_mount)
{
	struct handle handle;
	uint32_t crc, again;
	int fd;

	ASSERT_EQ(0, path_crc("/mnt/a", variant->file, &crc));
	ASSERT_EQ(0, handle_of(self->mnt, variant->file, 128, 0, &handle));
	close(self->mnt);
	ASSERT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", variant->options));
	self->mnt = open("/mnt/a", O_RDONLY | O_DIRECTORY);
	fd = open_handle(self->mnt, &handle, O_RDONLY);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, file_crc(fd, &again));
	EXPECT_EQ(crc, again);
	close(fd);
	/* Nor do descriptors by handle hold the mount after they are closed. */
	close(self->mnt);
	EXPECT_EQ(0, umount_at("/mnt/a"));
}

/* The path of @fd, as it ends. */
static bool is_at(int fd, const char *end)
{
	char link[64], path[512];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = 0;
	return strlen(path) >= strlen(end) && !strcmp(path + strlen(path) - strlen(end), end);
}

TEST_F(handles, directories_get_their_place_again)
{
	struct handle handle;
	char end[128];
	int fd, up;

	ASSERT_EQ(0, handle_of(self->mnt, variant->dir, 128, 0, &handle));
	ASSERT_EQ(0, drop_caches(3));
	fd = open_handle(self->mnt, &handle, O_RDONLY | O_DIRECTORY);
	ASSERT_GE(fd, 0);
	snprintf(end, sizeof(end), "/a/%s", variant->dir);
	EXPECT_TRUE(is_at(fd, end));
	up = openat(fd, "..", O_PATH);
	ASSERT_GE(up, 0);
	EXPECT_TRUE(same_inode(up, "/mnt/a"));
	/* The same dentry as by name. */
	EXPECT_EQ(0, faccessat(fd, strchr(variant->file, '/') + 1, R_OK, 0));
	close(up);
	close(fd);
}

TEST_F(handles, files_with_a_parent_get_their_place_again)
{
	struct handle handle;
	char end[128];
	int fd;

	ASSERT_EQ(0, handle_of(self->mnt, variant->file, 128, AT_HANDLE_CONNECTABLE, &handle));
	EXPECT_TRUE(handle.head.handle_type & CONNECTABLE);
	ASSERT_EQ(0, drop_caches(3));
	fd = open_handle(self->mnt, &handle, O_RDONLY);
	ASSERT_GE(fd, 0);
	snprintf(end, sizeof(end), "/a/%s", variant->file);
	EXPECT_TRUE(is_at(fd, end));
	close(fd);
}

TEST_F(handles, stale)
{
	static const int types[] = { 0, 1, 2, 0x80, 0x83, 0xfe, 0xff };
	uint32_t word[WORDS], bad[WORDS];
	struct handle handle;
	int fd;

	ASSERT_EQ(0, handle_of(self->mnt, variant->file, 128, AT_HANDLE_CONNECTABLE, &handle));
	memcpy(word, handle.word, sizeof(word));
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		EXPECT_EQ(-ESTALE, open_words(self->mnt, types[i], 12, word, O_RDONLY))
			TH_LOG("type %x", types[i]);
	}
	for (unsigned int bytes = 4; bytes < 12; bytes += 4) {
		EXPECT_EQ(-ESTALE, open_words(self->mnt, ALONE, bytes, word, O_RDONLY));
		EXPECT_EQ(-ESTALE, open_words(self->mnt, WITH_PARENT, bytes, word, O_RDONLY));
	}
	/* The generation is not compared, and a parent is only for whom it matters. */
	memcpy(bad, word, sizeof(bad));
	bad[2] = 0xdeadbeef;
	for (unsigned int bytes = 12; bytes <= 24; bytes += 12) {
		fd = open_words(self->mnt, WITH_PARENT, bytes, bad, O_RDONLY);
		EXPECT_GE(fd, 0);
		close(fd);
	}
	/* Beyond the image; the C driver loses the highest bits, and finds the inode. */
	for (int bit = 20; bit < (driver_is_c() ? 59 : 63); bit++) {
		memcpy(bad, word, sizeof(bad));
		bad[bit < 32] ^= 1U << (bit & 31);
		EXPECT_EQ(-ESTALE, open_words(self->mnt, ALONE, 12, bad, O_PATH))
			TH_LOG("bit %d", bit);
	}
	/* A metabox that is not there, or its other side. */
	memcpy(bad, word, sizeof(bad));
	bad[0] ^= 1U << 31;
	fd = open_words(self->mnt, ALONE, 12, bad, O_PATH);
	EXPECT_TRUE(fd >= 0 || fd == -ESTALE);
	close(fd);
}

TEST_F(handles, of_anything)
{
	uint32_t word[WORDS] = { 0 };
	unsigned int found = 0;
	struct stat st;

	/* Most are no inodes, and what looks like one is used without harm. */
	for (word[1] = 0; word[1] < (quick() ? 400 : 3000); word[1]++) {
		int fd = open_words(self->mnt, ALONE, 12, word, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
		char buf[64];

		if (fd >= 0) {
			EXPECT_EQ(0, fstat(fd, &st));
			if (S_ISREG(st.st_mode))
				found += pread(fd, buf, sizeof(buf), 0) >= 0;
			close(fd);
		} else {
			EXPECT_TRUE(fd == -ESTALE || fd == -ELOOP || fd == -ENXIO || fd == -EUCLEAN || fd == -ENOMEM ||
				    fd == -ENODEV || fd == -EOPNOTSUPP || fd == -EACCES)
				TH_LOG("nid %u: %d", word[1], fd);
		}
	}
	if (!strstr(variant->image, "metabox")) {
		EXPECT_LT(0, found);
	}
}

TEST_F(handles, need_privileges)
{
	struct handle handle;

	ASSERT_EQ(0, handle_of(self->mnt, variant->file, 128, 0, &handle));
	ASSERT_EQ(0, seteuid(1000));
	EXPECT_EQ(-EPERM, open_handle(self->mnt, &handle, O_RDONLY));
	EXPECT_EQ(0, handle_of(self->mnt, variant->file, 128, 0, &handle));
	ASSERT_EQ(0, seteuid(0));
}

TEST_HARNESS_MAIN
