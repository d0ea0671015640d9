// SPDX-License-Identifier: GPL-2.0

//! `FS_IOC_FIEMAP`: where a file's extents are.
//!
//! iomap tells it of files that are stored as they are. Of others it would say the same, which is not true: what is at
//! the place it names are not the file's bytes. So they are reported here, as encoded.
//!
//! C header: [`include/linux/fiemap.h`](srctree/include/linux/fiemap.h)

use crate::bindings;
use crate::vfs::{
    inode::Inode,
    inode_ops::InodeOps,
    iomap::{
        self,
        Extents,
        FileMap,
        Place,
        Purpose, //
    }, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

/// `inode_operations.fiemap`.
///
/// # Safety
///
/// The arguments must be those of `inode_operations.fiemap`, for an inode of `T`.
pub(super) unsafe extern "C" fn fiemap<T: FileMap + InodeOps>(
    inode: *mut bindings::inode,
    info: *mut bindings::fiemap_extent_info,
    start: u64,
    len: u64,
) -> c_int {
    // SAFETY: The VFS passes a ready inode of `T`.
    let file = unsafe { Inode::<T>::from_raw(inode) };
    if !T::is_compressed(file) {
        // SAFETY: The other arguments are the caller's own.
        return unsafe { iomap::fiemap(file, info, start, len) };
    }
    let mut len = len;
    from_result(|| {
        // SAFETY: All is the caller's own; takes no more flags than it knows itself.
        to_result(unsafe { bindings::fiemap_prep(inode, info, start, &mut len, 0) })?;
        // SAFETY: The caller's own.
        let info = unsafe { &mut *info };
        encoded(&T::source(file), info, start, start.saturating_add(len)).map(|()| 0)
    })
}

/// Reports the extents of `source` from `pos` to `end`.
fn encoded(
    source: &impl Extents,
    info: &mut bindings::fiemap_extent_info,
    mut pos: u64,
    end: u64,
) -> Result {
    let size = source.size();
    let end = end.min(size);
    while pos < end {
        // SAFETY: Looks at the current task.
        if unsafe { bindings::erofs_helper_fatal_signal_pending() } {
            return Err(EINTR);
        }
        let extent = source.extent(pos, end.saturating_sub(pos), Purpose::Report)?;
        let next = extent.pos.saturating_add(extent.len);
        if next <= pos {
            return Err(EFSCORRUPTED);
        }
        if let Place::Gathered(place) = extent.place {
            let mut flags = bindings::FIEMAP_EXTENT_ENCODED;
            if place.is_none() {
                flags |= bindings::FIEMAP_EXTENT_UNKNOWN;
            }
            if next >= size {
                flags |= bindings::FIEMAP_EXTENT_LAST;
            }
            let place = place.unwrap_or(0);
            // SAFETY: Writes to the buffer that `info` has from user space, as far as there is room.
            let full = unsafe {
                bindings::fiemap_fill_next_extent(info, extent.pos, place, extent.len, flags)
            };
            match full {
                0 => {}
                1 => return Ok(()),
                e => return Err(Error::from_errno(e)),
            }
        }
        pos = next;
        // SAFETY: May sleep here: the ioctl holds no spinlock.
        unsafe { bindings::erofs_helper_cond_resched() };
    }
    Ok(())
}
