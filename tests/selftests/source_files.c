// SPDX-License-Identifier: GPL-2.0
/* Images that lie in files: mounting them, reading them, and what is refused. */
#include "harness.h"

#include <linux/mount.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

FIXTURE(files) {
};

FIXTURE_SETUP(files)
{
	ASSERT_EQ(0, private_mounts());
	/* Its mappings have a read_folio, and it can be written. */
	ASSERT_EQ(0, mkdir("/mnt/rw", 0755));
	ASSERT_EQ(0, mount("ramfs", "/mnt/rw", "ramfs", 0, NULL));
}

FIXTURE_TEARDOWN(files)
{
}

/* Mounts @source, a path or else an open file, through the new mount API. */
static int mount_new(const char *path, int fd, const char *dir)
{
	int fs = fsopen("erofs", FSOPEN_CLOEXEC), at, err;

	if (fs < 0)
		return -errno;
	err = path ? fsconfig(fs, FSCONFIG_SET_STRING, "source", path, 0) : fsconfig(fs, FSCONFIG_SET_FD, "source", NULL, fd);
	if (!err)
		err = fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (err) {
		err = -errno;
		close(fs);
		return err;
	}
	at = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
	if (at < 0)
		return -errno;
	mkdir(dir, 0755);
	err = move_mount(at, "", AT_FDCWD, dir, MOVE_MOUNT_F_EMPTY_PATH) ? -errno : 0;
	close(at);
	return err;
}

static int source_shown(const char *dir, char *source, size_t size)
{
	char line[4096], point[512];
	FILE *f = fopen("/proc/self/mounts", "re");
	int found = -ENOENT;

	while (f && fgets(line, sizeof(line), f)) {
		char from[512];

		if (sscanf(line, "%511s %511s", from, point) == 2 && !strcmp(point, dir)) {
			snprintf(source, size, "%s", from);
			found = 0;
		}
	}
	if (f)
		fclose(f);
	return found;
}

TEST_F(files, each_mount_is_its_own)
{
	struct stat a, b;
	char name[DEV_LEN], path[64], source[512];

	ASSERT_EQ(0, mount_file("plain-4096", "/mnt/a", "nouser_xattr"));
	ASSERT_EQ(0, mount_file("plain-4096", "/mnt/b", NULL));
	ASSERT_EQ(0, stat("/mnt/a", &a));
	ASSERT_EQ(0, stat("/mnt/b", &b));
	EXPECT_NE(a.st_dev, b.st_dev);
	EXPECT_EQ(0, major(a.st_dev));
	EXPECT_TRUE(option_shown("/mnt/a", "nouser_xattr"));
	EXPECT_TRUE(option_shown("/mnt/b", "user_xattr"));
	ASSERT_EQ(0, sb_name("/mnt/a", name));
	snprintf(path, sizeof(path), "/sys/fs/erofs/%s", name);
	EXPECT_EQ(0, access(path, F_OK));
	EXPECT_EQ(0, source_shown("/mnt/a", source, sizeof(source)));
	EXPECT_STREQ(image_path("plain-4096"), source);
	EXPECT_EQ(0, umount_at("/mnt/a"));
	EXPECT_EQ(-1, access(path, F_OK));
	EXPECT_EQ(0, umount_at("/mnt/b"));
}

TEST_F(files, own_readahead_size)
{
	ASSERT_EQ(0, mount_file("plain-4096", "/mnt/a", NULL));
	EXPECT_EQ(0, system("ls -d /sys/class/bdi/erofs-[0-9]* >/dev/null"));
	ASSERT_EQ(0, umount_at("/mnt/a"));
	EXPECT_NE(0, system("ls -d /sys/class/bdi/erofs-[0-9]* >/dev/null 2>&1"));
}

TEST_F(files, shown_options)
{
	ASSERT_EQ(0, mount_file("plain-4096", "/mnt/a", "directio"));
	EXPECT_TRUE(option_shown("/mnt/a", "directio"));
	EXPECT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, mount_file("plain-4096", "/mnt/a", "directio,nodirectio"));
	EXPECT_FALSE(option_shown("/mnt/a", "directio"));
	ASSERT_EQ(0, mount_file("late", "/mnt/b", "fsoffset=65536"));
	EXPECT_TRUE(option_shown("/mnt/b", "fsoffset=65536"));
	EXPECT_EQ(-EINVAL, mount_file("late", "/mnt/c", "fsoffset=65537"));
}

