// SPDX-License-Identifier: GPL-2.0

//! Internal filesystems: superblocks that nobody can mount, for inodes that own shared pages.
//!
//! C header: [`include/linux/pseudo_fs.h`](srctree/include/linux/pseudo_fs.h)

use crate::bindings;
use crate::vfs::{
    bdi::Bdi,
    inode::{
        FileSystem,
        Inode,
        InodeCache, //
    },
    super_block::SuperBlock, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::{
        from_err_ptr,
        from_result,
        to_result, //
    },
    prelude::*,
    types::Opaque, //
};

/// A filesystem with internal superblocks.
pub(crate) trait Internal: FileSystem {
    /// Its type, a static.
    fn fs_type() -> &'static Type<Self>;
}

/// The type of an internal filesystem; empty until [`Type::set_up`].
pub(crate) struct Type<T> {
    inner: Opaque<bindings::file_system_type>,
    _fs: PhantomData<fn() -> T>,
}

// SAFETY: Written only by `set_up`, before there are superblocks; then C code locks what it changes.
unsafe impl<T> Sync for Type<T> {}

impl<T: Internal> Type<T> {
    /// An empty type, for a static.
    pub(crate) const fn new() -> Self {
        Self {
            inner: Opaque::zeroed(),
            _fs: PhantomData,
        }
    }

    const OPS: &'static bindings::super_operations = &bindings::super_operations {
        alloc_inode: Some(InodeCache::<T>::alloc),
        free_inode: Some(InodeCache::<T>::free),
        ..pin_init::zeroed()
    };

    /// Names the type and its module. Called once, before the first [`Instance`].
    pub(crate) fn set_up(&self, name: &'static CStr, module: &'static ThisModule) {
        let fs_type = bindings::file_system_type {
            name: name.as_char_ptr(),
            init_fs_context: Some(Self::init),
            kill_sb: Some(bindings::kill_anon_super),
            owner: module.as_ptr().cast(),
            ..pin_init::zeroed()
        };
        // SAFETY: Nobody uses the type yet.
        unsafe { self.inner.get().write(fs_type) };
    }

    /// Called by `fs_context_for_mount()`.
    ///
    /// # Safety
    ///
    /// `fc` must be a new context, as `file_system_type.init_fs_context` gets it.
    unsafe extern "C" fn init(fc: *mut bindings::fs_context) -> c_int {
        from_result(|| {
            // SAFETY: The context is ours while it is set up.
            let ctx = unsafe { bindings::init_pseudo(fc, 0xE0F5_E1E2) };
            let ctx = NonNull::new(ctx).ok_or(ENOMEM)?;
            // SAFETY: Ours, as it was just made.
            unsafe { (*ctx.as_ptr()).ops = Self::OPS };
            Ok(0)
        })
    }
}

/// An inode number that no other internal inode has.
pub(crate) fn next_ino() -> u64 {
    // SAFETY: Counts.
    u64::from(unsafe { bindings::get_next_ino() })
}

/// One internal superblock. Dropped, it takes all its inodes and their pages with it.
pub(crate) struct Instance<T> {
    /// A reference on the root, and with it one on the active superblock.
    root: NonNull<bindings::dentry>,
    _fs: PhantomData<fn() -> T>,
}

// SAFETY: The references may be given up on any thread.
unsafe impl<T> Send for Instance<T> {}
// SAFETY: Only `super_block` takes `&self`.
unsafe impl<T> Sync for Instance<T> {}

impl<T: Internal> Instance<T> {
    /// Makes a superblock whose mappings read ahead as `bdi` says.
    pub(crate) fn new(bdi: &Bdi) -> Result<Self> {
        // SAFETY: The type is set up, and a static.
        let fc = from_err_ptr(unsafe {
            bindings::fs_context_for_mount(T::fs_type().inner.get(), bindings::EROFS_C_SB_KERNMOUNT)
        })?;
        // SAFETY: The context is ours.
        let made = to_result(unsafe { bindings::vfs_get_tree(fc) });
        // SAFETY: As above.
        let root = NonNull::new(unsafe { (*fc).root });
        let instance = match (made, root) {
            (Ok(()), Some(root)) => {
                // SAFETY: The superblock is locked and new.
                unsafe { bindings::erofs_helper_super_start((*root.as_ptr()).d_sb, bdi.as_raw()) };
                // The references move from the context to us.
                // SAFETY: The context is ours.
                unsafe { (*fc).root = core::ptr::null_mut() };
                Ok(Self {
                    root,
                    _fs: PhantomData,
                })
            }
            (Err(e), _) => Err(e),
            (Ok(()), None) => Err(ENOMEM),
        };
        // SAFETY: Gives the context up.
        unsafe { bindings::put_fs_context(fc) };
        instance
    }

    /// The superblock.
    pub(crate) fn super_block(&self) -> &SuperBlock<T> {
        // SAFETY: We hold the root.
        let sb = unsafe { (*self.root.as_ptr()).d_sb };
        // SAFETY: Held by our reference.
        unsafe { SuperBlock::from_raw(sb) }
    }
}

impl<T> Drop for Instance<T> {
    fn drop(&mut self) {
        // SAFETY: Held by our reference.
        let sb = unsafe { (*self.root.as_ptr()).d_sb };
        // SAFETY: Gives up our reference on the root ...
        unsafe { bindings::dput(self.root.as_ptr()) };
        // SAFETY: ... and on the superblock, which has no users left. May sleep: mounts are dropped in process context.
        unsafe { bindings::deactivate_super(sb) };
    }
}

impl<T: Internal> SuperBlock<T> {
    /// Calls `f` with each regular file in memory, and the number of its pages. Spinlocks are held meanwhile.
    pub(crate) fn for_each_file<F: FnMut(&Inode<T>, u64)>(&self, mut f: F) {
        /// Calls the closure `f` with one file.
        ///
        /// # Safety
        ///
        /// `inode` must be a ready inode of `T`, locked, and `f` a pointer to the closure.
        unsafe extern "C" fn call<T: Internal, F: FnMut(&Inode<T>, u64)>(
            inode: *mut bindings::inode,
            f: *mut c_void,
        ) {
            // SAFETY: `for_each_file` passes its closure, which outlives the walk.
            let f = unsafe { &mut *f.cast::<F>() };
            // SAFETY: The helper holds the inode's lock.
            let mapping = unsafe { (*inode).i_mapping };
            // SAFETY: As above.
            let pages = unsafe { (*mapping).nrpages } as u64;
            // SAFETY: The helper passes ready inodes of this superblock only.
            f(unsafe { Inode::from_raw(inode) }, pages);
        }
        // SAFETY: `self` is live, and `call` accepts a pointer to `f`.
        unsafe {
            bindings::erofs_helper_for_each_file(
                self.as_raw(),
                Some(call::<T, F>),
                (&raw mut f).cast(),
            )
        };
    }
}
