// SPDX-License-Identifier: GPL-2.0

//! `struct file_operations` of directories.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::bindings;
use crate::vfs::{
    file,
    inode::Inode,
    page_cache::Pages,
    PAGE_SHIFT,
    PAGE_SIZE, //
};
use core::marker::PhantomData;
use kernel::{
    error::from_result,
    prelude::*, //
};

/// Takes a directory's entries, from a position on.
pub(crate) struct DirEmitter<'a> {
    ctx: &'a mut bindings::dir_context,
    file: *mut bindings::file,
}

impl DirEmitter<'_> {
    /// Where the next entry is to be found, as an opaque but stable cookie. Never negative.
    pub(crate) fn pos(&self) -> u64 {
        self.ctx.pos.unsigned_abs()
    }

    /// Moves on; positions beyond `i64::MAX` do not exist.
    pub(crate) fn set_pos(&mut self, pos: u64) -> Result {
        self.ctx.pos = i64::try_from(pos)?;
        Ok(())
    }

    /// Hands out an entry of on-disk type `file_type`. `false` when the reader's buffer is full.
    pub(crate) fn emit(&mut self, name: &[u8], ino: u64, file_type: u8) -> bool {
        let Ok(len) = c_int::try_from(name.len()) else {
            return false;
        };
        // SAFETY: The context is live, and `name` has `len` bytes. The type is an `FT_*` number; unknown ones
        // are `DT_UNKNOWN`.
        unsafe {
            bindings::erofs_helper_dir_emit(self.ctx, name.as_ptr().cast(), len, ino, file_type)
        }
    }

    /// Starts reading `pages` from byte `pos` on, `len` bytes, on behalf of this reader.
    pub(crate) fn read_ahead(&mut self, pages: Pages<'_>, pos: u64, len: u64) {
        let first = pos >> PAGE_SHIFT;
        let count = pos
            .saturating_add(len)
            .div_ceil(PAGE_SIZE as u64)
            .saturating_sub(first);
        // A single page is read when it is needed.
        if let (Ok(first), Ok(count @ 2..)) = (usize::try_from(first), usize::try_from(count)) {
            // SAFETY: The directory is open.
            let state = unsafe { bindings::erofs_helper_file_ra(self.file) };
            // SAFETY: Its position is locked, so its readahead state is ours.
            let state = unsafe { &mut *state };
            pages.read_ahead(state, first, count);
        }
    }

    /// Whether the reader is about to be killed.
    pub(crate) fn interrupted(&self) -> bool {
        // SAFETY: Looks at the current task.
        unsafe { bindings::erofs_helper_fatal_signal_pending() }
    }

    /// Lets others run.
    pub(crate) fn yield_now(&self) {
        // SAFETY: May sleep here: `iterate_dir()` holds no spinlock.
        unsafe { bindings::erofs_helper_cond_resched() };
    }
}

/// Directories.
pub(crate) trait DirOps: file::FileOps {
    /// Emits the entries from `out`'s position on, and moves it.
    fn iterate(dir: &Inode<Self>, out: &mut DirEmitter<'_>) -> Result;
}

/// The table of callbacks.
pub(super) struct Table<T>(PhantomData<T>);

impl<T: DirOps> Table<T> {
    pub(super) const OPS: &'static bindings::file_operations = &bindings::file_operations {
        llseek: Some(bindings::generic_file_llseek),
        read: Some(bindings::generic_read_dir),
        iterate_shared: Some(Self::iterate),
        unlocked_ioctl: Some(file::ioctl::<T>),
        compat_ioctl: Some(file::ioctl::<T>),
        setlease: Some(bindings::generic_setlease),
        ..pin_init::zeroed()
    };

    /// Called by `iterate_dir()`, with the directory locked shared.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `file_operations.iterate_shared`, for a directory of `T`.
    unsafe extern "C" fn iterate(
        file: *mut bindings::file,
        ctx: *mut bindings::dir_context,
    ) -> c_int {
        // SAFETY: The VFS passes an open file.
        let inode = unsafe { (*file).f_inode };
        // SAFETY: An open file holds a ready inode of `T`.
        let dir = unsafe { Inode::<T>::from_raw(inode) };
        // SAFETY: The context is ours during the call.
        let ctx = unsafe { &mut *ctx };
        from_result(|| T::iterate(dir, &mut DirEmitter { ctx, file }).map(|()| 0))
    }
}
