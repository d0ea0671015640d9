// SPDX-License-Identifier: GPL-2.0
/* The kernel's NFS server exports an image, and the same machine mounts it. No tools: what mountd would tell the server's
   caches when they ask is written there before. */
#include "harness.h"

#include <dirent.h>
#include <ftw.h>
#include <linux/nfsd/cld.h>
#include <linux/nfsd/export.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SERVER "/proc/fs/nfsd/"
#define CACHES "/proc/net/rpc/"
#define CLIENT "addr=127.0.0.1,clientaddr=127.0.0.1,vers=4.1,proto=tcp,sec=sys,soft,timeo=100,retrans=1"

static int loopback_up(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	err = fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) ? -errno : 0;
	close(fd);
	return err;
}

/* The part of nfsdcld: says that no client has anything to reclaim, without which nothing could be opened for a while. */
static int keep_records(const void *arg)
{
	struct cld_msg message;
	ssize_t n;

	/* As long as the test. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;; usleep(10000)) {
		/* Is there while the server is. */
		int fd = open("/mnt/pipes/nfsd/cld", O_RDWR | O_CLOEXEC);

		while (fd >= 0 && (n = read(fd, &message, sizeof(message))) >= 0) {
			message.cm_status = 0;
			if (message.cm_cmd == Cld_GetVersion)
				message.cm_u.cm_version = 1;
			if (!n)
				usleep(10000);
			else if (write(fd, &message, n) != n)
				return errno;
		}
		close(fd);
	}
}

/* Exports /mnt/a as the root of all that there is; @flags beside what any export has. */
static int start_server(int flags)
{
	char export[128];
	const struct {
		const char *file, *text;
	} steps[] = {
		/* Only version 4 needs no portmapper. */
		{ SERVER "versions", "-3\n" },
		{ SERVER "portlist", "tcp 2049\n" },
		{ CACHES "auth.unix.ip/channel", "nfsd 127.0.0.1 2147483647 us\n" },
		{ CACHES "nfsd.export/channel", export },
		{ CACHES "nfsd.fh/channel", "us 1 \\x00000000 2147483647 /mnt/a\n" },
		{ SERVER "threads", "2\n" },
	};

	flags |= NFSEXP_READONLY | NFSEXP_INSECURE_PORT | NFSEXP_FSID;
	snprintf(export, sizeof(export), "us /mnt/a 2147483647 %d 65534 65534 0\n", flags);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int err = write_file(steps[i].file, steps[i].text);

		if (err)
			return err;
	}
	return 0;
}

/* With the last thread go the exports, and what they hold of the image. */
static int stop_server(void)
{
	return write_file(SERVER "threads", "0\n");
}

FIXTURE(nfs) {
	int dir, file;	/* the client's, without anything open at the server */
};

FIXTURE_VARIANT(nfs) {
	const char *image, *options;
	const char *dir, *file;	/* a directory, and a file in it */
	const char *twin;	/* an image that shares the file */
	int flags;
};

FIXTURE_VARIANT_ADD(nfs, plain) {
	.image = "plain-4096", .dir = "file", .file = "file/random", .flags = NFSEXP_NOSUBTREECHECK
};
/* Handles of files name their parents. */
FIXTURE_VARIANT_ADD(nfs, parents) { .image = "plain-4096", .dir = "file", .file = "file/random" };
FIXTURE_VARIANT_ADD(nfs, no_dot) { .image = "dot-omitted-512", .dir = "file", .file = "file/random" };
FIXTURE_VARIANT_ADD(nfs, metabox) { .image = "z-lz4-metabox", .dir = "dedupe", .file = "dedupe/one" };
FIXTURE_VARIANT_ADD(nfs, sharing) {
	.image = "share-a", .options = DOMAIN, .dir = "directory", .file = "directory/same-07", .twin = "share-b"
};

FIXTURE_SETUP(nfs)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, loopback_up());
	if (mount("nfsd", SERVER, "nfsd", 0, NULL))
		SKIP(return, "no NFS server in this kernel");
	ASSERT_EQ(0, mkdir("/mnt/pipes", 0755));
	ASSERT_EQ(0, mount("pipes", "/mnt/pipes", "rpc_pipefs", 0, NULL));
	ASSERT_LT(0, spawn(keep_records, NULL));
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", variant->options));
	ASSERT_EQ(0, start_server(variant->flags));
	ASSERT_EQ(0, mkdir("/mnt/nfs", 0755));
	ASSERT_EQ(0, mount("127.0.0.1:/", "/mnt/nfs", "nfs4", MS_RDONLY, CLIENT));
	self->dir = open_read("/mnt/nfs", variant->dir, O_PATH);
	self->file = open_read("/mnt/nfs", variant->file, O_PATH);
	ASSERT_LE(0, self->dir);
	ASSERT_LE(0, self->file);
}

