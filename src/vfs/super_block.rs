// SPDX-License-Identifier: GPL-2.0

//! Superblocks of mounted filesystems.
//!
//! C headers: [`include/linux/fs/super.h`](srctree/include/linux/fs/super.h),
//! [`include/linux/fs/super_types.h`](srctree/include/linux/fs/super_types.h)

use crate::bindings;
use crate::vfs::{
    backing::OpenFile,
    block::{
        BlockDevice,
        ClaimedDevice, //
    },
    inode::{
        FileSystem,
        Inode,
        InodeCache, //
    },
    mount::{
        Mount,
        Mountable, //
    },
    store::{
        OpenStore,
        Store, //
    }, //
};
use core::marker::PhantomData;
use kernel::{
    error::from_result,
    prelude::*,
    sync::aref::ARef,
    types::Opaque, //
};

/// A superblock of filesystem `T`.
///
/// # Invariants
///
/// Belongs to `T`: its inodes come from `T`'s cache.
#[repr(transparent)]
pub(crate) struct SuperBlock<T>(Opaque<bindings::super_block>, PhantomData<fn() -> T>);

impl<T> SuperBlock<T> {
    /// # Safety
    ///
    /// `ptr` must be a superblock of `T` that stays alive for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::super_block) -> &'a Self {
        // SAFETY: By the contract; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::super_block {
        self.0.get()
    }

    /// Its device number, in the kernel's own encoding.
    pub(crate) fn dev(&self) -> u32 {
        // SAFETY: Set before the filesystem sees the superblock.
        unsafe { (*self.as_raw()).s_dev }
    }

    /// The name in logs and sysfs: that of the device, or `MAJOR:MINOR` of none.
    pub(crate) fn id(&self) -> &CStr {
        // SAFETY: `s_id` is set before the filesystem sees the superblock.
        let id = unsafe { &raw const (*self.as_raw()).s_id };
        // SAFETY: NUL-terminated by `snprintf` when the superblock is set up; not written again.
        unsafe { CStr::from_char_ptr(id.cast()) }
    }
}

impl<T: Mountable> SuperBlock<T> {
    /// What the filesystem keeps for this mount.
    pub(crate) fn data(&self) -> &T::Super {
        // SAFETY: `s_fs_info` is a `Mount<T>` from `sget_fc()` to `kill_sb`.
        let mount = unsafe { &*(*self.as_raw()).s_fs_info.cast::<Mount<T>>() };
        mount.data()
    }

    /// The options that it was mounted with.
    pub(crate) fn options(&self) -> &T::Options {
        // SAFETY: As in `data`.
        let mount = unsafe { &*(*self.as_raw()).s_fs_info.cast::<Mount<T>>() };
        mount.options()
    }

    /// The file that the filesystem lies on, if it is none on a device.
    pub(super) fn source_file(&self) -> Option<&OpenFile> {
        // SAFETY: As in `data`.
        let mount = unsafe { &*(*self.as_raw()).s_fs_info.cast::<Mount<T>>() };
        mount.source()
    }

    /// What the filesystem lies on.
    pub(crate) fn store(&self) -> Store {
        if let Some(file) = self.source_file() {
            return Store::File(file.backing());
        }
        // SAFETY: `self` is live.
        let bdev = unsafe { (*self.as_raw()).s_bdev };
        // SAFETY: `setup_bdev_super()` has opened the device; `kill_block_super()` closes it after `put_super`.
        Store::Block(unsafe { BlockDevice::from_raw(bdev) })
    }

    /// Opens another store of the kind that the filesystem lies on. The caller keeps it no longer than the mount.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `path` leads to another kind, else what opening it gives.
    pub(crate) fn open_store(&self, path: &CStr) -> Result<OpenStore> {
        if self.source_file().is_some() {
            return OpenFile::open(path)?.map(OpenStore::File).ok_or(EINVAL);
        }
        // SAFETY: By the caller; `kill_sb` drops what a mount keeps.
        match unsafe { ClaimedDevice::open(path, self.as_raw()) } {
            Err(e) if e == ENOTBLK => Err(EINVAL),
            opened => opened.map(OpenStore::Block),
        }
    }

