/* SPDX-License-Identifier: GPL-2.0 */
/* What the selftests share: mounts in a private namespace, devices, page frames, the kernel's log. */
#ifndef EROFS_SELFTEST_UTIL_H
#define EROFS_SELFTEST_UTIL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE 4096UL
#define DEV_LEN 32
#define MIB (1UL << 20)

/* Functions that return int give 0 (or what they count) or a negative errno. */

/* A mount namespace of its own, with a tmpfs on /mnt: what a test mounts ends with it. */
int private_mounts(void);

/* The image in the folder $EROFS_IMAGES. */
const char *image_path(const char *image);
/* Attaches it to a read-only loop device that goes away with its last user; the caller closes the descriptor. */
int attach_image(const char *image, char dev[DEV_LEN]);
/* The same for a file that is to be written to. */
int attach_writable(const char *path, char dev[DEV_LEN]);
/* Writes it onto a device that is as large. */
int write_image(const char *image, const char *dev);
int mount_at(const char *dev, const char *dir, const char *options);
int mount_image(const char *image, const char *dir, const char *options);
/* The image itself, as a file. */
int mount_file(const char *image, const char *dir, const char *options);
/* @options (or NULL) and a device= option for each of the @count images "IMAGE-1" and on; of_file: all of
   them files, else loop devices. */
int mount_devices(const char *image, int count, bool of_file, const char *dir, const char *options);
/* A copy of the image on a writable file system: its path. */
int copy_image(const char *image, const char *path);
int umount_at(const char *dir);
int remount_at(const char *dir, const char *options);
/* Options of the superblock on @dir as /proc/self/mountinfo shows them, or NULL. */
const char *shown_options(const char *dir);
bool option_shown(const char *dir, const char *option);
/* Name of the superblock on @dir: where its folder in /sys/fs/erofs is. */
int sb_name(const char *dir, char name[DEV_LEN]);

/* Reads that block device @dev has got so far. */
long device_reads(const char *dev);

/* Device mapper: a linear copy of @dev whose I/O can be held up, and fail in a range of sectors. */
int dm_create(const char *name, const char *dev, uint64_t bad_start, uint64_t bad_count, char out[DEV_LEN]);
int dm_suspend(const char *name, bool suspend);
/* Suspends it as dmsetup does, that is, after it froze the file system on it; dm_suspend() resumes and thaws. */
int dm_freeze(const char *name);
/* From now on it is all there for @up seconds, fails for @down seconds, and so on. @dev is what it was made of. */
int dm_flakey(const char *name, const char *dev, int up, int down);
int dm_remove(const char *name);

/* A disk that holds the image, until it is unplugged; one at a time. -ENODEV: this kernel has no null_blk. */
int nullb_plug(const char *image, char dev[DEV_LEN]);
/* Takes it away, whoever uses it. */
int nullb_unplug(void);
/* Tidies up. */
int nullb_remove(void);

int open_read(const char *dir, const char *file, int flags);
/* The whole file, CRC-32 of its bytes; by read(2) or through a mapping. */
int file_crc(int fd, uint32_t *crc);
int file_crc_mmap(int fd, uint32_t *crc);
uint32_t crc32(uint32_t crc, const void *data, size_t size);
/* CRC of the file at @dir/@file. */
int path_crc(const char *dir, const char *file, uint32_t *crc);
/* 0 if both have the same bytes, -EUCLEAN if not. */
int same_bytes(const char *dir_a, const char *file_a, const char *dir_b, const char *file_b);

/* Maps the first @count pages, touches them, and gives their frames, which are theirs as long as the mapping stays. */
int page_frames(int fd, size_t count, uint64_t *frames, void **mapping);
/* How many of the first @count pages both files hold in the same frame. */
int frames_shared(const char *dir_a, const char *file_a, const char *dir_b, const char *file_b, size_t count);
/* Resident pages of the file: mincore asks the mapping that a page fault would use. */
long resident_pages(int fd);
long path_resident(const char *dir, const char *file);
int drop_caches(int what);

/* The kernel's log from now on. */
int klog_open(void);
/* The text of the next record, or NULL at the end. */
char *klog_next(int fd);
/* Reads on to the end; counts the lines that begin with "erofs", keeps the last one in @line. */
int klog_erofs(int fd, char *line, size_t size);
bool klog_contains(int fd, const char *text);

int write_file(const char *path, const char *text);
int read_file(const char *path, char *buf, size_t size);
long read_number(const char *path);
int count_in_file(const char *path, const char *text);

/* Which driver runs: the C driver has no sharing counters. */
bool driver_is_c(void);
/* Fewer rounds: slow kernel, or an impatient person. */
bool quick(void);

/* The machine is for this test alone: it may be left broken. */
bool alone(void);

/* Calls @fn in a child; its pid. */
pid_t spawn(int (*fn)(const void *arg), const void *arg);
/* Exit status of the child within @seconds, -ETIMEDOUT if it still runs, 256 + signal if killed. */
int wait_child(pid_t pid, int seconds);

/* 0 or the errno of opening @path for reading as user and group @id; 200 if nobody can become that. */
int open_as(uid_t id, const char *path);
/* Runs a command line; its exit status, 127 if there is no such program. @out gets what it prints, cut to @size. */
int output_of(const char *command, char *out, size_t size);

#endif
