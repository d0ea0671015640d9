// SPDX-License-Identifier: GPL-2.0

//! The bytes of an image, or of its metabox, read through the page cache.

use crate::format::{
    self,
    Source, //
};
use crate::vfs::page_cache::{
    HeldPage,
    Pages,
    Window, //
};
use kernel::prelude::*;

/// The bytes of an image.
pub(crate) struct Meta<'a>(Window<'a>);

impl<'a> Meta<'a> {
    /// The `len` bytes of `pages` from `base` on.
    pub(crate) fn new(pages: Pages<'a>, base: u64, len: u64) -> Self {
        Self(Window::new(pages, base, len))
    }

    /// The page that holds byte `pos`, and the byte's offset in it.
    pub(crate) fn into_page(self, pos: u64) -> format::Result<(HeldPage, usize)> {
        self.0.into_page(pos).map_err(fault)
    }
}

impl Source for Meta<'_> {
    #[inline(always)]
    fn read(&mut self, pos: u64, buf: &mut [u8]) -> format::Result<()> {
        self.0.read(pos, buf).map_err(fault)
    }
}

/// What a read that failed means to those who asked.
fn fault(e: Error) -> format::Error {
    format::Error::os(e.to_errno().wrapping_neg(), "cannot read metadata")
}
