// SPDX-License-Identifier: GPL-2.0
/* Directories: positions, seeking and looking up. */
#include "harness.h"
#include "slow.h"

#include <dirent.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct entry {
	uint64_t ino;
	int64_t off;
	uint16_t size;
	uint8_t type;
	char name[];
};

FIXTURE(dir) {
	int fd;		/* of a directory of many blocks */
	off_t size;
	int block;
	bool dot_last;
	char names[700][64];
	off_t start[701];	/* position of each entry, and of the end */
	int count;
};

FIXTURE_VARIANT(dir) {
	const char *image;
	bool compressed;
};

FIXTURE_VARIANT_ADD(dir, block_512) { .image = "plain-512" };
FIXTURE_VARIANT_ADD(dir, block_4096) { .image = "plain-4096" };
FIXTURE_VARIANT_ADD(dir, dot_omitted) { .image = "dot-omitted-512" };
FIXTURE_VARIANT_ADD(dir, compressed) { .image = "zd-512", .compressed = true };
FIXTURE_VARIANT_ADD(dir, metabox) { .image = "metabox-4096", .compressed = true };

static long next_entries(int fd, char *buf, size_t size)
{
	return syscall(SYS_getdents64, fd, buf, size);
}

FIXTURE_SETUP(dir)
{
	char buf[1024];
	struct stat st;
	off_t at = 0;
	long n;

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", NULL));
	self->fd = open_read("/mnt/a", "many", O_DIRECTORY);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, fstat(self->fd, &st));
	self->size = st.st_size;
	self->block = st.st_blksize;
	while ((n = next_entries(self->fd, buf, sizeof(buf))) > 0)
		for (long k = 0; k < n; k += ((struct entry *)(buf + k))->size) {
			struct entry *entry = (void *)(buf + k);

			ASSERT_LT(self->count, 700);
			strcpy(self->names[self->count], entry->name);
			self->start[self->count++] = at;
			at = entry->off;
		}
	ASSERT_EQ(0, n);
	self->start[self->count] = at;
	self->dot_last = !strcmp(self->names[self->count - 1], ".");
}

FIXTURE_TEARDOWN(dir)
{
}

TEST_F(dir, all_entries_once_and_in_order)
{
	ASSERT_EQ(602, self->count);
	for (int i = 1; i < self->count - self->dot_last; i++) {
		EXPECT_LT(0, strcmp(self->names[i], self->names[i - 1]));
	}
	EXPECT_EQ(self->size + self->dot_last, self->start[self->count]);
}

/* A position inside a record is rounded up to the next one; inside the names it is the end of the block. */
TEST_F(dir, seek_to_any_offset)
{
	char buf[256];
	int next = 0;

	for (off_t at = 0; at <= self->size; at += at < 2 * self->block ? 1 : 7) {
		struct entry *entry = (void *)buf;
		long n;

		while (next < self->count && self->start[next] < at)
			next++;
		ASSERT_EQ(at, lseek(self->fd, at, SEEK_SET));
		n = next_entries(self->fd, buf, sizeof(buf));
		if (next == self->count) {
			ASSERT_EQ(0, n);
			continue;
		}
		ASSERT_LT(0, n)
			TH_LOG("at %lld", (long long)at);
		ASSERT_STREQ(self->names[next], entry->name)
			TH_LOG("at %lld", (long long)at);
	}
}

