// SPDX-License-Identifier: GPL-2.0
/* What system calls do with the files of a mounted image: flags of reads, special files, and every way to modify. */
#include "harness.h"

#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#ifndef RWF_ATOMIC
#define RWF_ATOMIC 0x40
#endif
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif
#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif

FIXTURE(files) {
};

FIXTURE_VARIANT(files) {
	const char *image;
};

FIXTURE_VARIANT_ADD(files, plain) { .image = "plain-4096" };
FIXTURE_VARIANT_ADD(files, chunks_512) { .image = "chunk-4k-512" };

FIXTURE_SETUP(files)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", NULL));
	ASSERT_EQ(0, chdir("/mnt/a"));
}

FIXTURE_TEARDOWN(files)
{
}

TEST_F(files, read_flags)
{
	static const struct {
		int flags, err;
	} table[] = {
		{ 0, 0 }, { RWF_HIPRI, 0 }, { RWF_DSYNC, 0 }, { RWF_SYNC, 0 }, { RWF_APPEND, 0 }, { RWF_NOAPPEND, 0 },
		{ RWF_NOWAIT, EOPNOTSUPP }, { RWF_ATOMIC, EOPNOTSUPP }, { RWF_DONTCACHE, EOPNOTSUPP }, { 1 << 30, EOPNOTSUPP },
	};
	int fd = open("file/text", O_RDONLY);
	char buf[64];
	struct iovec iov = { buf, sizeof(buf) };

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		ssize_t n = preadv2(fd, &iov, 1, 100, table[i].flags);

		EXPECT_EQ(table[i].err ? -1 : (ssize_t)sizeof(buf), n)
			TH_LOG("flags %x", table[i].flags);
		if (table[i].err) {
			EXPECT_EQ(table[i].err, errno);
		}
	}
}

TEST_F(files, vectors)
{
	int fd = open("file/random", O_RDONLY);
	static char whole[300000], parts[3][100000];
	struct iovec iov[] = { { parts[0], 1 }, { parts[1], 99999 }, { parts[2], 12345 } };

	ASSERT_EQ((ssize_t)sizeof(whole), pread(fd, whole, sizeof(whole), 0));
	ASSERT_EQ(112345, preadv(fd, iov, 3, 777));
	EXPECT_EQ(whole[777], parts[0][0]);
	EXPECT_EQ(0, memcmp(whole + 778, parts[1], 99999));
	EXPECT_EQ(0, memcmp(whole + 778 + 99999, parts[2], 12345));
}

TEST_F(files, seek)
{
	int fd = open("file/size-5000", O_RDONLY), empty = open("file/size-0", O_RDONLY);
	char byte;

	EXPECT_EQ(5000, lseek(fd, 0, SEEK_END));
	EXPECT_EQ(0, read(fd, &byte, 1));
	EXPECT_EQ(6000, lseek(fd, 1000, SEEK_END));
	EXPECT_EQ(0, read(fd, &byte, 1));
	EXPECT_EQ(-1, lseek(fd, -5001, SEEK_END));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(fd, 0, 77));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(empty, 0, SEEK_DATA));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, lseek(empty, 0, SEEK_HOLE));
	EXPECT_EQ(ENXIO, errno);
}

TEST_F(files, symlinks)
{
	struct stat st;
	char buf[8192];

	EXPECT_EQ(0, stat("link/fast", &st));
	EXPECT_EQ(3000, readlink("link/3000", buf, sizeof(buf)));
	EXPECT_EQ(4095, readlink("link/4095", buf, sizeof(buf)));
	EXPECT_EQ(10, readlink("link/4095", buf, 10));
	EXPECT_EQ(-1, stat("link/4095", &st));
	EXPECT_EQ(ENAMETOOLONG, errno);
}

