// SPDX-License-Identifier: GPL-2.0

//! Block devices that a mounted filesystem lies on.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use crate::bindings;
use crate::vfs::page_cache::Mapping;
use core::ptr::NonNull;
use kernel::{
    error::from_err_ptr,
    prelude::*, //
};

/// An open block device.
///
/// # Invariants
///
/// The pointer is valid until the superblock that opened the device is killed. Whoever uses the value holds
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

/// A block device that a superblock has opened besides its own; closed when dropped, at the latest by `kill_sb`.
pub(crate) struct ClaimedDevice {
    file: NonNull<bindings::file>,
    sb: *mut bindings::super_block,
}

// SAFETY: The C functions used may be called from any thread.
unsafe impl Send for ClaimedDevice {}
// SAFETY: As above.
unsafe impl Sync for ClaimedDevice {}

impl ClaimedDevice {
    /// Opens the device at `path` for `sb`, together with other superblocks of its type.
    ///
    /// # Errors
    ///
    /// `ENOTBLK` if it is no block device, `EBUSY` if others use it alone.
    ///
    /// # Safety
    ///
    /// The value must be gone before `sb` is.
    pub(super) unsafe fn open(path: &CStr, sb: *mut bindings::super_block) -> Result<Self> {
        // SAFETY: By the contract.
        let holder = unsafe { (*sb).s_type };
        // SAFETY: The path is NUL-terminated, the others live as long as the device is open.
        let file = from_err_ptr(unsafe {
            bindings::fs_bdev_file_open_by_path(
                path.as_char_ptr(),
                bindings::EROFS_C_BLK_OPEN_READ,
                holder.cast(),
                sb,
            )
        })?;
        let file = NonNull::new(file).ok_or(ENXIO)?;
        Ok(Self { file, sb })
    }

    /// The device, as long as `self` is there.
    pub(crate) fn device(&self) -> BlockDevice {
        // SAFETY: The file is an open block device.
        let device = unsafe { bindings::file_bdev(self.file.as_ptr()) };
        // SAFETY: Open until the superblock is killed.
        unsafe { BlockDevice::from_raw(device) }
    }
}

impl Drop for ClaimedDevice {
    fn drop(&mut self) {
        // SAFETY: Opened for this superblock, and released once.
        unsafe { bindings::fs_bdev_file_release(self.file.as_ptr(), self.sb) };
    }
}