TEST_F(dir, seek_rules)
{
	char buf[256];

	EXPECT_EQ(self->size + 5, lseek(self->fd, 5, SEEK_END));
	EXPECT_EQ(0, next_entries(self->fd, buf, sizeof(buf)));
	EXPECT_EQ(self->size + 100000, lseek(self->fd, self->size + 100000, SEEK_SET));
	EXPECT_EQ(0, next_entries(self->fd, buf, sizeof(buf)));
	EXPECT_EQ(-1, lseek(self->fd, -1, SEEK_SET));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, lseek(self->fd, 0, SEEK_DATA));
	EXPECT_EQ(self->size, lseek(self->fd, 0, SEEK_HOLE));
	EXPECT_EQ(-1, read(self->fd, buf, 1));
	EXPECT_EQ(EISDIR, errno);
	EXPECT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_EQ(-1, next_entries(self->fd, buf, 10));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(dir, lookups)
{
	struct stat st;
	char path[512], name[300];

	for (int i = 0; i < self->count; i++) {
		snprintf(path, sizeof(path), "/mnt/a/many/%s", self->names[i]);
		ASSERT_EQ(0, stat(path, &st))
			TH_LOG("%s", path);
		/* Neither shorter nor longer names are there. */
		if (self->names[i][0] == '.')
			continue;
		strcat(path, "!");
		ASSERT_EQ(-1, stat(path, &st));
		ASSERT_EQ(ENOENT, errno);
		path[strlen(path) - 2] = 0;
		ASSERT_EQ(-1, stat(path, &st));
		ASSERT_EQ(ENOENT, errno);
	}
	EXPECT_EQ(-1, stat("/mnt/a/many/ENTRY-0000", &st));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, stat("/mnt/a/many/", &st) + stat("/mnt/a/many/zzz", &st));
	EXPECT_EQ(ENOENT, errno);
	memset(name, 'n', sizeof(name));
	name[255] = 0;
	snprintf(path, sizeof(path), "/mnt/a/name/%s", name);
	EXPECT_EQ(0, stat(path, &st));
	name[255] = 'n';
	name[256] = 0;
	snprintf(path, sizeof(path), "/mnt/a/name/%s", name);
	EXPECT_EQ(-1, stat(path, &st));
	EXPECT_EQ(ENAMETOOLONG, errno);
	EXPECT_EQ(-1, stat("/mnt/a/hard-link/x", &st));
	EXPECT_EQ(ENOTDIR, errno);
}

TEST_F(dir, other_calls)
{
	int value = 0;
	int direct = open_read("/mnt/a", "many", O_DIRECTORY | O_DIRECT);

	/* Nothing comes of it, so it is allowed where a file's would be. */
	if (variant->compressed) {
		EXPECT_EQ(-EINVAL, direct);
	} else {
		EXPECT_LE(0, direct);
	}
	EXPECT_EQ(-1, ioctl(self->fd, 1 /* FIBMAP */, &value));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, fcntl(self->fd, F_SETLEASE, F_RDLCK));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, fsync(self->fd));
	EXPECT_EQ(EINVAL, errno);
}

FIXTURE(large) {
	char dev[DEV_LEN];
};

FIXTURE_VARIANT(large) {
	const char *image;
};

FIXTURE_VARIANT_ADD(large, block_512) { .image = "large-512" };
FIXTURE_VARIANT_ADD(large, block_4096) { .image = "large" };
FIXTURE_VARIANT_ADD(large, compressed) { .image = "large-zd" };

FIXTURE_SETUP(large)
{
	int fd;

	ASSERT_EQ(0, private_mounts());
	fd = attach_image(variant->image, self->dev);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, mount_at(self->dev, "/mnt/a", NULL));
	close(fd);
}

FIXTURE_TEARDOWN(large)
{
}

#define NAMES 10000

TEST_F(large, listed_and_read_ahead)
{
	int fd = open_read("/mnt/a", "names", O_DIRECTORY), count = 0;
	static char buf[32768];
	long reads, n;
	struct stat st;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, fstat(fd, &st));
	ASSERT_EQ(0, drop_caches(1));
	reads = device_reads(self->dev);
	while ((n = next_entries(fd, buf, sizeof(buf))) > 0)
		for (long k = 0; k < n; k += ((struct entry *)(buf + k))->size)
			count++;
	EXPECT_EQ(0, n);
	EXPECT_EQ(NAMES + 2, count);
	/* Fewer requests than pages. */
	EXPECT_GT(st.st_size / 4096 / 2, device_reads(self->dev) - reads);
	close(fd);
}

