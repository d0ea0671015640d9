// SPDX-License-Identifier: GPL-2.0
/* DAX: files on an emulated pmem device (memmap= on the kernel's command line), read and mapped where they are. */
#include "harness.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PMEM "/dev/pmem0"
/* A small one. */
#define PMEM_1 "/dev/pmem1"

#ifndef STATX_ATTR_DAX
#define STATX_ATTR_DAX 0x00200000
#endif

FIXTURE(dax) {
};

FIXTURE_SETUP(dax)
{
	ASSERT_EQ(0, private_mounts());
	if (access(PMEM, F_OK))
		SKIP(return, "no " PMEM);
	if (mount_image("small", "/mnt/never", "dax=never"))
		SKIP(return, "no FS_DAX in this kernel");
}

FIXTURE_TEARDOWN(dax)
{
}

static int put(const char *image)
{
	return write_image(image, PMEM);
}

static bool is_dax(const char *dir, const char *file)
{
	char path[256];
	struct statx stx = { 0 };

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return !statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, 0, &stx) && (stx.stx_attributes_mask & STATX_ATTR_DAX) &&
	       (stx.stx_attributes & STATX_ATTR_DAX);
}

/* Whether the frame is memory of the device. */
static bool on_pmem(uint64_t frame)
{
	FILE *file = fopen("/proc/iomem", "r");
	unsigned long long start, end;
	bool found = false;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (strstr(line, "Persistent Memory") && sscanf(line, "%llx-%llx", &start, &end) == 2)
			found |= frame >= start / PAGE && frame <= end / PAGE;
	if (file)
		fclose(file);
	return found;
}

/* Whether the file's first page is mapped there: 0, 1, or a negative errno. */
static int lies_on_pmem(const char *dir, const char *file)
{
	int fd = open_read(dir, file, 0), err;
	uint64_t frame;
	void *map;

	if (fd < 0)
		return fd;
	err = page_frames(fd, 1, &frame, &map);
	close(fd);
	if (err)
		return err;
	munmap(map, PAGE);
	return on_pmem(frame);
}

TEST_F(dax, files_are_where_they_are)
{
	static const char * const images[] = { "plain-4096", "chunk-4k-4096", "index-4k-4096" };
	static const char * const files[] = { "file/size-4096", "file/size-65536", "file/size-5000", "file/random", "file/sparse",
					      "file/sparse-end", "file/size-0", "file/zero" };

	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		bool chunks = i > 0;
		int fd;

		ASSERT_EQ(0, put(images[i]));
		ASSERT_EQ(0, mount_at(PMEM, "/mnt/a", "dax"));
		ASSERT_EQ(0, mount_image(images[i], "/mnt/b", NULL));
		EXPECT_TRUE(option_shown("/mnt/a", "dax=always"));
		EXPECT_FALSE(option_shown("/mnt/b", "dax=always"));
		for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
			uint32_t crc, mapped;

			EXPECT_EQ(0, same_bytes("/mnt/a", files[f], "/mnt/b", files[f]))
				TH_LOG("%s: %s", images[i], files[f]);
			EXPECT_FALSE(is_dax("/mnt/b", files[f]));
			if (f == 6)
				continue;
			fd = open_read("/mnt/a", files[f], 0);
			ASSERT_EQ(0, path_crc("/mnt/b", files[f], &crc));
			ASSERT_EQ(0, file_crc_mmap(fd, &mapped));
			EXPECT_EQ(crc, mapped)
				TH_LOG("%s: %s", images[i], files[f]);
			close(fd);
		}
		EXPECT_TRUE(is_dax("/mnt/a", "file/size-4096"));
		EXPECT_TRUE(is_dax("/mnt/a", "file/size-65536"));
		EXPECT_EQ(chunks, is_dax("/mnt/a", "file/size-5000"));
		EXPECT_FALSE(is_dax("/mnt/a", "file"));
		EXPECT_FALSE(is_dax("/mnt/a", "link/fast"));

		EXPECT_EQ(1, lies_on_pmem("/mnt/a", "file/size-65536"));
		EXPECT_EQ(0, lies_on_pmem("/mnt/b", "file/size-65536"));
		ASSERT_EQ(0, umount_at("/mnt/b"));
		ASSERT_EQ(0, umount_at("/mnt/a"));
	}
}

