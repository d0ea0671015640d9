// SPDX-License-Identifier: GPL-2.0

//! Reading bytes through a page cache.
//!
//! The memory behind is the disk's: root, the device or a hypervisor may change it at any time. So no reference to
//! it exists. Bytes are copied out, each once: short runs by volatile loads, longer ones by the C `memcpy`, which is
//! the compromise that `rust/kernel/io.rs` explains.
//!
//! C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)

use crate::bindings;
use crate::vfs::{
    PAGE_SHIFT,
    PAGE_SIZE, //
};
use core::ptr::{
    null_mut,
    NonNull, //
};
use kernel::{
    error::from_err_ptr,
    prelude::*,
    types::Opaque, //
};

/// Pages that are brought together, if one of a backing file's metadata is missing: around inodes there are mostly inodes.
/// Farther on there is file data, which needs no pages of the backing file.
const NEAR_PAGES: usize = 8;

/// A `struct address_space`.
#[repr(transparent)]
pub(crate) struct Mapping(Opaque<bindings::address_space>);

impl Mapping {
    /// # Safety
    ///
    /// `ptr` must be a mapping that stays alive for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::address_space) -> &'a Self {
        // SAFETY: By the contract; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::address_space {
        self.0.get()
    }

    /// Bytes in what it caches. A file may grow or shrink, and a disk go.
    #[inline]
    fn size(&self) -> u64 {
        // SAFETY: The mapping is live.
        let host = unsafe { (*self.as_raw()).host };
        // SAFETY: A mapping lives in its host, or is held by it.
        let size = unsafe { &raw const (*host).i_size };
        // SAFETY: As above; others may write it meanwhile, as a whole.
        unsafe { size.read_volatile() }.unsigned_abs()
    }
}

/// A page cache, and on whose behalf it is read.
#[derive(Clone, Copy)]
pub(crate) struct Pages<'a> {
    mapping: &'a Mapping,
    /// The open file that it belongs to, if any: filesystems may want to know it.
    file: *mut bindings::file,
}

impl<'a> From<&'a Mapping> for Pages<'a> {
    #[inline]
    fn from(mapping: &'a Mapping) -> Self {
        Self {
            mapping,
            file: null_mut(),
        }
    }
}

impl<'a> Pages<'a> {
    /// # Safety
    ///
    /// `file` must be open for `'a`, with `mapping` as its pages.
    pub(super) unsafe fn of_file(mapping: &'a Mapping, file: *mut bindings::file) -> Self {
        Self { mapping, file }
    }

    /// Starts reading `count` pages from page `first` on, as `state` has it.
    pub(super) fn read_ahead(
        self,
        state: &mut bindings::file_ra_state,
        first: usize,
        count: usize,
    ) {
        // SAFETY: The mapping is live, and the file open.
        unsafe {
            bindings::erofs_helper_read_ahead(self.mapping.as_raw(), self.file, state, first, count)
        };
    }

    /// Reads page `index`, waiting for I/O.
    #[inline]
    fn page(self, index: u64) -> Result<HeldPage> {
        let page = match self.file.is_null() {
            true => self.read(index)?,
            false => self.page_of_file(index)?,
        };
        // A disk that was removed has no bytes, but its page cache gives zeros.
        match index < self.mapping.size().div_ceil(PAGE_SIZE as u64) {
            true => Ok(page),
            false => Err(EIO),
        }
    }

    /// [`Self::page`] of a backing file, which brings those near it as well.
    #[inline(never)]
    fn page_of_file(self, index: u64) -> Result<HeldPage> {
        let mapping = self.mapping.as_raw();
        let mut folio = null_mut();
        // SAFETY: The mapping is live; `folio` is ours.
        let addr = unsafe { bindings::erofs_helper_find_page(mapping, index as usize, &mut folio) };
        if let (Some(folio), Some(addr)) = (NonNull::new(folio), NonNull::new(addr.cast())) {
            // INVARIANT: The folio contains the page, and the helper took a reference on it.
            return Ok(HeldPage { folio, addr });
        }
        // SAFETY: The mapping is live.
        if !folio.is_null() && !unsafe { bindings::erofs_helper_is_shmem(mapping) } {
            let mut state = bindings::file_ra_state {
                ra_pages: NEAR_PAGES as u32,
                ..pin_init::zeroed()
            };
            let first = index as usize;
            self.read_ahead(&mut state, first, NEAR_PAGES - first % NEAR_PAGES);
        }
        self.read(index)
    }

