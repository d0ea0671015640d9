// SPDX-License-Identifier: GPL-2.0
/*
 * Damaged images: each defect gives the errno of the format reference's corruption table, where the table says, and one
 * line in the log. Errnos are those of the C driver unless .c says otherwise; fixtures/corrupt.py makes the images.
 */
#include "harness.h"

#include <dirent.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

enum where { AT_MOUNT, AT_STAT, AT_READ, AT_READDIR, AT_XATTR };

FIXTURE(corrupt) {
	int log;
};

FIXTURE_VARIANT(corrupt) {
	const char *image, *options, *path, *xattr;
	enum where where;
	int err, or;	/* or: what else the table allows */
	int c;		/* errno of the C driver where ours is the stricter one; -1: depends */
	bool silent;	/* who finds and reports it is the VFS or the block layer */
};

#define BAD(name, img, ...) FIXTURE_VARIANT_ADD(corrupt, name) { .image = "bad-" img, __VA_ARGS__ }
#define MOUNT(e) .where = AT_MOUNT, .err = e
#define STAT(p, e) .where = AT_STAT, .path = p, .err = e
#define READ(p, e) .where = AT_READ, .path = p, .err = e
#define XATTR(p, x, e) .where = AT_XATTR, .path = p, .xattr = x, .err = e
#define READDIR(e) .where = AT_READDIR, .path = "dir", .err = e

BAD(row01_magic, "magic", MOUNT(EINVAL));
BAD(row02_block_size_8, "blkszbits-8", MOUNT(EINVAL));
BAD(row02_block_size_13, "blkszbits-13", MOUNT(EINVAL));
BAD(row02_block_size_16, "blkszbits-16", MOUNT(EINVAL));
BAD(row02_block_size_255, "blkszbits-255", MOUNT(EINVAL));
BAD(row03_directory_blocks, "dirblkbits", MOUNT(EINVAL));
BAD(row04_checksum, "checksum", MOUNT(EBADMSG));
BAD(row05_incompat_200, "incompat-200", MOUNT(EINVAL));
BAD(row05_incompat_80000000, "incompat-80000000", MOUNT(EINVAL));
BAD(row06_extension_slots, "extslots", MOUNT(EINVAL));
BAD(row07_fingerprint_prefix, "ishare-id", MOUNT(EUCLEAN));
BAD(row08_metabox_without_slot, "metabox-no-slot", MOUNT(EUCLEAN));
BAD(row08_metabox_in_itself, "metabox-in-metabox", MOUNT(EUCLEAN));
BAD(row09_algorithm, "algorithm", MOUNT(EOPNOTSUPP));
BAD(row13_root_is_file, "root-is-file", MOUNT(EINVAL));
BAD(row13_root_beyond_end, "root-beyond-end", MOUNT(EUCLEAN), .or = EIO);
BAD(row14_offset, "fsoffset", .options = "fsoffset=512", MOUNT(EINVAL));
BAD(row15_prefix_length_0, "prefix-length-0", MOUNT(EUCLEAN));
BAD(row15_prefix_length_257, "prefix-length-257", MOUNT(EUCLEAN));
BAD(row15_prefix_beyond_end, "prefix-beyond-end", MOUNT(EUCLEAN), .or = EIO);
BAD(row16_packed_in_metabox, "packed-in-metabox", MOUNT(EUCLEAN));
BAD(row17_short_512, "short-512", MOUNT(EIO), .or = EINVAL);
BAD(row17_short_1024, "short-1024", MOUNT(EIO), .or = EINVAL);
BAD(row17_short_1536, "short-1536", MOUNT(EIO), .or = EBADMSG);

