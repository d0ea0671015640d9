/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Rust cannot say: inline functions and macros of the kernel, one line each, and tables that need C initialisers.
 */
#ifndef EROFS_HELPERS_H
#define EROFS_HELPERS_H

#include <linux/backing-dev.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/capability.h>
#include <linux/crc32.h>
#include <linux/cred.h>
#include <linux/dax.h>
#include <linux/dcache.h>
#include <linux/exportfs.h>
#include <linux/fiemap.h>
#include <linux/file.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/iomap.h>
#include <linux/ioprio.h>
#include <linux/kobject.h>
#include <linux/lz4.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/pseudo_fs.h>
#include <linux/ratelimit.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/shmem_fs.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <linux/xattr.h>
#include <linux/xxhash.h>
#include <linux/xz.h>
#include <linux/zlib.h>
#include <linux/zstd.h>

#include "trace.h"

/* Macros, as numbers that bindgen takes. */
enum {
	EROFS_C_SB_RDONLY = SB_RDONLY,
	EROFS_C_SB_NOATIME = SB_NOATIME,
	EROFS_C_SB_POSIXACL = SB_POSIXACL,
	EROFS_C_SB_KERNMOUNT = SB_KERNMOUNT,
	EROFS_C_S_NOATIME = S_NOATIME,
	EROFS_C_S_DAX = S_DAX,
	EROFS_C_FS_DAX = IS_ENABLED(CONFIG_FS_DAX),
	EROFS_C_FS_REQUIRES_DEV = FS_REQUIRES_DEV,
	EROFS_C_FS_ALLOW_IDMAP = FS_ALLOW_IDMAP,
	EROFS_C_BIOSET_NEED_BVECS = BIOSET_NEED_BVECS,
	EROFS_C_AOP_TRUNCATED_PAGE = AOP_TRUNCATED_PAGE,
	EROFS_C_REQ_READ = REQ_OP_READ,
	EROFS_C_REQ_RAHEAD = REQ_RAHEAD,
	EROFS_C_ATTR_COMPRESSED = STATX_ATTR_COMPRESSED,
	EROFS_C_ATTR_IMMUTABLE = STATX_ATTR_IMMUTABLE,
	EROFS_C_STATX_DIOALIGN = STATX_DIOALIGN,
	EROFS_C_O_DIRECT = O_DIRECT,
	EROFS_C_CAP_SYS_ADMIN = CAP_SYS_ADMIN,
	EROFS_C_ACL_TYPE_ACCESS = ACL_TYPE_ACCESS,
	EROFS_C_ACL_TYPE_DEFAULT = ACL_TYPE_DEFAULT,
	EROFS_C_SEEK_HOLE = SEEK_HOLE,
	EROFS_C_SEEK_DATA = SEEK_DATA,
	EROFS_C_IOCB_DIRECT = IOCB_DIRECT,
	EROFS_C_IOCB_NOIO = IOCB_NOIO,
	EROFS_C_EIOCBQUEUED = EIOCBQUEUED,
	EROFS_C_LOOKUP_FOLLOW = LOOKUP_FOLLOW,
	EROFS_C_O_LARGEFILE = O_LARGEFILE,
	EROFS_C_GET_TREE_QUIET = GET_TREE_BDEV_QUIET_LOOKUP,
	EROFS_C_PATH_MAX = PATH_MAX,
	EROFS_C_BLK_OPEN_READ = (__force unsigned int)BLK_OPEN_READ,
	EROFS_C_IOMAP_HOLE = IOMAP_HOLE,
	EROFS_C_IOMAP_MAPPED = IOMAP_MAPPED,
	EROFS_C_IOMAP_INLINE = IOMAP_INLINE,
	EROFS_C_TRACE_REPORT = EROFS_TRACE_REPORT,
	EROFS_C_TRACE_MAPPED = EROFS_TRACE_MAPPED,
	EROFS_C_TRACE_META = EROFS_TRACE_META,
	EROFS_C_TRACE_PARTIAL_REF = EROFS_TRACE_PARTIAL_REF,
	EROFS_C_TRACE_FRAGMENT = EROFS_TRACE_FRAGMENT,
};
static const gfp_t EROFS_C_GFP_AT_HAND = GFP_NOWAIT | __GFP_NOWARN;
static const gfp_t EROFS_C_GFP_OPTIONAL = GFP_NOFS | __GFP_NOWARN;
static const gfp_t EROFS_C_GFP_MUST = GFP_NOFS | __GFP_NOFAIL;
static const u32 EROFS_C_GETFSLABEL = FS_IOC_GETFSLABEL;
static const s64 EROFS_C_MAX_LFS_FILESIZE = MAX_LFS_FILESIZE;
/* Signed: bindgen 0.71 makes no constant of what is above S64_MAX. */
static const s64 EROFS_C_IOMAP_NULL_ADDR = IOMAP_NULL_ADDR;