TEST_F(dax, programs_run)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, put("chunk-4k-4096"));
	ASSERT_EQ(0, mount_at(PMEM, "/mnt/a", "dax=always"));
	EXPECT_TRUE(is_dax("/mnt/a", "bin/hello"));
	pid = fork();
	if (!pid) {
		execl("/mnt/a/bin/hello", "hello", NULL);
		_exit(1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(41, WEXITSTATUS(status));
	EXPECT_EQ(0, umount_at("/mnt/a"));
}

TEST_F(dax, a_mapping_holds_the_mount)
{
	char *map;
	int fd;

	ASSERT_EQ(0, put("chunk-4k-4096"));
	ASSERT_EQ(0, mount_at(PMEM, "/mnt/a", "dax"));
	fd = open_read("/mnt/a", "file/random", O_DIRECT);
	ASSERT_GE(fd, 0);
	map = mmap(NULL, 300000, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	close(fd);
	EXPECT_EQ(-EBUSY, umount_at("/mnt/a"));
	ASSERT_EQ(0, drop_caches(3));
	((volatile char *)map)[0];
	((volatile char *)map)[299999];
	/* Copies on write, as ever; beyond the file it is as elsewhere. */
	munmap(map, 300000);
	ASSERT_EQ(0, drop_caches(3));
	EXPECT_EQ(0, umount_at("/mnt/a"));
}

/* The driver would refuse a shared mapping that may become writable; nobody has a file to ask for one with. */
TEST_F(dax, mappings_stay_read_only)
{
	char *map;
	int fd;

	ASSERT_EQ(0, put("chunk-4k-4096"));
	ASSERT_EQ(0, mount_at(PMEM, "/mnt/a", "dax"));
	EXPECT_ERRNO(EROFS, open("/mnt/a/file/random", O_RDWR));
	fd = open_read("/mnt/a", "file/random", 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	EXPECT_EQ(EACCES, errno);
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_ERRNO(EACCES, mprotect(map, PAGE, PROT_READ | PROT_WRITE));
	munmap(map, PAGE);
	/* A private one has a page of its own once it is written to. */
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	map[0] ^= 1;
	ASSERT_EQ(0, mount_image("chunk-4k-4096", "/mnt/b", NULL));
	EXPECT_EQ(0, same_bytes("/mnt/a", "file/random", "/mnt/b", "file/random"));
	munmap(map, PAGE);
	close(fd);
}

TEST_F(dax, compressed_files_have_pages)
{
	uint32_t a, b;

	ASSERT_EQ(0, put("z-lz4-compact"));
	ASSERT_EQ(0, mount_at(PMEM, "/mnt/a", "dax"));
	ASSERT_EQ(0, mount_image("z-lz4-compact", "/mnt/b", NULL));
	EXPECT_TRUE(option_shown("/mnt/a", "dax=always"));
	EXPECT_FALSE(is_dax("/mnt/a", "text"));
	ASSERT_EQ(0, path_crc("/mnt/a", "text", &a));
	ASSERT_EQ(0, path_crc("/mnt/b", "text", &b));
	EXPECT_EQ(a, b);
}

TEST_F(dax, shown)
{
	static const struct {
		const char *options, *shown;
	} table[] = {
		{ "dax", "dax=always" }, { "dax=always", "dax=always" }, { "dax=never", "dax=never" },
		{ "dax,dax=never", "dax=never" }, { "dax=never,dax", "dax=always" }, { NULL, NULL },
	};

	ASSERT_EQ(0, put("plain-4096"));
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		ASSERT_EQ(0, mount_at(PMEM, "/mnt/a", table[i].options));
		if (table[i].shown) {
			EXPECT_TRUE(option_shown("/mnt/a", table[i].shown));
		} else {
			EXPECT_EQ(NULL, strstr(shown_options("/mnt/a"), "dax"));
		}
		ASSERT_EQ(0, umount_at("/mnt/a"));
	}
	EXPECT_EQ(-EINVAL, mount_at(PMEM, "/mnt/a", "dax=inode"));
	EXPECT_EQ(-EINVAL, mount_at(PMEM, "/mnt/a", "nodax"));
	EXPECT_EQ(-EINVAL, mount_at(PMEM, "/mnt/a", "dax," DOMAIN));
}

/* Chunks on both devices, by number and by address. */
TEST_F(dax, extra_devices)
{
	static const char * const images[] = { "dev-one", "dev-unified" };
	static const char * const files[] = { "common", "huge", "tail", "sparse", "directory/same-07" };
	char blob[64];

	if (access(PMEM_1, F_OK))
		SKIP(return, "no " PMEM_1);
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/b", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		int fd;

		ASSERT_EQ(0, put(images[i]));
		snprintf(blob, sizeof(blob), "%s-1", images[i]);
		ASSERT_EQ(0, write_image(blob, PMEM_1));
		ASSERT_EQ(0, mount_at(PMEM, "/mnt/a", "dax,device=" PMEM_1));
		EXPECT_TRUE(option_shown("/mnt/a", "dax=always"));
		for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
			uint32_t crc, mapped;

			EXPECT_TRUE(is_dax("/mnt/a", files[f]));
			EXPECT_EQ(0, same_bytes("/mnt/a", files[f], "/mnt/b", files[f]))
				TH_LOG("%s: %s", images[i], files[f]);
			fd = open_read("/mnt/a", files[f], 0);
			ASSERT_EQ(0, path_crc("/mnt/b", files[f], &crc));
			ASSERT_EQ(0, file_crc_mmap(fd, &mapped));
			EXPECT_EQ(crc, mapped)
				TH_LOG("%s: %s", images[i], files[f]);
			close(fd);
		}
		EXPECT_EQ(1, lies_on_pmem("/mnt/a", "common"));
		ASSERT_EQ(0, umount_at("/mnt/a"));
	}
}

