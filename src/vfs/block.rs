// SPDX-License-Identifier: GPL-2.0

//! Block devices that a mounted filesystem lies on.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use crate::bindings;
use crate::vfs::page_cache::Mapping;

/// An open block device.
///
/// # Invariants
///
/// The pointer is valid until the superblock that opened the device has run `put_super`. Whoever uses the value holds
/// an inode of that superblock or an [`inflight::Running`](crate::vfs::inflight::Running) of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockDevice(*mut bindings::block_device);

// SAFETY: The C functions used may be called from any thread.
unsafe impl Send for BlockDevice {}
// SAFETY: As above.
unsafe impl Sync for BlockDevice {}

impl BlockDevice {
    /// # Safety
    ///
    /// `ptr` must be the device of a superblock, used as the type's invariants say.
    pub(super) unsafe fn from_raw(ptr: *mut bindings::block_device) -> Self {
        // INVARIANT: By the contract.
        Self(ptr)
    }

    pub(super) fn as_raw(self) -> *mut bindings::block_device {
        self.0
    }

    /// The device's page cache.
    pub(crate) fn mapping(&self) -> &Mapping {
        // SAFETY: Valid by the type invariant.
        let mapping = unsafe { (*self.0).bd_mapping };
        // SAFETY: Valid by the type invariant; the mapping lives as long as the device is open.
        unsafe { Mapping::from_raw(mapping) }
    }

    /// Size in bytes.
    pub(crate) fn len(self) -> u64 {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::erofs_helper_bdev_bytes(self.0) }
    }

    /// What memory addresses of direct I/O must be a multiple of, in bytes.
    pub(crate) fn dma_align(self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::erofs_helper_dma_align(self.0) }.saturating_add(1)
    }

    /// What offsets of direct I/O must be a multiple of, in bytes.
    pub(crate) fn logical_block_size(self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::erofs_helper_logical_block_size(self.0) }
    }
}