/* Each position leads back to its entry, whatever was read in between, also through another descriptor. */
TEST_F(large, positions)
{
	DIR *dir = opendir("/mnt/a/names"), *other = opendir("/mnt/a/names");
	long at[(NAMES + 2) / 97 + 1], count = 0;
	char names[ARRAY_SIZE(at)][32];
	struct dirent *entry;

	ASSERT_NE(NULL, dir);
	ASSERT_NE(NULL, other);
	for (int i = 0;; i++) {
		long here = telldir(dir);

		entry = readdir(dir);
		if (!entry)
			break;
		if (i % 97)
			continue;
		at[count] = here;
		snprintf(names[count++], sizeof(names[0]), "%.31s", entry->d_name);
	}
	ASSERT_EQ(ARRAY_SIZE(at), count);
	for (int i = 0; i < count; i++) {
		int n = i * 37 % count;

		seekdir(i % 2 ? dir : other, at[n]);
		entry = readdir(i % 2 ? dir : other);
		ASSERT_NE(NULL, entry);
		EXPECT_STREQ(names[n], entry->d_name);
	}
	rewinddir(dir);
	EXPECT_STREQ(".", readdir(dir)->d_name);
	closedir(dir);
	closedir(other);
}

static int list_at_once(const void *arg)
{
	static char buf[MIB];

	return next_entries(*(const int *)arg, buf, sizeof(buf)) < 0;
}

/* It need not wait for what it has asked for, and the rest of the folder is not read for nobody. */
TEST_F(large, killed_while_listing)
{
	long start, reads[2];
	pid_t pid;
	int fd;

	if (!strcmp(variant->image, "large-zd"))
		return; /* It is read at once. */
	ASSERT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, dm_image("listed", variant->image, 0, 0, self->dev));
	ASSERT_EQ(0, mount_at(self->dev, "/mnt/a", NULL));
	fd = open_read("/mnt/a", "names", O_DIRECTORY);
	ASSERT_LE(0, fd);
	for (int killed = 0; killed < 2; killed++) {
		ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
		ASSERT_EQ(0, drop_caches(1));
		start = device_reads(self->dev);
		ASSERT_EQ(0, dm_suspend("listed", true));
		pid = spawn(list_at_once, &fd);
		EXPECT_EQ(-ETIMEDOUT, wait_child(pid, 1));
		if (killed) {
			kill(pid, SIGKILL);
			EXPECT_EQ(256 + SIGKILL, wait_child(pid, 10));
		}
		ASSERT_EQ(0, dm_suspend("listed", false));
		if (!killed) {
			EXPECT_EQ(0, wait_child(pid, 10));
		}
		usleep(200000);
		reads[killed] = device_reads(self->dev) - start;
	}
	EXPECT_GT(reads[0] / 2, reads[1]);
	close(fd);
	EXPECT_EQ(0, umount_at("/mnt/a"));
	EXPECT_EQ(0, dm_remove("listed"));
}

static long negative_dentries(void)
{
	long fields[6] = {};
	FILE *f = fopen("/proc/sys/fs/dentry-state", "re");

	if (!f || fscanf(f, "%ld %ld %ld %ld %ld", fields, fields + 1, fields + 2, fields + 3, fields + 4) != 5)
		fields[4] = -1;
	if (f)
		fclose(f);
	return fields[4];
}

TEST_F(large, lookups)
{
	struct stat first, st;
	char path[64];
	long negative, reads;

	ASSERT_EQ(0, stat("/mnt/a/names/00000-the-first", &first));
	EXPECT_EQ(NAMES, first.st_nlink);
	for (int i = 1; i < NAMES; i += 113) {
		snprintf(path, sizeof(path), "/mnt/a/names/%05d-and-more", i);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(first.st_ino, st.st_ino);
	}
	/* What is not there is known from then on. */
	negative = negative_dentries();
	for (int round = 0; round < 2; round++) {
		reads = device_reads(self->dev);
		for (int i = 1; i < NAMES; i += 113) {
			snprintf(path, sizeof(path), "/mnt/a/names/%05d-and-mor", i);
			EXPECT_ERRNO(ENOENT, stat(path, &st));
		}
		drop_caches(1);
	}
	EXPECT_EQ(reads, device_reads(self->dev));
	if (negative >= 0) {
		EXPECT_LE(negative + NAMES / 113, negative_dentries());
	}
}

TEST_HARNESS_MAIN