TEST_F(files, special)
{
	int fd = open("special/null", O_RDWR), fifo;
	struct stat st;
	char byte;

	EXPECT_GE(fd, 0);
	EXPECT_EQ(1, write(fd, "x", 1));
	EXPECT_EQ(0, read(fd, &byte, 1));
	ASSERT_EQ(0, stat("special/large", &st));
	EXPECT_EQ(1234, major(st.st_rdev));
	EXPECT_EQ(567890, minor(st.st_rdev));
	EXPECT_EQ(-1, open("special/large", O_RDONLY));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, open("special/socket", O_RDONLY));
	EXPECT_EQ(ENXIO, errno);
	fifo = open("special/fifo", O_RDWR);
	EXPECT_GE(fifo, 0);
	EXPECT_EQ(1, write(fifo, "f", 1));
	EXPECT_EQ(1, read(fifo, &byte, 1));
	EXPECT_EQ('f', byte);
}

TEST_F(files, locks)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	int fd = open("file/text", O_RDONLY);

	EXPECT_EQ(0, fcntl(fd, F_SETLK, &lock));
	lock.l_type = F_WRLCK;
	EXPECT_EQ(-1, fcntl(fd, F_SETLK, &lock));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(0, flock(fd, LOCK_EX | LOCK_NB));
}

TEST_F(files, modify)
{
	struct timeval times[2] = {};
	int fd;

	EXPECT_ERRNO(EROFS, open("file/text", O_WRONLY));
	EXPECT_ERRNO(EROFS, open("file/text", O_RDWR));
	EXPECT_ERRNO(EROFS, open("file/text", O_RDONLY | O_TRUNC));
	EXPECT_ERRNO(EROFS, open("new", O_WRONLY | O_CREAT, 0600));
	EXPECT_ERRNO(EROFS, open("file", O_TMPFILE | O_RDWR, 0600));
	EXPECT_ERRNO(EEXIST, open("file/text", O_RDONLY | O_CREAT | O_EXCL, 0600));
	EXPECT_ERRNO(EROFS, mkdir("new", 0700));
	EXPECT_ERRNO(EEXIST, mkdir("file", 0700));
	EXPECT_ERRNO(EROFS, rmdir("empty-directory"));
	EXPECT_ERRNO(EROFS, unlink("hard-link"));
	EXPECT_ERRNO(EROFS, unlink("missing"));
	EXPECT_ERRNO(EROFS, rename("hard-link", "other"));
	EXPECT_ERRNO(EROFS, link("hard-link", "other"));
	EXPECT_ERRNO(EROFS, symlink("x", "other"));
	EXPECT_ERRNO(EROFS, mknod("other", S_IFIFO | 0600, 0));
	EXPECT_ERRNO(EROFS, chmod("hard-link", 0600));
	EXPECT_ERRNO(EROFS, chown("hard-link", 1, 1));
	EXPECT_ERRNO(EROFS, utimes("hard-link", times));
	EXPECT_ERRNO(EROFS, truncate("hard-link", 0));
	EXPECT_ERRNO(EROFS, setxattr("hard-link", "user.x", "y", 1, 0));
	EXPECT_ERRNO(EROFS, removexattr("xattr/all", "user.text"));
	EXPECT_ERRNO(EROFS, access("file", W_OK));
	EXPECT_ERRNO(EROFS, access("file/text", W_OK));
	EXPECT_ERRNO(EROFS, swapon("file/random", 0));

	fd = open("file/text", O_RDONLY | O_CREAT, 0600);
	ASSERT_GE(fd, 0);
	EXPECT_ERRNO(EBADF, write(fd, "x", 1));
	EXPECT_ERRNO(EINVAL, ftruncate(fd, 0));
	EXPECT_ERRNO(EBADF, fallocate(fd, 0, 0, 4096));
	EXPECT_ERRNO(EINVAL, fsync(fd));
	EXPECT_ERRNO(EINVAL, fdatasync(fd));
	EXPECT_EQ(0, syncfs(fd));
	close(fd);
}

TEST_HARNESS_MAIN
