// SPDX-License-Identifier: GPL-2.0

//! Regular files that a mounted filesystem lies on.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/namei.h`](srctree/include/linux/namei.h)

use crate::bindings;
use crate::vfs::page_cache::{
    Mapping,
    Pages, //
};
use core::ptr::NonNull;
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*, //
};

/// An open file; closed when dropped.
///
/// # Invariants
///
/// A reference on the file is held.
pub(crate) struct OpenFile(NonNull<bindings::file>);

// SAFETY: The C functions used may be called from any thread.
unsafe impl Send for OpenFile {}
// SAFETY: As above.
unsafe impl Sync for OpenFile {}

impl OpenFile {
    /// Opens the regular file at `path` for reading; `None` if that is something else, which is not opened.
    pub(crate) fn open(path: &CStr) -> Result<Option<Self>> {
        let mut at: bindings::path = pin_init::zeroed();
        // SAFETY: `path` is NUL-terminated; `at` is ours.
        to_result(unsafe {
            bindings::kern_path(path.as_char_ptr(), bindings::EROFS_C_LOOKUP_FOLLOW, &mut at)
        })?;
        // SAFETY: `kern_path()` has set the path, and found something.
        let regular = unsafe { bindings::erofs_helper_path_is_regular(&at) };
        let file = match regular {
            // What was found is opened, whatever its name leads to by now.
            // SAFETY: The path is held; the name is empty.
            true => Some(unsafe {
                bindings::file_open_root(
                    &at,
                    c"".as_char_ptr(),
                    bindings::EROFS_C_O_LARGEFILE as c_int,
                    0,
                )
            }),
            false => None,
        };
        // SAFETY: Gives up what `kern_path()` took.
        unsafe { bindings::path_put(&at) };
        let Some(file) = file else {
            return Ok(None);
        };
        let file = NonNull::new(from_err_ptr(file)?).ok_or(EINVAL)?;
        // INVARIANT: Just opened.
        Ok(Some(Self(file)))
    }

    /// # Safety
    ///
    /// `file` must be an open file; a reference on it is passed on.
    pub(super) unsafe fn from_raw(file: NonNull<bindings::file>) -> Self {
        // INVARIANT: By the contract.
        Self(file)
    }

    /// The file as it is used.
    pub(crate) fn backing(&self) -> BackingFile {
        BackingFile {
            file: self.0,
            // SAFETY: The file is open.
            can_direct: unsafe { bindings::erofs_helper_file_can_direct(self.0.as_ptr()) },
            direct: false,
        }
    }

    /// Whether it is a regular file that may be read, and whose metadata can be read through its page cache.
    pub(crate) fn is_source(&self) -> bool {
        // SAFETY: The file is open.
        unsafe { bindings::erofs_helper_file_is_source(self.0.as_ptr()) }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::file {
        self.0.as_ptr()
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        // SAFETY: Gives up the reference.
        unsafe { bindings::fput(self.0.as_ptr()) };
    }
}

/// How the bytes of a file are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From the page cache, if they are there: a file that was just written.
    Present,
    /// Past the page cache. Not if the file's storage has larger blocks than the image.
    Direct,
    /// Through the page cache.
    Cached,
}

/// A file that is open.
///
/// # Invariants
///
/// The pointer is valid until the superblock that opened the file is killed. Whoever uses the value holds an inode of that
/// superblock or an [`inflight::Running`](crate::vfs::inflight::Running) of it.
#[derive(Clone, Copy)]
pub(crate) struct BackingFile {
    file: NonNull<bindings::file>,
    /// Whether it can be read past its page cache.
    can_direct: bool,
    /// Whether it always is.
    direct: bool,
}

// SAFETY: The C functions used may be called from any thread.
unsafe impl Send for BackingFile {}
// SAFETY: As above.
unsafe impl Sync for BackingFile {}

impl BackingFile {
    /// The file's page cache.
    pub(crate) fn pages(&self) -> Pages<'_> {
        // SAFETY: Valid by the type invariant.
        let mapping = unsafe { (*self.file.as_ptr()).f_mapping };
        // SAFETY: The mapping lives as long as the file is open.
        let mapping = unsafe { Mapping::from_raw(mapping) };
        // SAFETY: The mapping is the file's, which stays open for as long.
        unsafe { Pages::of_file(mapping, self.file.as_ptr()) }
    }

    /// Size in bytes, which may change at any time.
    pub(crate) fn len(self) -> u64 {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::erofs_helper_file_size(self.file.as_ptr()) }.unsigned_abs()
    }

    /// The same file; with `direct`, always read past its page cache if that can be done.
    pub(crate) fn direct(self, direct: bool) -> Self {
        Self { direct, ..self }
    }

    /// The ways to read `len` bytes at `addr`, the best first: the next is tried where one cannot serve.
    pub(super) fn ways(self, addr: u64, len: usize) -> &'static [Way] {
        /// What is shorter is read together with what follows, for the next reader of a small file.
        const LARGE: usize = 16 << 10;
        if !self.can_direct || !self.direct && len < LARGE {
            return &[Way::Cached];
        }
        // SAFETY: Valid by the type invariant.
        let cached =
            unsafe { bindings::erofs_helper_file_is_cached(self.file.as_ptr(), addr as i64) };
        match cached && !self.direct {
            true => &[Way::Present, Way::Direct, Way::Cached],
            false => &[Way::Direct, Way::Cached],
        }
    }

    /// A reference of its own.
    pub(super) fn hold(self) -> OpenFile {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::erofs_helper_get_file(self.file.as_ptr()) };
        // INVARIANT: Just taken.
        OpenFile(self.file)
    }
}
