// SPDX-License-Identifier: GPL-2.0
/*
 * Prints everything that system calls tell about a mounted tree, in one order: two drivers that agree print the same.
 * Lines that begin with " |" speak of the image, the others of the files packed into it.
 *
 * Usage: treedump [-m SOURCE OPTIONS] FOLDER
 *
 * With -m it mounts SOURCE there first, by mount(2): mount(8) would make a loop device of a file.
 */
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <linux/fs.h>
#include <linux/fiemap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *root;

static void print_escaped(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = text[i];

		if (c >= 0x21 && c <= 0x7e && c != '\\')
			putchar(c);
		else
			printf("\\x%02x", c);
	}
}

static const char *error_name(void)
{
	return strerrorname_np(errno);
}

static void print_content(int at, const char *name, const struct stat *st)
{
	static char target[8192];
	uint32_t crc;
	ssize_t n;
	int fd;

	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(at, name, target, sizeof(target));
		if (n < 0)
			printf("%s", error_name());
		else
			print_escaped(target, n);
	} else if (S_ISREG(st->st_mode)) {
		fd = openat(at, name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || file_crc(fd, &crc))
			printf("%s", error_name());
		else
			printf("%08x", crc);
		close(fd);
	} else {
		putchar('-');
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char **)a, *(char **)b);
}

static void print_xattrs(const char *path)
{
	static char list[65536], value[65536];
	char *names[1024];
	int count = 0;
	ssize_t n = llistxattr(path, list, sizeof(list)), size;

	if (n < 0) {
		printf(" | listxattr %s\n", error_name());
		return;
	}
	for (char *name = list; name < list + n; name += strlen(name) + 1)
		names[count++] = name;
	if (count) {
		printf(" | list %zd:", n);
		for (int i = 0; i < count; i++) {
			putchar(' ');
			print_escaped(names[i], strlen(names[i]));
		}
		putchar('\n');
	}
	qsort(names, count, sizeof(*names), compare);
	for (int i = 0; i < count; i++) {
		size = lgetxattr(path, names[i], value, sizeof(value));
		printf("  %s=", names[i]);
		if (size < 0)
			printf("%s", error_name());
		for (ssize_t k = 0; k < size; k++)
			printf("%02x", (unsigned char)value[k]);
		putchar('\n');
	}
}

/* Where data and holes lie, and where on the device. */
static void print_map(int fd, off_t size)
{
	struct {
		struct fiemap head;
		struct fiemap_extent extent[256];
	} map = { .head = { .fm_length = FIEMAP_MAX_OFFSET, .fm_extent_count = 256 } };
	off_t at = 0, data, hole;

	printf(" | data");
	while (at < size && (data = lseek(fd, at, SEEK_DATA)) >= 0) {
		hole = lseek(fd, data, SEEK_HOLE);
		printf(" %lld-%lld", (long long)data, (long long)hole);
		at = hole > data ? hole : size;
	}
	printf(at < size ? " %s\n" : "\n", at < size ? error_name() : "");
	printf(" | extents");
	if (ioctl(fd, FS_IOC_FIEMAP, &map))
		printf(" %s", error_name());
	for (unsigned int i = 0; i < map.head.fm_mapped_extents; i++)
		printf(" %llu@%llu+%llu:%x", map.extent[i].fe_logical, map.extent[i].fe_physical,
		       map.extent[i].fe_length,
		       /* The C driver does not tell what is encoded, nor that fragments have no place of their own. */
		       map.extent[i].fe_flags & ~(FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_UNKNOWN));
	putchar('\n');
}

