// SPDX-License-Identifier: GPL-2.0

//! An inode whose content is read by the filesystem itself.

use super::{
    FileSystem,
    Inode, //
};
use crate::bindings;
use crate::vfs::page_cache::Mapping;
use core::ptr::NonNull;
use kernel::sync::{
    aref::ARef,
    atomic::{
        AtomicFlag,
        Full, //
    }, //
};

/// A reference on an inode, to be given up before its superblock goes.
///
/// # Invariants
///
/// The inode is live until [`Self::release`]. Whoever uses the value holds another inode of the superblock or an
/// [`inflight::Running`](crate::vfs::inflight::Running) of it, and it is released when there are none any more.
pub(crate) struct Held {
    inode: NonNull<bindings::inode>,
    released: AtomicFlag,
}

// SAFETY: References may be given up on any thread.
unsafe impl Send for Held {}
// SAFETY: C code locks what it changes.
unsafe impl Sync for Held {}

impl Held {
    /// Takes over the reference.
    pub(crate) fn new<T: FileSystem>(inode: ARef<Inode<T>>) -> Self {
        Self {
            inode: ARef::into_raw(inode).cast(),
            released: AtomicFlag::new(false),
        }
    }

    /// Its pages.
    pub(crate) fn mapping(&self) -> &Mapping {
        // SAFETY: Live by the type invariant.
        let mapping = unsafe { &raw mut (*self.inode.as_ptr()).i_data };
        // SAFETY: It lives as long as the inode.
        unsafe { Mapping::from_raw(mapping) }
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        // SAFETY: Live by the type invariant; the size of a ready inode does not change.
        unsafe { (*self.inode.as_ptr()).i_size }.unsigned_abs()
    }

    /// Gives the reference up. The second call has no effect.
    pub(crate) fn release(&self) {
        if !self.released.xchg(true, Full) {
            // SAFETY: From `ARef::into_raw`, and given up once.
            unsafe { bindings::iput(self.inode.as_ptr()) };
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}
