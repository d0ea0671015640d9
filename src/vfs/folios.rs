// SPDX-License-Identifier: GPL-2.0

//! Folios that wait for their bytes, as memory to write to.
//!
//! What is decoded is written straight into the page cache. The folios of a read become one run of addresses: as
//! they are where there is but one, else by a mapping that lives as long as the read.
//!
//! C headers: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h),
//! [`include/linux/vmalloc.h`](srctree/include/linux/vmalloc.h)

use crate::bindings;
use crate::vfs::{
    buffer::Buffer,
    PAGE_SHIFT,
    PAGE_SIZE, //
};
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A part of a locked folio, in the form that reads take: the page is the folio's first one.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Part(bindings::bio_vec);

impl Part {
    /// `None`: such a large folio does not exist.
    fn new(folio: NonNull<bindings::folio>, offset: usize, len: usize) -> Option<Self> {
        Some(Self(bindings::bio_vec {
            bv_page: folio.as_ptr().cast(),
            bv_len: len.try_into().ok()?,
            bv_offset: offset.try_into().ok()?,
        }))
    }

    fn folio(&self) -> *mut bindings::folio {
        self.0.bv_page.cast()
    }

    fn offset(&self) -> usize {
        self.0.bv_offset as usize
    }

    fn len(&self) -> usize {
        self.0.bv_len as usize
    }

    /// The address of its bytes.
    fn addr(&self) -> *mut u8 {
        // SAFETY: The folio is locked, so it stays; there is no high memory.
        let start = unsafe { bindings::erofs_helper_folio_address(self.folio()) };
        // SAFETY: The offset is in the folio.
        unsafe { start.cast::<u8>().add(self.offset()) }
    }

    fn finish(self, error: Option<Error>) {
        let errno = error.map_or(0, Error::to_errno);
        // SAFETY: By the invariant of `FolioRun`, which is given up for this part.
        unsafe {
            bindings::iomap_finish_folio_read(self.folio(), self.offset(), self.len(), errno)
        };
    }
}

/// Parts of folios that together are a run of a file's bytes, waiting to be filled.
///
/// # Invariants
///
/// The parts are not empty. Their folios are locked; the parts are not up to date, and iomap waits for each of them
/// to be finished.
pub(crate) struct FolioRun {
    parts: KVec<Part>,
    pos: u64,
    end: u64,
}

// SAFETY: Whoever has the run owns the parts, on any thread.
unsafe impl Send for FolioRun {}
// SAFETY: `&FolioRun` gives numbers only.
unsafe impl Sync for FolioRun {}

impl FolioRun {
    /// An empty run at byte `pos` of a file, with room for `parts`.
    pub(super) fn new(pos: u64, parts: usize) -> Result<Self> {
        Ok(Self {
            parts: KVec::with_capacity(parts, GFP_KERNEL)?,
            pos,
            end: pos,
        })
    }

    /// Adds `len` bytes of `folio`, which are those that follow. On failure they stay the caller's.
    ///
    /// # Safety
    ///
    /// The folio must be locked, and stay so until iomap is told that these bytes are finished; they must be in it,
    /// and nobody else's to write.
    pub(super) unsafe fn push(
        &mut self,
        folio: NonNull<bindings::folio>,
        offset: usize,
        len: usize,
    ) -> Result {
        let part = Part::new(folio, offset, len).ok_or(EIO)?;
        // INVARIANT: By the contract.
        self.parts.push(part, GFP_KERNEL)?;
        self.end = self.end.saturating_add(len as u64);
        Ok(())
    }

    /// The position in the file of its first byte.
    pub(crate) fn pos(&self) -> u64 {
        self.pos
    }

    /// The position behind its last byte.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Its memory, part by part.
    pub(super) fn vecs(&self) -> &[bindings::bio_vec] {
        let parts = self.parts.as_slice();
        // SAFETY: `Part` is transparent.
        unsafe { core::slice::from_raw_parts(parts.as_ptr().cast(), parts.len()) }
    }

    /// Keeps what is before `pos`, a multiple of the file's blocks, and gives back the rest, if there is one.
    pub(crate) fn split(&mut self, pos: u64) -> Result<Option<Self>> {
        if pos >= self.end {
            return Ok(None);
        }
        let mut rest = Self::new(pos, self.parts.len())?;
        let mut kept = 0;
        let mut at = self.pos;
        for part in self.parts.iter_mut() {
            let behind = at.saturating_add(part.len() as u64);
            let here = pos.saturating_sub(at).min(part.len() as u64);
            if here == part.len() as u64 {
                kept += 1;
            } else {
                let part_there = Part(bindings::bio_vec {
                    bv_len: part.0.bv_len.saturating_sub(here as u32),
                    bv_offset: part.0.bv_offset.saturating_add(here as u32),
                    ..part.0
                });
                // INVARIANT: The bytes are one run's at a time: they are cut off here ...
                rest.parts
                    .push_within_capacity(part_there)
                    .map_err(|_| EIO)?;
                part.0.bv_len = here as u32;
                kept += usize::from(here > 0);
            }
            at = behind;
        }
        // ... or here.
        self.parts.truncate(kept);
        rest.end = self.end;
        self.end = pos;
        Ok(Some(rest))
    }