    /// Reads page `index` alone.
    #[inline]
    fn read(self, index: u64) -> Result<HeldPage> {
        let mut folio = null_mut();
        // SAFETY: The mapping is live, and the file open; `folio` is ours.
        let addr = unsafe {
            bindings::erofs_helper_read_page(
                self.mapping.as_raw(),
                self.file,
                index as usize,
                &mut folio,
            )
        };
        match (NonNull::new(folio), NonNull::new(addr.cast())) {
            // INVARIANT: The folio contains the page, and the helper took a reference on it.
            (Some(folio), Some(addr)) => Ok(HeldPage { folio, addr }),
            _ => Err(from_err_ptr(folio).err().unwrap_or(EIO)),
        }
    }

    /// Reads the `len` bytes at `pos`, which must lie in one page, waiting for I/O.
    ///
    /// # Errors
    ///
    /// `EIO` if they do not, else what reading the page gave.
    #[inline]
    pub(crate) fn view(self, pos: u64, len: u32) -> Result<View> {
        let offset = pos as usize % PAGE_SIZE;
        if len as usize > PAGE_SIZE - offset {
            return Err(EIO);
        }
        let page = self.page(pos >> PAGE_SHIFT)?;
        // SAFETY: `offset` is below the page's size.
        let addr = unsafe { page.addr.add(offset) };
        // INVARIANT: Checked above.
        Ok(View { page, addr, len })
    }
}

/// Copies bytes that may change meanwhile: this gives stale or torn ones, which every user of the copy expects.
///
/// # Safety
///
/// `from` must be readable for the length of `to`.
#[inline(always)]
unsafe fn copy_racy(from: *const u8, to: &mut [u8]) {
    /// What a call costs more than.
    const SHORT: usize = 64;
    if to.len() > SHORT {
        // SAFETY: Readable by the contract; `to` is ours.
        unsafe { bindings::memcpy(to.as_mut_ptr().cast(), from.cast(), to.len()) };
        return;
    }
    // Each byte is read once, in as few loads as there can be: the size is mostly known when compiling.
    let mut at = 0;
    macro_rules! copy {
        ($word:ty, $repeat:tt) => {
            $repeat to.len() - at >= size_of::<$word>() {
                #[repr(C, packed)]
                struct Unaligned($word);
                // SAFETY: `at` is below the length, for which `from` is readable by the contract.
                let word = unsafe { from.add(at) }.cast::<Unaligned>();
                // SAFETY: As above, for as many bytes as the word has.
                let word = unsafe { word.read_volatile() }.0;
                // SAFETY: `at` is below the length.
                let here = unsafe { to.as_mut_ptr().add(at) }.cast::<Unaligned>();
                // SAFETY: As above, for as many bytes as the word has; `to` is ours.
                unsafe { here.write(Unaligned(word)) };
                #[allow(unused_assignments, reason = "the last word")]
                {
                    at += size_of::<$word>();
                }
            }
        };
    }
    copy!(u64, while);
    copy!(u32, if);
    copy!(u16, if);
    copy!(u8, if);
}

/// A page of a page cache, held. There is no high memory, so it has an address as it is.
///
/// # Invariants
///
/// `addr` is the start of [`PAGE_SIZE`] readable bytes of `folio`, on which a reference is held.
pub(crate) struct HeldPage {
    folio: NonNull<bindings::folio>,
    addr: NonNull<u8>,
}

impl HeldPage {
    /// The address of byte `offset` of the page, for C code that copies from it while `self` lives.
    pub(super) fn addr(&self, offset: usize) -> Option<*mut c_void> {
        if offset >= PAGE_SIZE {
            return None;
        }
        // SAFETY: Checked above.
        Some(unsafe { self.addr.as_ptr().add(offset) }.cast())
    }
}

impl Drop for HeldPage {
    fn drop(&mut self) {
        // SAFETY: Gives up the reference that `Pages::page` took.
        unsafe { bindings::erofs_helper_folio_put(self.folio.as_ptr()) };
    }
}

/// Bytes of a page cache, held: they stay readable, though their values may change.
///
/// # Invariants
///
/// `len` bytes are readable at `addr`; all are in `page`.
pub(crate) struct View {
    page: HeldPage,
    addr: NonNull<u8>,
    len: u32,
}