BAD(row18_nid_metabox, "nid-metabox", STAT("flat", EUCLEAN));
BAD(row19_nid_overflow, "nid-overflow", STAT("flat", EUCLEAN), .or = EIO);
BAD(row19_nid_beyond_end, "nid-beyond-end", STAT("flat", EUCLEAN), .or = EIO);
BAD(row20_format_reserved, "format-reserved", STAT("flat", EOPNOTSUPP));
BAD(row20_format_high, "format-high", STAT("flat", EOPNOTSUPP));
BAD(row20_layout_5, "layout-5", STAT("flat", EOPNOTSUPP));
BAD(row20_layout_6, "layout-6", STAT("flat", EOPNOTSUPP));
BAD(row20_layout_7, "layout-7", STAT("flat", EOPNOTSUPP));
BAD(row21_size, "size-negative", STAT("flat", EUCLEAN));
BAD(row22_mode_zero, "mode-zero", STAT("flat", EUCLEAN));
BAD(row22_mode_unknown, "mode-unknown", STAT("flat", EUCLEAN));
BAD(row23_compressed_full, "compressed-1", STAT("flat", EUCLEAN));
BAD(row23_compressed_compact, "compressed-3", STAT("flat", EUCLEAN));
BAD(row24_chunk_format, "chunk-format", STAT("flat", EOPNOTSUPP));
BAD(row25_link_empty, "link-empty", STAT("link", EUCLEAN));
BAD(row25_link_nul, "link-nul", STAT("link", EUCLEAN));
/* iomap makes EIO of what a page read returns. */
BAD(row26_tail_crosses, "tail-crosses", READ("tiny", EUCLEAN), .or = EIO);
BAD(row27_start_beyond_end, "start-beyond-end", READ("flat", EIO), .silent = true);
BAD(row27_start_overflow, "start-overflow", READ("flat", EIO), .silent = true);
BAD(row27_size_beyond_end, "size-beyond-end", READ("flat", EIO), .c = -1, .silent = true);
BAD(row27_chunk_beyond_end, "chunk-beyond-end", READ("flat", EIO), .silent = true);

BAD(row29_nameoff_0, "nameoff0-0", READDIR(EUCLEAN));
BAD(row29_nameoff_1, "nameoff0-1", READDIR(EUCLEAN));
BAD(row29_nameoff_11, "nameoff0-11", READDIR(EUCLEAN));
BAD(row29_nameoff_4096, "nameoff0-4096", READDIR(EUCLEAN));
BAD(row29_nameoff_65532, "nameoff0-65532", READDIR(EUCLEAN));
BAD(row29_nameoff_past_end, "nameoff0-past-end", READDIR(EUCLEAN));
BAD(row30_name_empty, "name-empty", READDIR(EUCLEAN));
BAD(row30_name_backwards, "name-backwards", READDIR(EUCLEAN));
BAD(row30_name_long, "name-long", READDIR(EUCLEAN));
BAD(row30_name_past_end, "name-past-end", READDIR(EUCLEAN));
BAD(row31_no_entries, "nameoff0-0", STAT("dir/beta", EUCLEAN));
BAD(row31_no_whole_entry, "nameoff0-11", STAT("dir/beta", EUCLEAN));
BAD(row32_lookup_nameoff_4096, "nameoff0-4096", STAT("dir/beta", EUCLEAN), .c = -1);
BAD(row32_lookup_nameoff_1, "nameoff0-1", STAT("dir/beta", EUCLEAN), .c = -1);
BAD(row32_lookup_name_past_end, "name-past-end", STAT("dir/gamma", EUCLEAN), .c = -1);
BAD(row32_name_slash, "name-slash", READDIR(EUCLEAN), .or = EIO, .c = -1);
BAD(row33_ancestor, "ancestor", STAT("dir/beta/alpha", ELOOP), .silent = true);

BAD(row34_get, "xattr-header-only", XATTR("tiny", "user.a", EOPNOTSUPP));
BAD(row34_list, "xattr-header-only", XATTR("tiny", NULL, EOPNOTSUPP));
BAD(row35_get, "xattr-shared-count", XATTR("tiny", "user.a", EUCLEAN));
BAD(row35_list, "xattr-shared-count", XATTR("tiny", NULL, EUCLEAN));
BAD(row36_get, "xattr-entry-long", XATTR("tiny", "user.c", EUCLEAN));
BAD(row36_list, "xattr-entry-long", XATTR("tiny", NULL, EUCLEAN));
BAD(row37_get, "xattr-in-metabox", XATTR("shared1", "user.common", EUCLEAN));
BAD(row37_list, "xattr-in-metabox", XATTR("shared1", NULL, EUCLEAN));
BAD(row38_area_get, "xattr-beyond-end", XATTR("shared1", "user.common", EUCLEAN), .or = EIO, .c = -1);
BAD(row38_area_list, "xattr-beyond-end", XATTR("shared1", NULL, EUCLEAN), .or = EIO, .c = -1);
BAD(row38_id_get, "xattr-id-beyond-end", XATTR("shared1", "user.common", EUCLEAN), .or = EIO, .c = -1);
BAD(row38_id_list, "xattr-id-beyond-end", XATTR("shared1", NULL, EUCLEAN), .or = EIO, .c = -1);

/* What is wrong in the ACL itself, the VFS finds. */
BAD(acl_empty, "acl-empty", XATTR("tiny", "system.posix_acl_access", EINVAL), .silent = true);
BAD(acl_version, "acl-version", XATTR("tiny", "system.posix_acl_access", EOPNOTSUPP), .silent = true);
BAD(acl_size, "acl-size", XATTR("tiny", "system.posix_acl_access", EINVAL), .silent = true);
BAD(acl_tag, "acl-tag", XATTR("tiny", "system.posix_acl_access", EINVAL), .silent = true);
BAD(row36_acl, "acl-long", XATTR("tiny", "system.posix_acl_access", EUCLEAN));