/* One device that is none is enough. */
TEST_F(dax, turned_off_by_an_extra_device)
{
	char dev[DEV_LEN], options[64], line[128];
	int log = klog_open(), fd;

	ASSERT_EQ(0, put("dev-one"));
	fd = attach_image("dev-one-1", dev);
	snprintf(options, sizeof(options), "dax,device=%s", dev);
	ASSERT_EQ(0, mount_at(PMEM, "/mnt/a", options));
	close(fd);
	EXPECT_EQ(NULL, strstr(shown_options("/mnt/a"), "dax"));
	snprintf(line, sizeof(line), "DAX unsupported by %s. Turning off DAX.", dev);
	EXPECT_TRUE(klog_contains(log, line));
	EXPECT_FALSE(is_dax("/mnt/a", "common"));
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/b", NULL));
	EXPECT_EQ(0, same_bytes("/mnt/a", "common", "/mnt/b", "common"));
	close(log);
}

TEST_F(dax, turned_off)
{
	int log = klog_open();

	ASSERT_EQ(0, mount_image("small", "/mnt/a", "dax"));
	EXPECT_EQ(NULL, strstr(shown_options("/mnt/a"), "dax"));
	EXPECT_TRUE(klog_contains(log, "DAX unsupported by block device. Turning off DAX."));
	EXPECT_FALSE(is_dax("/mnt/a", "flat"));
	ASSERT_EQ(0, put("plain-512"));
	ASSERT_EQ(0, mount_at(PMEM, "/mnt/b", "dax"));
	EXPECT_EQ(NULL, strstr(shown_options("/mnt/b"), "dax"));
	EXPECT_TRUE(klog_contains(log, "unsupported blocksize for DAX"));
	EXPECT_FALSE(is_dax("/mnt/b", "file/size-65536"));
	close(log);
}

TEST_HARNESS_MAIN