    /// Writes all parts by `write`, which gets a position and the bytes there, and ends the read of those.
    pub(crate) fn fill(mut self, mut write: impl FnMut(u64, &mut [u8]) -> Result) -> Result {
        let mut pos = self.pos;
        let mut result = Ok(());
        for part in self.parts.drain_all() {
            // SAFETY: By the invariant of `FolioRun` the bytes are ours; any byte is a `u8`.
            let bytes = unsafe { core::slice::from_raw_parts_mut(part.addr(), part.len()) };
            let done = write(pos, bytes);
            pos = pos.saturating_add(part.len() as u64);
            part.finish(done.err());
            result = result.and(done);
        }
        result
    }

    /// Writes zeros from position `pos` on.
    pub(super) fn zero_from(&mut self, pos: u64) {
        let mut end = self.end;
        for part in self.parts.iter().rev() {
            let start = end.saturating_sub(part.len() as u64);
            if end <= pos {
                return;
            }
            let skip = pos.saturating_sub(start) as usize;
            // SAFETY: `skip` is below the part's length, as `pos` is below its end.
            let from = unsafe { part.addr().add(skip) };
            // SAFETY: The rest of the part, which is ours by the invariant of `FolioRun`.
            unsafe { from.write_bytes(0, part.len().saturating_sub(skip)) };
            end = start;
        }
    }

    /// Ends the read of all parts. `failed` tells for a range of positions whether its bytes could not be had.
    pub(super) fn finish(&mut self, failed: impl Fn(u64, u64) -> Option<Error>) {
        let mut pos = self.pos;
        for part in self.parts.drain_all() {
            let end = pos.saturating_add(part.len() as u64);
            part.finish(failed(pos, end));
            pos = end;
        }
    }
}

impl Drop for FolioRun {
    fn drop(&mut self) {
        self.finish(|_, _| Some(EIO));
    }
}

/// What an [`Output`] is made of.
enum Memory {
    /// One folio, as it lies.
    Folio,
    Mapped {
        _pages: Mapped,
    },
    /// Private memory.
    Buffer(Buffer),
}

/// A mapping of `count` pages at `base`, the last of which may be one of our own.
struct Mapped {
    base: NonNull<c_void>,
    count: u32,
    _own: Option<OwnPage>,
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: From `vm_map_ram`, for as many pages.
        unsafe { bindings::vm_unmap_ram(self.base.as_ptr(), self.count) };
    }
}

/// A page that belongs to no file.
struct OwnPage(NonNull<bindings::page>);

impl OwnPage {
    fn new() -> Result<Self> {
        // SAFETY: Allocates; readers may sleep.
        let page = unsafe { bindings::erofs_helper_alloc_page() };
        Ok(Self(NonNull::new(page).ok_or(ENOMEM)?))
    }
}

impl Drop for OwnPage {
    fn drop(&mut self) {
        // SAFETY: Owned.
        unsafe { bindings::erofs_helper_free_page(self.0.as_ptr()) };
    }
}

/// Memory that is written in pieces, from several threads.
///
/// # Invariants
///
/// From `base` on, `len` bytes are writable while this lives. Each of them is one [`Piece`]'s at the most, as there is one
/// [`Cutter`].
pub(crate) struct Output {
    base: NonNull<u8>,
    len: usize,
    memory: Memory,
    run: Option<FolioRun>,
}

// SAFETY: The memory is accessed through pieces only, which do not overlap.
unsafe impl Send for Output {}
// SAFETY: As above.
unsafe impl Sync for Output {}

impl Output {
    /// The bytes of `run`, and room for `beyond` more behind them: at most a page, and none if the run does not end
    /// with one.
    pub(crate) fn in_folios(run: FolioRun, beyond: usize) -> Result<Cutter> {
        if beyond > 0 && (beyond > PAGE_SIZE || run.end as usize & (PAGE_SIZE - 1) != 0) {
            return Err(EINVAL);
        }
        let len = usize::try_from(run.end.saturating_sub(run.pos))?.saturating_add(beyond);
        let (base, memory) = match *run.parts.as_slice() {
            [part] if beyond == 0 => (part.addr().cast(), Memory::Folio),
            _ => run.map(beyond)?,
        };
        // INVARIANT: The parts are ours to write by the invariant of `FolioRun`, and follow each other.
        let output = Self {
            base: NonNull::new(base.cast()).ok_or(EIO)?,
            len,
            memory,
            run: Some(run),
        };
        Cutter::new(output)
    }

