// SPDX-License-Identifier: GPL-2.0

//! Reading compressed files: extents -> plan -> stored bytes -> decoded bytes in their pages.
//!
//! A read has a window of the file to fill. The [`plan`] says for each run of its bytes what is to be done, and which
//! stored bytes that takes; the [`batch`] brings those, does it, on as many CPUs as there are, and ends the read.

mod batch;
mod plan;
mod resolve;

use super::file::{
    File,
    Reader, //
};
use crate::format::compress::Algorithm;
use crate::vfs::{
    folios::{
        FolioRun,
        Output, //
    },
    iomap::Purpose,
    PAGE_SIZE, //
};
use batch::Batch;
use core::ops::Range;
use kernel::prelude::*;
use plan::{
    Plan,
    Window, //
};
use resolve::Resolver;

pub(super) use resolve::Seen;
pub(crate) use resolve::{
    Packed,
    PackedContent, //
};

/// From how many bytes on an extent is worth to be decoded as a whole, whoever wants some of it.
const fn large(algorithm: Algorithm) -> u64 {
    match algorithm {
        // Takes longest by far.
        Algorithm::Lzma => 128 << 10,
        _ => 64 << 10,
    }
}

/// Fills the folios of `run`: now, or some time where nobody waits.
pub(super) fn read(reader: &Reader<'_>, run: FolioRun, purpose: Purpose) -> Result {
    let window = Window {
        pos: run.pos(),
        end: run.end(),
        purpose,
    };
    let plan = Plan::new(reader, &window)?;
    let output = Output::in_folios(run, plan.beyond)?;
    Batch::new(&reader.file, plan, output, purpose)?.run()
}

/// Reads the `buf.len()` bytes at `pos`, which are all in the file.
fn read_bytes(file: File<'_>, pos: u64, buf: &mut [u8]) -> Result {
    batch::read_bytes(&Reader::new(file), pos, buf)
}

/// What is decoded together with `range`, in whole pages, as far as the mount wants it to be read ahead.
pub(super) fn whole(reader: &Reader<'_>, range: Range<u64>, purpose: Purpose) -> Range<u64> {
    const MASK: u64 = PAGE_SIZE as u64 - 1;
    let file = &reader.file;
    let cache = file.volume.policy.cache();
    let mut whole = range.clone();
    let Ok(resolver) = Resolver::new(reader) else {
        return whole;
    };
    let around = |pos| resolver.encoded_around(pos).ok().flatten();
    let here = purpose == Purpose::ReadHere;
    let is_large = |(extent, algorithm): &(Range<u64>, Algorithm)| {
        extent.end.saturating_sub(extent.start) >= large(*algorithm)
    };
    if let (true, Some(first)) = (cache.before(), around(range.start)) {
        // What comes before is decoded anyway; with LZ4 in less time than it takes to find pages for it.
        if !here || first.1 != Algorithm::Lz4 || is_large(&first) {
            whole.start = (first.0.start.saturating_add(MASK) & !MASK).min(range.start);
        }
    }
    let last = range.end.min(file.size).saturating_sub(1);
    if let (true, Some(last)) = (cache.behind(), around(last)) {
        if here && !is_large(&last) {
            return whole;
        }
        let last = last.0;
        // The page that it shares with the next extent is left to that, unless the file ends there.
        let end = match last.end < file.size {
            true => last.end & !MASK,
            false => last.end,
        };
        whole.end = end.max(range.end);
    }
    whole
}