/* The mount options; their numbers are what fs_parse() returns. */
enum {
	EROFS_OPT_USER_XATTR,
	EROFS_OPT_ACL,
	EROFS_OPT_CACHE_STRATEGY,
	EROFS_OPT_DAX,
	EROFS_OPT_DAX_ENUM,
	EROFS_OPT_DEVICE,
	EROFS_OPT_DOMAIN_ID,
	EROFS_OPT_DIRECTIO,
	EROFS_OPT_FSOFFSET,
	EROFS_OPT_INODE_SHARE,
	EROFS_OPT_SOURCE,
};
extern const struct fs_parameter_spec erofs_helper_parameters[];
extern const struct fs_parameter_spec *const erofs_helper_parameters_ptr;

/* Mounting and logs */
int erofs_helper_fs_parse(struct fs_context *fc, struct fs_parameter *param, struct fs_parse_result *result);
bool erofs_helper_fs_result_bool(const struct fs_parse_result *result);
void erofs_helper_errorfc(struct fs_context *fc, const char *msg);
bool erofs_helper_for_reconfigure(struct fs_context *fc);
void erofs_helper_ratelimit_init(struct ratelimit_state *rs);
bool erofs_helper_ratelimit(struct ratelimit_state *rs);
void erofs_helper_super_set_uuid(struct super_block *sb, const u8 *uuid);
void erofs_helper_super_set_sysfs_name(struct super_block *sb);
void erofs_helper_statfs_fsid(struct super_block *sb, struct kstatfs *buf);
void erofs_helper_for_each_file(struct super_block *sb, void (*fn)(struct inode *, void *), void *data);

/* Inodes and dentries */
struct kmem_cache *erofs_helper_inode_cache(const char *name, unsigned int size, void (*ctor)(void *));
void *erofs_helper_alloc_inode(struct super_block *sb, struct kmem_cache *cache);
bool erofs_helper_inode_is_new(struct inode *inode);
void erofs_helper_inode_set_ids(struct inode *inode, u32 uid, u32 gid);
void erofs_helper_inode_set_cached_link(struct inode *inode, char *link, int len);
void erofs_helper_inode_nohighmem(struct inode *inode);
bool erofs_helper_redirect(struct inode *inode, struct address_space *to);
void erofs_helper_restore_mapping(struct inode *inode);
void erofs_helper_large_folios(struct address_space *mapping);
u32 erofs_helper_mkdev(u32 major, u32 minor);

/* Page cache and block devices */
void *erofs_helper_find_page(struct address_space *mapping, pgoff_t index, struct folio **folio);
bool erofs_helper_is_shmem(const struct address_space *mapping);
void *erofs_helper_read_page(struct address_space *mapping, struct file *file, pgoff_t index, struct folio **folio);
void erofs_helper_folio_put(struct folio *folio);
void erofs_helper_folio_unlock(struct folio *folio);
u64 erofs_helper_bdev_bytes(struct block_device *bdev);
u32 erofs_helper_dma_align(struct block_device *bdev);
u32 erofs_helper_logical_block_size(struct block_device *bdev);
void erofs_helper_bio_finish_read(struct bio *bio);
struct bio *erofs_helper_bio_of_memory(struct block_device *bdev, blk_opf_t op, struct bio_set *set, void *addr,
				       unsigned int len);