FIXTURE_TEARDOWN(nfs)
{
	close(self->dir);
	close(self->file);
	umount2("/mnt/nfs", MNT_DETACH);
	stop_server();
}

static int different, seen, listed;

/* Names of a large folder; asking for each of their inodes would take long. */
static bool same_names(const char *a, const char *b)
{
	struct dirent **names[2];
	int counts[2] = { scandir(a, &names[0], NULL, alphasort), scandir(b, &names[1], NULL, alphasort) };
	bool same = counts[0] == counts[1];

	for (int i = 0; i < counts[0] && same; i++)
		same = !strcmp(names[0][i]->d_name, names[1][i]->d_name) && names[0][i]->d_ino == names[1][i]->d_ino;
	listed = counts[0];
	return same;
}

/* The same through the client at /mnt/nfs as on the image at /mnt/a. */
static int compare(const char *path, const struct stat *st, int type, struct FTW *at)
{
	const char *name = path + strlen("/mnt/nfs");
	bool same, large = S_ISDIR(st->st_mode) && st->st_size > 16384;
	char here[1024], link[2][512] = {};
	struct stat other;

	snprintf(here, sizeof(here), "/mnt/a%s", name);
	same = type != FTW_DNR && type != FTW_NS && !lstat(here, &other) && other.st_ino == st->st_ino &&
	       other.st_mode == st->st_mode && other.st_nlink == st->st_nlink && other.st_uid == st->st_uid &&
	       other.st_gid == st->st_gid && other.st_size == st->st_size && other.st_rdev == st->st_rdev &&
	       other.st_mtim.tv_sec == st->st_mtim.tv_sec && other.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
	if (same && S_ISLNK(st->st_mode))
		same = readlink(path, link[0], 511) == readlink(here, link[1], 511) && !strcmp(link[0], link[1]);
	if (same && S_ISREG(st->st_mode))
		same = !same_bytes("/mnt/nfs", name, "/mnt/a", name);
	if (same && large)
		same = same_names(path, here);
	if (!same)
		printf("# %s\n", path);
	different += !same;
	seen++;
	return large ? FTW_SKIP_SUBTREE : FTW_CONTINUE;
}

TEST_F(nfs, tree)
{
	ASSERT_EQ(0, drop_caches(3));
	EXPECT_EQ(0, nftw("/mnt/nfs", compare, 20, FTW_PHYS | FTW_ACTIONRETVAL));
	EXPECT_EQ(0, different);
	EXPECT_LT(30, seen);
	if (!strcmp(variant->dir, "file")) {
		EXPECT_LT(500, listed);
	}
}

/* The server knows nothing any more but what handles tell. */
static int restart_server(const char *image, const char *options, int flags)
{
	int err = stop_server();

	err = err ?: umount_at("/mnt/a");
	err = err ?: drop_caches(2);
	err = err ?: mount_image(image, "/mnt/a", options);
	return err ?: start_server(flags);
}

static int crc_by_handle(int fd, uint32_t *crc)
{
	char link[64];

	snprintf(link, sizeof(link), "self/fd/%d", fd);
	return path_crc("/proc", link, crc);
}

TEST_F(nfs, handles_lead_back)
{
	uint32_t crc, again;
	int fd;

	ASSERT_EQ(0, path_crc("/mnt/a", variant->file, &crc));
	ASSERT_EQ(0, restart_server(variant->image, variant->options, variant->flags));
	EXPECT_EQ(0, crc_by_handle(self->file, &again));
	EXPECT_EQ(crc, again);
	/* A folder by its handle, and what it holds. */
	ASSERT_EQ(0, restart_server(variant->image, variant->options, variant->flags));
	fd = openat(self->dir, strchr(variant->file, '/') + 1, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, file_crc(fd, &again));
	EXPECT_EQ(crc, again);
	close(fd);
}

/* Another image in the place of the one that the handles are of. */
TEST_F(nfs, stale)
{
	struct statx stx;
	uint32_t crc;

	ASSERT_EQ(0, restart_server("small", NULL, variant->flags));
	EXPECT_ERRNO(ESTALE, statx(self->file, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx));
	EXPECT_ERRNO(ESTALE, statx(self->dir, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx));
	EXPECT_EQ(-ESTALE, crc_by_handle(self->file, &crc));
}

/* What the server has read of a shared file is there for all. */
TEST_F(nfs, server_reads_shared_pages)
{
	uint32_t crc;

	if (!variant->twin)
		return;
	ASSERT_EQ(0, mount_image(variant->twin, "/mnt/b", variant->options));
	EXPECT_EQ(0, path_resident("/mnt/b", variant->file));
	ASSERT_EQ(0, crc_by_handle(self->file, &crc));
	EXPECT_LT(0, path_resident("/mnt/b", variant->file));
}

TEST_HARNESS_MAIN