    /// Sets the block size, in bytes, of the superblock and its device.
    pub(crate) fn set_block_size(&self, size: u32) -> Result {
        if self.source_file().is_some() {
            // SAFETY: Called while mounting only, by contract of `Mountable::fill`: nobody else uses it.
            unsafe { (*self.as_raw()).s_blocksize = size as c_ulong };
            // SAFETY: As above.
            unsafe { (*self.as_raw()).s_blocksize_bits = size.trailing_zeros() as u8 };
            return Ok(());
        }
        let size = c_int::try_from(size)?;
        // SAFETY: Called while mounting only, by contract of `Mountable::fill`.
        match unsafe { bindings::sb_set_blocksize(self.as_raw(), size) } {
            0 => Err(EINVAL),
            _ => Ok(()),
        }
    }

    /// Whether POSIX ACLs are shown and obeyed.
    pub(crate) fn has_acls(&self) -> bool {
        // SAFETY: `self` is live.
        let flags = unsafe { &raw const (*self.as_raw()).s_flags };
        // SAFETY: As above; a reconfiguration may write it meanwhile.
        unsafe { flags.read_volatile() & bindings::EROFS_C_SB_POSIXACL as usize != 0 }
    }

    /// Switches POSIX ACLs on or off. For mounting and reconfiguration, which have the superblock to themselves.
    pub(crate) fn set_acls(&self, on: bool) {
        const ACLS: usize = bindings::EROFS_C_SB_POSIXACL as usize;
        // SAFETY: `self` is live.
        let flags = unsafe { &raw mut (*self.as_raw()).s_flags };
        // SAFETY: As above.
        let old = unsafe { flags.read() };
        let new = match on {
            true => old | ACLS,
            false => old & !ACLS,
        };
        // SAFETY: The caller holds `s_umount`, so nobody else writes. Others may read meanwhile.
        unsafe { flags.write_volatile(new) };
    }

    /// Sets what statfs and ioctls show of the volume.
    pub(crate) fn set_identity(&self, magic: u32, uuid: &[u8; 16]) {
        // SAFETY: The superblock is being filled: nobody else uses it.
        unsafe { (*self.as_raw()).s_magic = magic as c_ulong };
        // SAFETY: As above; `uuid` has the 16 bytes that are read.
        unsafe { bindings::erofs_helper_super_set_uuid(self.as_raw(), uuid.as_ptr()) };
        // SAFETY: As above.
        unsafe { bindings::erofs_helper_super_set_sysfs_name(self.as_raw()) };
    }
}

/// What `statfs` shows besides the device.
pub(crate) struct Usage {
    /// Filesystem magic.
    pub(crate) magic: u32,
    /// Bytes in a block.
    pub(crate) block_size: u32,
    /// Blocks, all of them in use.
    pub(crate) blocks: u64,
    /// Inodes in use.
    pub(crate) inodes: u64,
    /// Longest name in bytes.
    pub(crate) name_len: u32,
}

/// Writes mount options as `/proc/mounts` shows them.
pub(crate) struct OptionWriter<'a>(&'a mut bindings::seq_file);

impl OptionWriter<'_> {
    /// Writes `text`, which starts with a comma.
    pub(crate) fn text(&mut self, text: &'static CStr) {
        // SAFETY: The sequence file is live, and `text` is NUL-terminated.
        unsafe { bindings::seq_printf(self.0, c"%s".as_char_ptr(), text.as_char_ptr()) };
    }

    /// Writes `,name=value`.
    pub(crate) fn number(&mut self, name: &'static CStr, value: u64) {
        // SAFETY: As for `text`; the arguments are what the format says.
        unsafe {
            bindings::seq_printf(self.0, c",%s=%llu".as_char_ptr(), name.as_char_ptr(), value)
        };
    }
}

/// `struct super_operations` of a mountable filesystem.
pub(crate) trait SuperOps: Mountable {
    /// Called for each redirected inode that leaves memory, before its data is dropped. May sleep.
    fn evict(inode: &Inode<Self>, redirected_to: ARef<Inode<Self::Shared>>);

    /// Called at unmount when all inodes are gone; afterwards nothing may use the device.
    fn put_super(sb: &SuperBlock<Self>);

    /// Called when a device of the filesystem has been removed, after inodes that nobody uses were evicted.
    fn removed(sb: &SuperBlock<Self>);

    /// What `statfs` shows.
    fn statfs(sb: &SuperBlock<Self>) -> Usage;