impl View {
    /// Copies out the bytes from `at` on, if all of them are there.
    #[inline(always)]
    fn read(&self, at: u64, to: &mut [u8]) -> bool {
        let len = u64::from(self.len);
        if at >= len || len - at < to.len() as u64 {
            return false;
        }
        // SAFETY: `at` is below `len`.
        let from = unsafe { self.addr.as_ptr().add(at as usize) };
        // SAFETY: Readable by the type invariant, as there are as many bytes left.
        unsafe { copy_racy(from, to) };
        true
    }

    /// How many there are.
    #[inline(always)]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// The `N` bytes from `at` on; `None` if not all of them are there.
    #[inline(always)]
    pub(crate) fn array<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        if at > self.len.checked_sub(N as u32)? {
            return None;
        }
        let mut bytes = [0; N];
        // SAFETY: `at` is at most `len`.
        let from = unsafe { self.addr.as_ptr().add(at as usize) };
        // SAFETY: Readable by the type invariant, as there are at least `N` bytes left.
        unsafe { copy_racy(from, &mut bytes) };
        Some(bytes)
    }
}

/// A run of bytes of a mapping, read at positions of the caller's choice, with the last page kept at hand.
pub(crate) struct Window<'a> {
    pages: Pages<'a>,
    /// Where the run lies in the mapping.
    base: u64,
    /// Its length.
    len: u64,
    /// What of the run is in the page at hand.
    view: Option<View>,
    /// The position of its first byte.
    start: u64,
}

impl<'a> Window<'a> {
    /// The `len` bytes from `base` of the mapping on.
    #[inline]
    pub(crate) fn new(pages: Pages<'a>, base: u64, len: u64) -> Self {
        Self {
            pages,
            base,
            len,
            view: None,
            start: 0,
        }
    }

    /// Whether byte `pos` is in the run.
    pub(crate) fn has(&self, pos: u64) -> bool {
        pos < self.len
    }

    /// Copies out the bytes at `pos`, if they are in the page at hand.
    #[inline(always)]
    fn peek(&self, pos: u64, to: &mut [u8]) -> bool {
        match &self.view {
            Some(view) => view.read(pos.wrapping_sub(self.start), to),
            None => false,
        }
    }

    /// Copies out the bytes at `pos`.
    ///
    /// # Errors
    ///
    /// `EIO` outside the run, else what reading the page gave.
    #[inline(always)]
    pub(crate) fn read(&mut self, pos: u64, to: &mut [u8]) -> Result {
        // Most reads are in the page that the last one was in.
        if self.peek(pos, to) {
            return Ok(());
        }
        self.turn(pos)?;
        if self.peek(pos, to) {
            return Ok(());
        }
        self.read_across(pos, to)
    }

    /// Reads at `pos`, from more than one page.
    #[inline(never)]
    fn read_across(&mut self, mut pos: u64, mut to: &mut [u8]) -> Result {
        while !to.is_empty() {
            let here = usize::try_from(self.turn(pos)?)?.min(to.len());
            let (now, later) = to.split_at_mut(here);
            if !self.peek(pos, now) {
                return Err(EIO);
            }
            pos = pos.checked_add(here as u64).ok_or(EIO)?;
            to = later;
        }
        Ok(())
    }

    /// Gives up the window for the page that holds byte `pos`, and the offset of that byte in it.
    pub(crate) fn into_page(mut self, pos: u64) -> Result<(HeldPage, usize)> {
        self.turn(pos)?;
        let offset = self.base.wrapping_add(pos) as usize % PAGE_SIZE;
        self.view.map(|view| (view.page, offset)).ok_or(EIO)
    }

    /// Turns to the page that holds byte `pos`; returns how many bytes of the run are there from `pos` on.
    #[inline(never)]
    fn turn(&mut self, pos: u64) -> Result<u64> {
        const SIZE: u64 = PAGE_SIZE as u64;
        let left = self.len.checked_sub(pos).filter(|&left| left > 0);
        let left = left.ok_or(EIO)?;
        let at = self.base.checked_add(pos).ok_or(EIO)?;
        let before = pos.min(at % SIZE);
        let behind = left.min(SIZE - at % SIZE);
        self.view = None;
        self.start = pos - before;
        self.view = Some(self.pages.view(at - before, (before + behind) as u32)?);
        Ok(behind)
    }
}
