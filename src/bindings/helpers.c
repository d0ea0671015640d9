// SPDX-License-Identifier: GPL-2.0
/* See helpers.h. No logic, no state. */
#include "helpers.h"

static const struct constant_table erofs_cache_strategies[] = {
	{ "disabled", 0 },
	{ "readahead", 1 },
	{ "readaround", 2 },
	{}
};

static const struct constant_table erofs_dax_modes[] = {
	{ "always", 0 },
	{ "never", 1 },
	{}
};

const struct fs_parameter_spec erofs_helper_parameters[] = {
	fsparam_flag_no("user_xattr", EROFS_OPT_USER_XATTR),
	fsparam_flag_no("acl", EROFS_OPT_ACL),
	fsparam_enum("cache_strategy", EROFS_OPT_CACHE_STRATEGY, erofs_cache_strategies),
	fsparam_flag("dax", EROFS_OPT_DAX),
	fsparam_enum("dax", EROFS_OPT_DAX_ENUM, erofs_dax_modes),
	fsparam_string("device", EROFS_OPT_DEVICE),
	fsparam_string("domain_id", EROFS_OPT_DOMAIN_ID),
	fsparam_flag_no("directio", EROFS_OPT_DIRECTIO),
	fsparam_u64("fsoffset", EROFS_OPT_FSOFFSET),
	fsparam_flag("inode_share", EROFS_OPT_INODE_SHARE),
	fsparam_file_or_string("source", EROFS_OPT_SOURCE),
	{}
};
const struct fs_parameter_spec *const erofs_helper_parameters_ptr = erofs_helper_parameters;

int erofs_helper_fs_parse(struct fs_context *fc, struct fs_parameter *param, struct fs_parse_result *result)
{
	return fs_parse(fc, erofs_helper_parameters, param, result);
}

bool erofs_helper_fs_result_bool(const struct fs_parse_result *result)
{
	return result->boolean;
}

void erofs_helper_errorfc(struct fs_context *fc, const char *msg)
{
	errorfc(fc, "%s", msg);
}

bool erofs_helper_for_reconfigure(struct fs_context *fc)
{
	return fc->purpose == FS_CONTEXT_FOR_RECONFIGURE;
}

void erofs_helper_ratelimit_init(struct ratelimit_state *rs)
{
	ratelimit_default_init(rs);
}

bool erofs_helper_ratelimit(struct ratelimit_state *rs)
{
	return __ratelimit(rs);
}

void erofs_helper_super_set_uuid(struct super_block *sb, const u8 *uuid)
{
	super_set_uuid(sb, uuid, UUID_SIZE);
}

void erofs_helper_super_set_sysfs_name(struct super_block *sb)
{
	super_set_sysfs_name_id(sb);
}

void erofs_helper_statfs_fsid(struct super_block *sb, struct kstatfs *buf)
{
	buf->f_fsid = uuid_is_null(&sb->s_uuid) ?
			       u64_to_fsid(sb->s_bdev ? huge_encode_dev(sb->s_bdev->bd_dev) : 0) :
			       uuid_to_fsid(sb->s_uuid.b);
}