    /// Writes the options in effect.
    fn show_options(sb: &SuperBlock<Self>, out: &mut OptionWriter<'_>);

    /// The filesystem whose inodes this one's are redirected to.
    type Shared: FileSystem;
}

/// The table of callbacks.
pub(super) struct Table<T>(PhantomData<T>);

impl<T: SuperOps> Table<T> {
    pub(super) const OPS: &'static bindings::super_operations = &bindings::super_operations {
        alloc_inode: Some(InodeCache::<T>::alloc),
        free_inode: Some(InodeCache::<T>::free),
        evict_inode: Some(Self::evict_inode),
        put_super: Some(Self::put_super),
        shutdown: Some(Self::shutdown),
        statfs: Some(Self::statfs),
        show_options: Some(Self::show_options),
        ..pin_init::zeroed()
    };

    /// Called by `evict()` in fs/inode.c; also for inodes that failed before they were ready.
    ///
    /// # Safety
    ///
    /// `raw` must be an inode of `T` on its way out, as `super_operations.evict_inode` gets it.
    unsafe extern "C" fn evict_inode(raw: *mut bindings::inode) {
        // SAFETY: The VFS passes an inode of `T` that nobody else uses any more. Only a ready inode can be
        // redirected, and `evict` gets only such.
        let inode = unsafe { Inode::<T>::from_raw(raw) };
        // SAFETY: Inodes of `T` are redirected to those of `T::Shared` alone, and this one is on its way out.
        let shared = unsafe { inode.take_redirection::<T::Shared>() };
        if let Some(shared) = shared {
            T::evict(inode, shared);
        }
        // SAFETY: As above.
        unsafe { inode.end_dax() };
        // SAFETY: As above; `i_data` is the inode's own.
        unsafe { bindings::truncate_inode_pages_final(&raw mut (*raw).i_data) };
        // SAFETY: The pages are gone, which is what this expects.
        unsafe { bindings::clear_inode(raw) };
    }

    /// Called by `generic_shutdown_super()` once the inodes are evicted; not for a mount that failed early.
    ///
    /// # Safety
    ///
    /// `sb` must be a superblock of `T` without inodes, as `super_operations.put_super` gets it.
    unsafe extern "C" fn put_super(sb: *mut bindings::super_block) {
        // SAFETY: The VFS passes a superblock that `T` has filled.
        T::put_super(unsafe { SuperBlock::from_raw(sb) });
    }

    /// Called by `fs_bdev_mark_dead()`, with `s_umount` held.
    ///
    /// # Safety
    ///
    /// `sb` must be a mounted superblock of `T`, as `super_operations.shutdown` gets it.
    unsafe extern "C" fn shutdown(sb: *mut bindings::super_block) {
        // SAFETY: The VFS passes a superblock that `T` has filled.
        T::removed(unsafe { SuperBlock::from_raw(sb) });
    }

    /// Called by `statfs_by_dentry()`.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `super_operations.statfs`, for a mount of `T`.
    unsafe extern "C" fn statfs(
        dentry: *mut bindings::dentry,
        out: *mut bindings::kstatfs,
    ) -> c_int {
        // SAFETY: The VFS passes a dentry of a mounted filesystem.
        let sb = unsafe { (*dentry).d_sb };
        // SAFETY: As above: a superblock of `T`.
        let usage = T::statfs(unsafe { SuperBlock::from_raw(sb) });
        // SAFETY: `statfs_by_dentry()` passes a zeroed buffer that is ours.
        let out = unsafe { &mut *out };
        from_result(|| {
            out.f_type = usage.magic as c_long;
            out.f_bsize = usage.block_size as c_long;
            out.f_blocks = usage.blocks;
            out.f_files = u64::MAX;
            out.f_ffree = u64::MAX.wrapping_sub(usage.inodes);
            out.f_namelen = usage.name_len as c_long;
            // SAFETY: The superblock is live.
            unsafe { bindings::erofs_helper_statfs_fsid(sb, out) };
            Ok(0)
        })
    }

    /// Called by `show_sb_opts()` and its kin.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `super_operations.show_options`, for a mount of `T`.
    unsafe extern "C" fn show_options(
        seq: *mut bindings::seq_file,
        root: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY: The VFS passes a live dentry.
        let sb = unsafe { (*root).d_sb };
        // SAFETY: `show_sb_opts()` passes the root of a mounted filesystem.
        let sb = unsafe { SuperBlock::from_raw(sb) };
        // SAFETY: The sequence file is ours during the call.
        T::show_options(sb, &mut OptionWriter(unsafe { &mut *seq }));
        0
    }
}