/* getdents64 itself: the order, positions and types that the C library hides. */
static void print_entries(int fd, const char *path)
{
	struct entry {
		uint64_t ino;
		int64_t off;
		uint16_t size;
		uint8_t type;
		char name[];
	} *entry;
	static char buf[32768];
	long n;

	printf(" | entries of %s\n", path);
	while ((n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n; at += entry->size) {
			entry = (void *)(buf + at);
			printf(" |  %llu %lld %u ", (unsigned long long)entry->ino, (long long)entry->off, entry->type);
			print_escaped(entry->name, strlen(entry->name));
			putchar('\n');
		}
	if (n < 0)
		printf(" |  %s\n", error_name());
}

static void print_image_facts(const char *path, const struct stat *st)
{
	struct statx stx;
	uint32_t crc;
	int fd;

	/* The mount id differs from mount to mount. */
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME | STATX_DIOALIGN, &stx)) {
		printf(" | statx %s\n", error_name());
		return;
	}
	printf(" | ino %llu size %lld blocks %lld blksize %ld atime %lld.%09ld ctime %lld.%09ld\n",
	       (unsigned long long)st->st_ino, (long long)st->st_size, (long long)st->st_blocks, (long)st->st_blksize,
	       (long long)st->st_atim.tv_sec, st->st_atim.tv_nsec, (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
	printf(" | statx mask %x attributes %llx of %llx dio %u %u\n", stx.stx_mask & ~0x5000u, stx.stx_attributes,
	       stx.stx_attributes_mask, stx.stx_dio_mem_align, stx.stx_dio_offset_align);
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		printf(" | open %s\n", error_name());
		return;
	}
	if (S_ISREG(st->st_mode)) {
		if (file_crc_mmap(fd, &crc))
			printf(" | mmap %s\n", error_name());
		else
			printf(" | mmap %08x\n", crc);
	}
	print_map(fd, st->st_size);
	if (S_ISDIR(st->st_mode))
		print_entries(fd, path + strlen(root));
	close(fd);
}

static void dump(const char *path, int at, const char *name)
{
	const char *shown = path[strlen(root)] ? path + strlen(root) : "/";
	struct dirent **entries;
	struct stat st;
	bool dir;
	int n, fd;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW)) {
		print_escaped(shown, strlen(shown));
		printf(" %s\n", error_name());
		return;
	}
	dir = S_ISDIR(st.st_mode);
	print_escaped(shown, strlen(shown));
	printf(" %06o %u:%u %lld %lu %u:%u %lld.%09ld ", st.st_mode, st.st_uid, st.st_gid, dir ? 0 : (long long)st.st_size,
	       (unsigned long)st.st_nlink, major(st.st_rdev), minor(st.st_rdev),
	       (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	print_content(at, name, &st);
	putchar('\n');
	print_xattrs(path);
	print_image_facts(path, &st);
	if (!dir)
		return;

	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n = scandir(path, &entries, NULL, NULL);
	if (fd < 0 || n < 0) {
		printf(" | scandir %s\n", error_name());
		return;
	}
	char *names[n];

	for (int i = 0; i < n; i++)
		names[i] = entries[i]->d_name;
	qsort(names, n, sizeof(*names), compare);
	for (int i = 0; i < n; i++) {
		char *child;

		if (!strcmp(names[i], ".") || !strcmp(names[i], ".."))
			continue;
		if (asprintf(&child, "%s/%s", path, names[i]) < 0)
			exit(1);
		dump(child, fd, names[i]);
		free(child);
	}
	close(fd);
}

static void print_statfs(void)
{
	struct statfs fs;

	if (statfs(root, &fs)) {
		printf(" | statfs %s\n", error_name());
		return;
	}
	printf(" | statfs type %lx bsize %ld frsize %ld blocks %llu free %llu avail %llu files %llu ffree %llu namelen %ld fsid %x:%x flags %lx\n",
	       (unsigned long)fs.f_type, (long)fs.f_bsize, (long)fs.f_frsize, (unsigned long long)fs.f_blocks,
	       (unsigned long long)fs.f_bfree, (unsigned long long)fs.f_bavail, (unsigned long long)fs.f_files,
	       (unsigned long long)fs.f_ffree, (long)fs.f_namelen, fs.f_fsid.__val[0], fs.f_fsid.__val[1],
	       (unsigned long)fs.f_flags);
}

int main(int argc, char **argv)
{
	bool own = argc == 5 && !strcmp(argv[1], "-m");

	if (argc != 2 && !own) {
		fprintf(stderr, "Usage: %s [-m SOURCE OPTIONS] FOLDER\n", argv[0]);
		return 2;
	}
	root = argv[argc - 1];
	if (own && mount_at(argv[2], root, argv[3])) {
		perror(argv[2]);
		return 1;
	}
	print_statfs();
	dump(root, AT_FDCWD, root);
	return own ? umount_at(root) != 0 : 0;
}