    /// Private memory.
    pub(crate) fn in_buffer(buffer: Buffer) -> Result<Cutter> {
        Cutter::new(Self {
            base: NonNull::new(buffer.as_ptr()).ok_or(EIO)?,
            len: buffer.len(),
            memory: Memory::Buffer(buffer),
            run: None,
        })
    }

    /// Ends the read that the memory is for, when all pieces are gone. `failed` tells for a range of positions in the
    /// file whether its bytes could not be had. Gives back the buffer, if it is one.
    pub(crate) fn finish(
        self: Arc<Self>,
        failed: impl Fn(u64, u64) -> Option<Error>,
    ) -> Option<Buffer> {
        // With a piece left, its owner drops the memory, which fails the read.
        let mut this = Arc::into_unique_or_drop(self)?;
        let run = this.run.take();
        let memory = core::mem::replace(&mut this.memory, Memory::Folio);
        if let Some(mut run) = run {
            drop(memory);
            run.finish(failed);
            return None;
        }
        match memory {
            Memory::Buffer(buffer) => Some(buffer),
            _ => None,
        }
    }
}

impl FolioRun {
    /// Maps the pages one after the other, and a page of our own for `beyond`.
    fn map(&self, beyond: usize) -> Result<(*mut c_void, Memory)> {
        let offset = self.pos as usize & (PAGE_SIZE - 1);
        let bytes = usize::try_from(self.end.saturating_sub(self.pos))?;
        let last = offset.saturating_add(bytes);
        let total = last.saturating_add(beyond).div_ceil(PAGE_SIZE);
        let mut pages: KVVec<*mut bindings::page> = KVVec::with_capacity(total, GFP_KERNEL)?;
        for part in &self.parts {
            let first = part.offset() >> PAGE_SHIFT;
            let behind = part.offset().saturating_add(part.len()).div_ceil(PAGE_SIZE);
            // A page that the part before ends in is there already.
            let skip = match pages.is_empty() {
                true => first,
                false => part.offset().div_ceil(PAGE_SIZE),
            };
            for n in skip..behind {
                // SAFETY: The folio is live, and holds the part.
                let page = unsafe { bindings::erofs_helper_folio_page(part.folio(), n) };
                pages.push(page, GFP_KERNEL)?;
            }
        }
        let own = match pages.len() < total {
            true => Some(OwnPage::new()?),
            false => None,
        };
        if let Some(page) = &own {
            pages.push(page.0.as_ptr(), GFP_KERNEL)?;
        }
        let count = u32::try_from(pages.len())?;
        // SAFETY: All pages stay until the mapping is gone.
        let base = unsafe { bindings::vm_map_ram(pages.as_mut_ptr(), count, -1) };
        let base = NonNull::new(base).ok_or(ENOMEM)?;
        // SAFETY: `offset` is in the first page.
        let start = unsafe { base.as_ptr().byte_add(offset) };
        let mapped = Mapped {
            base,
            count,
            _own: own,
        };
        Ok((start, Memory::Mapped { _pages: mapped }))
    }
}

/// Cuts an [`Output`] into pieces, from its start on.
pub(crate) struct Cutter {
    output: Arc<Output>,
    cut: usize,
}

impl Cutter {
    fn new(output: Output) -> Result<Self> {
        Ok(Self {
            output: Arc::new(output, GFP_KERNEL)?,
            cut: 0,
        })
    }

    /// The next `len` bytes; `None` if there are fewer.
    pub(crate) fn cut(&mut self, len: usize) -> Option<Piece> {
        let end = self
            .cut
            .checked_add(len)
            .filter(|&end| end <= self.output.len)?;
        // SAFETY: Within the memory, as checked.
        let addr = unsafe { self.output.base.add(self.cut) };
        // INVARIANT: No piece has had these bytes, as there is one cutter.
        self.cut = end;
        Some(Piece {
            addr,
            len,
            _output: self.output.clone(),
        })
    }

    /// The whole.
    pub(crate) fn into_output(self) -> Arc<Output> {
        self.output
    }
}

/// A piece of an [`Output`].
///
/// # Invariants
///
/// The `len` bytes from `addr` on belong to this piece alone.
pub(crate) struct Piece {
    addr: NonNull<u8>,
    len: usize,
    _output: Arc<Output>,
}

// SAFETY: Memory that is owned.
unsafe impl Send for Piece {}

impl Piece {
    /// Its bytes, which hold anything before they are written.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: By the type invariant; any byte is a `u8`.
        unsafe { core::slice::from_raw_parts_mut(self.addr.as_ptr(), self.len) }
    }
}