void *erofs_helper_folio_address(struct folio *folio);
s64 erofs_helper_folio_pos(struct folio *folio);
struct page *erofs_helper_folio_page(struct folio *folio, size_t n);
/* What erofs_helper_folio_relock() finds: the folio is locked again in the last case only. */
enum {
	EROFS_RELOCK_KILLED,
	EROFS_RELOCK_FILLED,
	EROFS_RELOCK_GONE,
	EROFS_RELOCK_LOCKED,
};
unsigned int erofs_helper_folio_relock(struct folio *folio, struct address_space *mapping);
struct page *erofs_helper_alloc_page(void);
void erofs_helper_free_page(struct page *page);
void *erofs_helper_kvmalloc(size_t size, gfp_t flags);
void erofs_helper_kvfree(void *addr);
unsigned int erofs_helper_online_cpus(void);
void erofs_helper_init_work(struct work_struct *work, work_func_t fn);
bool erofs_helper_queue_work(struct workqueue_struct *wq, struct work_struct *work);
struct workqueue_struct *erofs_helper_alloc_workqueue(void);

struct file_ra_state *erofs_helper_file_ra(struct file *file);
void erofs_helper_read_ahead(struct address_space *mapping, struct file *of, struct file_ra_state *ra, pgoff_t index,
			     unsigned long pages);

/* Backing files */
bool erofs_helper_path_is_regular(const struct path *path);
bool erofs_helper_file_is_source(const struct file *file);
bool erofs_helper_file_is_nested(const struct file *file, const struct super_operations *ops);
bool erofs_helper_file_can_direct(const struct file *file);
bool erofs_helper_file_is_cached(const struct file *file, s64 pos);
s64 erofs_helper_file_size(const struct file *file);
void erofs_helper_get_file(struct file *file);
ssize_t erofs_helper_read_file(struct kiocb *iocb, const struct bio_vec *vecs, size_t count, size_t len);
struct page *erofs_helper_page_of(const void *addr);
bool erofs_helper_is_vmalloc(const void *addr);
void erofs_helper_super_set_id(struct super_block *sb);
char *erofs_helper_file_name(struct file *file);

/* Internal superblocks */
void erofs_helper_super_start(struct super_block *sb, struct backing_dev_info *bdi);

/* Callbacks' small change */
bool erofs_helper_dir_emit(struct dir_context *ctx, const char *name, int len, u64 ino, u8 ftype);
bool erofs_helper_fatal_signal_pending(void);
void erofs_helper_cond_resched(void);
int erofs_helper_copy_to_user(unsigned long to, const void *from, unsigned long n);
void erofs_helper_rcu_barrier(void);
void *erofs_helper_memdup_nul(const u8 *from, size_t len);
void erofs_helper_kfree(void *p);

/* Decoders and memory */
extern unsigned int erofs_helper_lzma_streams;
extern unsigned int erofs_helper_deflate_streams;
extern unsigned int erofs_helper_zstd_streams;
unsigned int erofs_helper_noio_save(void);
void erofs_helper_noio_restore(unsigned int flags);
static const long EROFS_C_SHRINK_STOP = SHRINK_STOP;

/* DAX; without CONFIG_FS_DAX nobody calls the last four. */
struct dax_device *erofs_helper_dax_get(struct block_device *bdev, u64 *offset);
void erofs_helper_dax_put(struct dax_device *dev);
ssize_t erofs_helper_dax_read(struct kiocb *iocb, struct iov_iter *to, const struct iomap_ops *ops);
int erofs_helper_dax_mmap(struct vm_area_desc *desc, const struct vm_operations_struct *ops);
vm_fault_t erofs_helper_dax_fault(struct vm_fault *vmf, unsigned int order, const struct iomap_ops *ops);
void erofs_helper_dax_evict(struct inode *inode);

#endif