FIXTURE_SETUP(corrupt)
{
	ASSERT_EQ(0, private_mounts());
	self->log = klog_open();
	ASSERT_GE(self->log, 0);
}

FIXTURE_TEARDOWN(corrupt)
{
}

/* By the new calls, so that the mount's own error log is there to read; @told says whether something stood in it. */
static int mount_new(const char *image, const char *options, bool *told)
{
	char dev[DEV_LEN], text[512];
	int loop = attach_image(image, dev), fc = syscall(SYS_fsopen, "erofs", 0), mnt, err = 0;

	*told = false;
	if (loop < 0 || fc < 0 || mkdir("/mnt/bad", 0755))
		return -ENOTRECOVERABLE;
	err = syscall(SYS_fsconfig, fc, FSCONFIG_SET_STRING, "source", dev, 0);
	/* Else the VFS refuses a read-only device before the driver sees it. */
	err = err ?: syscall(SYS_fsconfig, fc, FSCONFIG_SET_FLAG, "ro", NULL, 0);
	if (options) {
		char key[32], value[32];

		sscanf(options, "%31[^=]=%31s", key, value);
		err = err ?: syscall(SYS_fsconfig, fc, FSCONFIG_SET_STRING, key, value, 0);
	}
	if (err)
		return -ENOTRECOVERABLE;
	err = syscall(SYS_fsconfig, fc, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ? -errno : 0;
	while (read(fc, text, sizeof(text)) > 0)
		*told |= text[0] == 'e';
	if (!err) {
		mnt = syscall(SYS_fsmount, fc, 0, 0);
		if (mnt < 0 || syscall(SYS_move_mount, mnt, "", AT_FDCWD, "/mnt/bad", MOVE_MOUNT_F_EMPTY_PATH))
			err = -ENOTRECOVERABLE;
		close(mnt);
	}
	close(fc);
	close(loop);
	return err;
}

/* Entries before the damage are there for the asking; it shows in the call that reaches it, and that one must log. */
static int list_names(const char *path, int log)
{
	char buf[65536], line[8];
	int fd = open(path, O_RDONLY | O_DIRECTORY), err;
	long n;

	if (fd < 0)
		return -errno;
	do {
		klog_erofs(log, line, sizeof(line));
		n = syscall(SYS_getdents64, fd, buf, sizeof(buf));
	} while (n > 0);
	err = n < 0 ? -errno : 0;
	close(fd);
	return err;
}

static int provoke(const FIXTURE_VARIANT(corrupt) *variant, int log)
{
	char path[128], buf[4096];
	struct stat st;
	uint32_t crc;

	snprintf(path, sizeof(path), "/mnt/bad/%s", variant->path);
	switch (variant->where) {
	case AT_MOUNT:
		return 0;
	case AT_STAT:
		return lstat(path, &st) ? -errno : 0;
	case AT_READ:
		return path_crc("/mnt/bad", variant->path, &crc);
	case AT_READDIR:
		return list_names(path, log);
	case AT_XATTR:
		if (variant->xattr)
			return getxattr(path, variant->xattr, buf, sizeof(buf)) < 0 ? -errno : 0;
		return listxattr(path, buf, sizeof(buf)) < 0 ? -errno : 0;
	}
	return -ENOTRECOVERABLE;
}

TEST_F(corrupt, errno_and_one_log_line)
{
	char line[512] = "";
	bool told;
	int err = mount_new(variant->image, variant->options, &told), lines;
	uint32_t crc;

	if (driver_is_c() && variant->c)
		return;
	if (variant->where != AT_MOUNT) {
		ASSERT_EQ(0, err);
		klog_erofs(self->log, line, sizeof(line));
		err = provoke(variant, self->log);
	}
	if (!variant->or || err != -variant->or) {
		EXPECT_EQ(-variant->err, err);
	}
	if (driver_is_c())
		return;
	lines = klog_erofs(self->log, line, sizeof(line));
	EXPECT_TRUE(lines == 1 || (variant->silent && !lines))
		TH_LOG("%d lines, the last of them: %s", lines, line);
	if (variant->where == AT_MOUNT) {
		EXPECT_TRUE(told);
		return;
	}
	/* What is not damaged works on. */
	EXPECT_EQ(0, path_crc("/mnt/bad", "inline", &crc));
	EXPECT_EQ(0, umount_at("/mnt/bad"));
}

TEST_HARNESS_MAIN