/* list_for_each_entry() over the superblock's regular files that are ready and good, and not on their way out. */
void erofs_helper_for_each_file(struct super_block *sb, void (*fn)(struct inode *, void *), void *data)
{
	struct inode *inode;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		spin_lock(&inode->i_lock);
		if (!(inode_state_read(inode) & (I_NEW | I_FREEING | I_WILL_FREE | I_CREATING)) &&
		    S_ISREG(inode->i_mode) && !is_bad_inode(inode))
			fn(inode, data);
		spin_unlock(&inode->i_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
}

struct kmem_cache *erofs_helper_inode_cache(const char *name, unsigned int size, void (*ctor)(void *))
{
	return kmem_cache_create(name, size, 0, SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, ctor);
}

void *erofs_helper_alloc_inode(struct super_block *sb, struct kmem_cache *cache)
{
	return alloc_inode_sb(sb, cache, GFP_KERNEL);
}

bool erofs_helper_inode_is_new(struct inode *inode)
{
	return inode_state_read_once(inode) & I_NEW;
}

void erofs_helper_inode_set_ids(struct inode *inode, u32 uid, u32 gid)
{
	i_uid_write(inode, uid);
	i_gid_write(inode, gid);
}

void erofs_helper_inode_set_cached_link(struct inode *inode, char *link, int len)
{
	inode_set_cached_link(inode, link, len);
}

void erofs_helper_inode_nohighmem(struct inode *inode)
{
	inode_nohighmem(inode);
}

/* Once: a mapping that is not the inode's own stays until restored. */
bool erofs_helper_redirect(struct inode *inode, struct address_space *to)
{
	bool own;

	spin_lock(&inode->i_lock);
	own = inode->i_mapping == &inode->i_data;
	if (own)
		smp_store_release(&inode->i_mapping, to);
	spin_unlock(&inode->i_lock);
	return own;
}

void erofs_helper_restore_mapping(struct inode *inode)
{
	WRITE_ONCE(inode->i_mapping, &inode->i_data);
}

void erofs_helper_large_folios(struct address_space *mapping)
{
	mapping_set_large_folios(mapping);
}

u32 erofs_helper_mkdev(u32 major, u32 minor)
{
	return MKDEV(major, minor);
}

#ifdef CONFIG_HIGHMEM
#error "erofs in Rust needs a kernel without high memory"
#endif
/* The page if it has been read, with its folio; else NULL, with a folio of NULL if there is one that is being read. */
void *erofs_helper_find_page(struct address_space *mapping, pgoff_t index, struct folio **folio)
{
	*folio = filemap_get_folio(mapping, index);
	if (IS_ERR(*folio))
		return NULL;
	if (!folio_test_uptodate(*folio)) {
		folio_put(*folio);
		*folio = NULL;
		return NULL;
	}
	folio_mark_accessed(*folio);
	return page_address(folio_file_page(*folio, index));
}

bool erofs_helper_is_shmem(const struct address_space *mapping)
{
	return shmem_mapping(mapping);
}

void *erofs_helper_read_page(struct address_space *mapping, struct file *file, pgoff_t index, struct folio **folio)
{
	/* tmpfs brings its pages back in a way of its own. */
	if (file && shmem_mapping(mapping))
		*folio = shmem_read_folio_gfp(mapping, index, mapping_gfp_mask(mapping));
	else
		*folio = read_cache_folio(mapping, index, NULL, file);
	return IS_ERR(*folio) ? NULL : page_address(folio_file_page(*folio, index));
}

void erofs_helper_folio_put(struct folio *folio)
{
	folio_put(folio);
}

void erofs_helper_folio_unlock(struct folio *folio)
{
	folio_unlock(folio);
}

u64 erofs_helper_bdev_bytes(struct block_device *bdev)
{
	return bdev_nr_bytes(bdev);
}

u32 erofs_helper_dma_align(struct block_device *bdev)
{
	return bdev_dma_alignment(bdev);
}

u32 erofs_helper_logical_block_size(struct block_device *bdev)
{
	return bdev_logical_block_size(bdev);
}

/* bio_for_each_folio_all() around iomap's completion. */
void erofs_helper_bio_finish_read(struct bio *bio)
{
	int error = blk_status_to_errno(bio->bi_status);
	struct folio_iter fi;

	bio_for_each_folio_all(fi, bio)
		iomap_finish_folio_read(fi.folio, fi.offset, fi.length, error);
	bio_put(bio);
}

/* One bio for memory that may be from vmalloc(), which takes a vector for each page. */
struct bio *erofs_helper_bio_of_memory(struct block_device *bdev, blk_opf_t op, struct bio_set *set, void *addr,
				       unsigned int len)
{
	struct bio *bio = bio_alloc_bioset(bdev, bio_add_max_vecs(addr, len), op, GFP_NOFS, set);

	if (!is_vmalloc_addr(addr))
		bio_add_virt_nofail(bio, addr, len);
	else
		bio_add_vmalloc(bio, addr, len);
	return bio;
}

void *erofs_helper_folio_address(struct folio *folio)
{
	return folio_address(folio);
}

s64 erofs_helper_folio_pos(struct folio *folio)
{
	return folio_pos(folio);
}

struct page *erofs_helper_folio_page(struct folio *folio, size_t n)
{
	return folio_page(folio, n);
}

unsigned int erofs_helper_folio_relock(struct folio *folio, struct address_space *mapping)
{
	unsigned int found = EROFS_RELOCK_LOCKED;

	if (folio_lock_killable(folio))
		return EROFS_RELOCK_KILLED;
	if (folio->mapping != mapping)
		found = EROFS_RELOCK_GONE;
	else if (folio_test_uptodate(folio))
		found = EROFS_RELOCK_FILLED;
	if (found != EROFS_RELOCK_LOCKED)
		folio_unlock(folio);
	return found;
}

struct page *erofs_helper_alloc_page(void)
{
	return alloc_page(GFP_KERNEL | __GFP_NOWARN);
}

void erofs_helper_free_page(struct page *page)
{
	__free_page(page);
}

void *erofs_helper_kvmalloc(size_t size, gfp_t flags)
{
	return kvmalloc(size, flags);
}

void erofs_helper_kvfree(void *addr)
{
	kvfree(addr);
}

unsigned int erofs_helper_online_cpus(void)
{
	return num_online_cpus();
}

void erofs_helper_init_work(struct work_struct *work, work_func_t fn)
{
	INIT_WORK(work, fn);
}

bool erofs_helper_queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	return queue_work(wq, work);
}