TEST_F(files, by_descriptor)
{
	char path[512], source[512];
	uint32_t crc;
	int fd;

	snprintf(path, sizeof(path), "%s", image_path("plain-4096"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, mount_new(NULL, fd, "/mnt/a"));
	close(fd);
	EXPECT_EQ(0, path_crc("/mnt/a", "file/random", &crc));
	EXPECT_EQ(0, source_shown("/mnt/a", source, sizeof(source)));
	EXPECT_STREQ(path, source);
	EXPECT_EQ(0, umount_at("/mnt/a"));

	fd = open("/mnt", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT_EQ(-EINVAL, mount_new(NULL, fd, "/mnt/a"));
	close(fd);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(-EINVAL, mount_new(NULL, fd, "/mnt/a"));
	close(fd);
	ASSERT_EQ(0, copy_image("small", "/mnt/rw/small"));
	fd = open("/mnt/rw/small", O_RDWR | O_CLOEXEC);
	EXPECT_EQ(0, mount_new(NULL, fd, "/mnt/a"));
	close(fd);
}

TEST_F(files, W22_descriptors_that_cannot_be_read)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s", image_path("small"));
	fd = open(path, O_PATH | O_CLOEXEC);
	EXPECT_EQ(-EINVAL, mount_new(NULL, fd, "/mnt/a"));
	close(fd);
	ASSERT_EQ(0, copy_image("small", "/mnt/rw/small"));
	fd = open("/mnt/rw/small", O_WRONLY | O_CLOEXEC);
	EXPECT_EQ(-EINVAL, mount_new(NULL, fd, "/mnt/a"));
	close(fd);
}

TEST_F(files, W19_images_on_tmpfs)
{
	static const char * const images[] = { "share-a", "share-a-512", "encoded-a-lz4" };
	static const char * const names[] = { "common", "tail", "text" };
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		ASSERT_EQ(0, mount_image(images[i], "/mnt/b", NULL));
		ASSERT_EQ(0, copy_image(images[i], "/mnt/image"));
		ASSERT_EQ(0, mount_at("/mnt/image", "/mnt/a", i ? "directio" : NULL));
		for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
			if ((n == 2) != (i == 2))
				continue;
			EXPECT_EQ(0, same_bytes("/mnt/a", names[n], "/mnt/b", names[n]))
				TH_LOG("%s %s", images[i], names[n]);
		}
		EXPECT_EQ(0, umount_at("/mnt/a"));
		EXPECT_EQ(0, umount_at("/mnt/b"));
	}
	/* Without any name. */
	fd = syscall(SYS_memfd_create, "image", 0);
	ASSERT_EQ(0, ftruncate(fd, 1 << 20));
	EXPECT_EQ(-EINVAL, mount_new(NULL, fd, "/mnt/a"));
	close(fd);
}

TEST_F(files, one_source)
{
	char path[512];
	int fs = fsopen("erofs", FSOPEN_CLOEXEC), fd;

	snprintf(path, sizeof(path), "%s", image_path("small"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_EQ(0, fsconfig(fs, FSCONFIG_SET_FD, "source", NULL, fd));
	EXPECT_EQ(-1, fsconfig(fs, FSCONFIG_SET_STRING, "source", path, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, fsconfig(fs, FSCONFIG_SET_FD, "source", NULL, fd));
	EXPECT_EQ(EINVAL, errno);
	/* It stays usable. */
	EXPECT_EQ(0, fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	close(fs);
	fs = fsopen("erofs", FSOPEN_CLOEXEC);
	EXPECT_EQ(-1, fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	EXPECT_EQ(EINVAL, errno);
	close(fs);
	close(fd);
}

/* On ENOTBLK mount(8) tries a loop device. */
TEST_F(files, refused)
{
	EXPECT_EQ(-ENOTBLK, mount_at("/mnt", "/mnt/a", NULL));
	EXPECT_EQ(-ENOTBLK, mount_at("/dev/null", "/mnt/a", NULL));
	EXPECT_EQ(-ENOTBLK, mount_at("/proc/version", "/mnt/a", NULL));
	EXPECT_EQ(-ENOENT, mount_at("/mnt/missing", "/mnt/a", NULL));
	EXPECT_EQ(-ENOENT, mount_at("none", "/mnt/a", NULL));
}

TEST_F(files, too_short)
{
	static const int sizes[] = { 0, 1024, 3072 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ(0, copy_image("small", "/mnt/rw/small"));
		ASSERT_EQ(0, truncate("/mnt/rw/small", sizes[i]));
		EXPECT_GT(0, mount_at("/mnt/rw/small", "/mnt/a", NULL));
	}
}

static int mount_fifo(const void *arg)
{
	return -mount_at("/mnt/fifo", "/mnt/a", NULL);
}

TEST_F(files, W18_pipes_do_not_block)
{
	pid_t child;

	ASSERT_EQ(0, mkfifo("/mnt/fifo", 0600));
	child = spawn(mount_fifo, NULL);
	EXPECT_EQ(ENOTBLK, wait_child(child, 10));
	kill(child, SIGKILL);
}

TEST_F(files, images_in_images)
{
	uint32_t crc;

	/* A file on an image on a block device may be mounted, and nothing in there. */
	ASSERT_EQ(0, mount_image("nest", "/mnt/a", NULL));
	ASSERT_EQ(0, mount_at("/mnt/a/inner.img", "/mnt/b", NULL));
	EXPECT_EQ(0, path_crc("/mnt/b", "inner.img", &crc));
	EXPECT_EQ(-ENOTBLK, mount_at("/mnt/b/inner.img", "/mnt/c", NULL));
	EXPECT_EQ(0, umount_at("/mnt/b"));
	ASSERT_EQ(0, mount_at("/mnt/a/inner.img", "/mnt/b", "directio"));
	EXPECT_EQ(0, path_crc("/mnt/b", "inner.img", &crc));
	EXPECT_EQ(0, umount_at("/mnt/b"));
	EXPECT_EQ(0, umount_at("/mnt/a"));
}

TEST_F(files, stacked)
{
	ASSERT_EQ(0, mkdir("/mnt/up", 0755));
	ASSERT_EQ(0, mkdir("/mnt/work", 0755));
	ASSERT_EQ(0, mkdir("/mnt/over", 0755));
	ASSERT_EQ(0, copy_image("small", "/mnt/rw/small.img"));
	ASSERT_EQ(0, mount("overlay", "/mnt/over", "overlay", 0, "lowerdir=/mnt/rw,upperdir=/mnt/up,workdir=/mnt/work"));
	EXPECT_EQ(-ENOTBLK, mount_at("/mnt/over/small.img", "/mnt/a", NULL));
	EXPECT_EQ(0, umount_at("/mnt/over"));
}

TEST_F(files, reads)
{
	static const char * const options[] = { "nodirectio", "directio" };
	static const char * const images[] = { "share-a", "share-a-512", "share-a-chunk" };
	static const char * const names[] = { "common", "tiny", "differs" };

	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(images); i++)
		for (size_t k = 0; k < ARRAY_SIZE(options); k++) {
			ASSERT_EQ(0, mount_file(images[i], "/mnt/a", options[k]));
			for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
				EXPECT_EQ(0, same_bytes("/mnt/a", names[n], "/mnt/private", names[n]))
					TH_LOG("%s %s %s", images[i], options[k], names[n]);
			}
			EXPECT_EQ(0, umount_at("/mnt/a"));
		}
}

TEST_F(files, metadata_comes_in_few_reads)
{
	const char *path = image_path("metazone-4096");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char out[64], disk[64];
	struct stat st;
	long reads, pages;

	ASSERT_EQ(0, fstat(fd, &st));
	snprintf(disk, sizeof(disk), "/sys/dev/block/%u:%u/stat", major(st.st_dev), minor(st.st_dev));
	if (access(disk, F_OK))
		SKIP(return, "the images are on no disk");
	ASSERT_EQ(0, mount_at(path, "/mnt/a", NULL));
	ASSERT_EQ(0, drop_caches(3));
	reads = read_number(disk);
	ASSERT_EQ(0, output_of("find /mnt/a -exec stat {} + | tail -n 1", out, sizeof(out)));
	reads = read_number(disk) - reads;
	pages = resident_pages(fd);
	/* 23 blocks, the superblock, and what is read along. */
	EXPECT_LT(20, pages);
	EXPECT_GE(pages, 2 * reads)
		TH_LOG("%ld reads for %ld pages", reads, pages);
	close(fd);
}

TEST_F(files, no_direct_reads)
{
	int fd;

	ASSERT_EQ(0, mount_file("share-a", "/mnt/a", NULL));
	EXPECT_EQ(-EINVAL, open_read("/mnt/a", "common", O_DIRECT));
	EXPECT_EQ(-EINVAL, open_read("/mnt/a", ".", O_DIRECT));
	fd = open_read("/mnt/a", "common", 0);
	EXPECT_EQ(-1, fcntl(fd, F_SETFL, O_DIRECT));
	EXPECT_EQ(EINVAL, errno);
	close(fd);
}

/* What the file has no more is an error, never zeros; what is in memory stays there. */
TEST_F(files, truncated)
{
	char page[PAGE], again[PAGE];
	uint32_t crc;
	int fd;

	ASSERT_EQ(0, copy_image("share-a-private", "/mnt/rw/image"));
	ASSERT_EQ(0, mount_at("/mnt/rw/image", "/mnt/a", NULL));
	fd = open_read("/mnt/a", "common", 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	ASSERT_EQ(PAGE, pread(fd, page, PAGE, 0));
	ASSERT_EQ(0, truncate("/mnt/rw/image", 16384));
	EXPECT_EQ(PAGE, pread(fd, again, PAGE, 0));
	EXPECT_EQ(0, memcmp(page, again, PAGE));
	EXPECT_EQ(-1, pread(fd, again, PAGE, 100 * PAGE));
	EXPECT_EQ(EIO, errno);
	close(fd);
	EXPECT_EQ(-EIO, path_crc("/mnt/a", "common", &crc));
	/* Without a name it works as before. */
	EXPECT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, copy_image("share-a-private", "/mnt/rw/image"));
	ASSERT_EQ(0, mount_at("/mnt/rw/image", "/mnt/a", NULL));
	ASSERT_EQ(0, unlink("/mnt/rw/image"));
	EXPECT_EQ(0, path_crc("/mnt/a", "common", &crc));
}

/* On storage that can be read directly, too. */
TEST_F(files, cut_short)
{
	static const char * const options[] = { "nodirectio", "directio" };
	uint32_t crc;

	for (size_t k = 0; k < ARRAY_SIZE(options); k++) {
		ASSERT_EQ(0, mount_file("cut", "/mnt/a", options[k]));
		EXPECT_EQ(-EIO, path_crc("/mnt/a", "huge", &crc));
		EXPECT_EQ(0, umount_at("/mnt/a"));
	}
}

TEST_F(files, W13_last_page_that_is_not_whole)
{
	char name[32];
	uint32_t crc;

	ASSERT_EQ(0, mount_file("ragged", "/mnt/a", NULL));
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "file-%02d", i);
		ASSERT_EQ(0, path_crc("/mnt/a", name, &crc))
			TH_LOG("%s", name);
	}
}

TEST_F(files, W13_extra_device_whose_last_page_is_not_whole)
{
	static const char * const names[] = { "common", "tail", "directory/same-07", "directory/same-39" };

	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	ASSERT_EQ(0, mount_devices("dev-one-512", 1, true, "/mnt/a", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(0, same_bytes("/mnt/a", names[i], "/mnt/private", names[i]))
			TH_LOG("%s", names[i]);
	}
}

TEST_F(files, unmount_closes_the_file)
{
	ASSERT_EQ(0, copy_image("share-a", "/mnt/rw/image"));
	for (int i = 0; i < 10; i++) {
		uint32_t crc;

		ASSERT_EQ(0, mount_at("/mnt/rw/image", "/mnt/a", i % 2 ? DOMAIN : NULL));
		ASSERT_EQ(0, path_crc("/mnt/a", "common", &crc));
		ASSERT_EQ(0, umount_at("/mnt/a"));
	}
	EXPECT_EQ(0, umount_at("/mnt/rw"));
}

TEST_F(files, statfs_and_statx)
{
	struct statfs fs;
	struct statx stx;

	ASSERT_EQ(0, mount_file("share-a", "/mnt/a", NULL));
	ASSERT_EQ(0, statfs("/mnt/a", &fs));
	EXPECT_EQ(4096, fs.f_bsize);
	ASSERT_EQ(0, statx(AT_FDCWD, "/mnt/a/common", 0, STATX_BASIC_STATS | STATX_DIOALIGN, &stx));
	EXPECT_TRUE(stx.stx_mask & STATX_DIOALIGN);
	EXPECT_EQ(0, stx.stx_dio_mem_align);
	EXPECT_EQ(0, stx.stx_dio_offset_align);
}

TEST_HARNESS_MAIN