struct workqueue_struct *erofs_helper_alloc_workqueue(void)
{
	return alloc_workqueue("erofs_worker", WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
}

struct file_ra_state *erofs_helper_file_ra(struct file *file)
{
	return &file->f_ra;
}

void erofs_helper_read_ahead(struct address_space *mapping, struct file *of, struct file_ra_state *ra, pgoff_t index,
			     unsigned long pages)
{
	if (!ra_has_index(ra, index))
		page_cache_sync_readahead(mapping, ra, of, index, pages);
}

bool erofs_helper_path_is_regular(const struct path *path)
{
	return d_is_reg(path->dentry);
}

bool erofs_helper_file_is_source(const struct file *file)
{
	return S_ISREG(file_inode(file)->i_mode) && (file->f_mode & FMODE_READ) &&
	       (file->f_mapping->a_ops->read_folio || shmem_mapping(file->f_mapping));
}

/* Reading it could take this filesystem a second time, or one that is as deep. */
bool erofs_helper_file_is_nested(const struct file *file, const struct super_operations *ops)
{
	const struct super_block *sb = file_inode(file)->i_sb;

	return (sb->s_op == ops && !sb->s_bdev) || sb->s_stack_depth;
}

bool erofs_helper_file_can_direct(const struct file *file)
{
	return file->f_mode & FMODE_CAN_ODIRECT;
}

bool erofs_helper_file_is_cached(const struct file *file, s64 pos)
{
	return filemap_range_has_page(file->f_mapping, pos, pos);
}

s64 erofs_helper_file_size(const struct file *file)
{
	return i_size_read(file_inode(file));
}

void erofs_helper_get_file(struct file *file)
{
	get_file(file);
}

ssize_t erofs_helper_read_file(struct kiocb *iocb, const struct bio_vec *vecs, size_t count, size_t len)
{
	struct iov_iter iter;

	iocb->ki_ioprio = get_current_ioprio();
	iov_iter_bvec(&iter, ITER_DEST, vecs, count, len);
	scoped_with_creds(iocb->ki_filp->f_cred)
		return vfs_iocb_iter_read(iocb->ki_filp, iocb, &iter);
}

/* file_path() in memory of its own */
char *erofs_helper_file_name(struct file *file)
{
	char *buf __free(kfree) = kmalloc(PATH_MAX, GFP_KERNEL), *name;

	if (!buf)
		return ERR_PTR(-ENOMEM);
	name = file_path(file, buf, PATH_MAX);
	if (IS_ERR(name))
		return name;
	return kstrdup(name, GFP_KERNEL) ?: ERR_PTR(-ENOMEM);
}

struct page *erofs_helper_page_of(const void *addr)
{
	return is_vmalloc_addr(addr) ? vmalloc_to_page(addr) : virt_to_page(addr);
}

bool erofs_helper_is_vmalloc(const void *addr)
{
	return is_vmalloc_addr(addr);
}

void erofs_helper_super_set_id(struct super_block *sb)
{
	snprintf(sb->s_id, sizeof(sb->s_id), "%u:%u", MAJOR(sb->s_dev), MINOR(sb->s_dev));
}

/* As fc_mount() after vfs_get_tree(), with a bdi that outlives the superblock. */
void erofs_helper_super_start(struct super_block *sb, struct backing_dev_info *bdi)
{
	sb->s_bdi = bdi_get(bdi);
	up_write(&sb->s_umount);
}

bool erofs_helper_dir_emit(struct dir_context *ctx, const char *name, int len, u64 ino, u8 ftype)
{
	return dir_emit(ctx, name, len, ino, fs_ftype_to_dtype(ftype));
}

bool erofs_helper_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

void erofs_helper_cond_resched(void)
{
	cond_resched();
}

int erofs_helper_copy_to_user(unsigned long to, const void *from, unsigned long n)
{
	return copy_to_user((void __user *)to, from, n) ? -EFAULT : 0;
}

void erofs_helper_rcu_barrier(void)
{
	rcu_barrier();
}

void *erofs_helper_memdup_nul(const u8 *from, size_t len)
{
	return kmemdup_nul(from, len, GFP_KERNEL);
}

void erofs_helper_kfree(void *p)
{
	kfree(p);
}

/* Rust's own parameters cannot be seen in sysfs. */
unsigned int erofs_helper_lzma_streams;
module_param_named(lzma_streams, erofs_helper_lzma_streams, uint, 0444);
MODULE_PARM_DESC(lzma_streams, "Most LZMA decoders at a time (0: one for each CPU)");

unsigned int erofs_helper_deflate_streams;
module_param_named(deflate_streams, erofs_helper_deflate_streams, uint, 0444);
MODULE_PARM_DESC(deflate_streams, "Most DEFLATE decoders at a time (0: one for each CPU)");

unsigned int erofs_helper_zstd_streams;
module_param_named(zstd_streams, erofs_helper_zstd_streams, uint, 0444);
MODULE_PARM_DESC(zstd_streams, "Most Zstandard decoders at a time (0: one for each CPU)");

unsigned int erofs_helper_noio_save(void)
{
	return memalloc_noio_save();
}

void erofs_helper_noio_restore(unsigned int flags)
{
	memalloc_noio_restore(flags);
}

struct dax_device *erofs_helper_dax_get(struct block_device *bdev, u64 *offset)
{
	return fs_dax_get_by_bdev(bdev, offset, NULL, NULL);
}

void erofs_helper_dax_put(struct dax_device *dev)
{
	fs_put_dax(dev, NULL);
}

ssize_t erofs_helper_dax_read(struct kiocb *iocb, struct iov_iter *to, const struct iomap_ops *ops)
{
	return IS_ENABLED(CONFIG_FS_DAX) ? dax_iomap_rw(iocb, to, ops) : -EIO;
}

int erofs_helper_dax_mmap(struct vm_area_desc *desc, const struct vm_operations_struct *ops)
{
	if (vma_desc_test_all(desc, VMA_SHARED_BIT, VMA_MAYWRITE_BIT))
		return -EINVAL;
	desc->vm_ops = ops;
	vma_desc_set_flags(desc, VMA_HUGEPAGE_BIT);
	return 0;
}

vm_fault_t erofs_helper_dax_fault(struct vm_fault *vmf, unsigned int order, const struct iomap_ops *ops)
{
	return IS_ENABLED(CONFIG_FS_DAX) ? dax_iomap_fault(vmf, order, NULL, NULL, ops) : VM_FAULT_SIGBUS;
}

void erofs_helper_dax_evict(struct inode *inode)
{
	if (IS_ENABLED(CONFIG_FS_DAX))
		dax_break_layout_final(inode);
}
