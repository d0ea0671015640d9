// SPDX-License-Identifier: GPL-2.0

//! The extents of a file.

use super::{
    compressed,
    device::BEYOND,
    meta::Meta,
    plain,
    volume::{
        errno,
        Volume, //
    }, //
};
use crate::format::{
    self,
    compress::{
        Index,
        Space,
        Stored, //
    },
    inode::{
        Body,
        Layout,
        Nid, //
    },
    map, //
};
use crate::vfs::{
    block::BlockDevice,
    dax::Memory,
    folios::FolioRun,
    inflight::Running,
    iomap::{
        self,
        Extent,
        Extents,
        Place,
        Purpose, //
    },
    store::Store,
    trace::Id, //
};
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// What reading needs of an inode.
#[derive(Clone, Copy)]
pub(crate) struct File<'a> {
    /// Where the inode lies.
    pub(crate) volume: &'a Arc<Volume>,
    /// Its number: for the log, and for what is kept of it.
    pub(crate) nid: Nid,
    /// Where its bytes are.
    pub(crate) body: &'a Body,
    /// Bytes in the file.
    pub(crate) size: u64,
}

/// A file that is being read.
pub(crate) struct Reader<'a> {
    /// Which file.
    pub(crate) file: File<'a>,
    /// What was found of it so far.
    pub(super) seen: compressed::Seen,
}

impl<'a> Reader<'a> {
    /// Starts to read `file`.
    #[inline]
    pub(crate) fn new(file: File<'a>) -> Self {
        Self {
            file,
            seen: compressed::Seen::default(),
        }
    }
}

impl<'a> File<'a> {
    /// Whether its bytes have to be decoded.
    pub(crate) fn is_compressed(&self) -> bool {
        matches!(self.body.layout, Layout::Compressed { .. })
    }

    /// Whether no bio can bring its bytes.
    #[inline]
    pub(crate) fn is_gathered(&self) -> bool {
        self.is_compressed() || self.volume.is_in_files()
    }

    /// Reads the space that the inode lies in.
    pub(crate) fn meta(&self) -> Meta<'a> {
        self.volume.meta_of(self.nid)
    }

    /// The extent that holds byte `pos`, of a file that is not compressed.
    #[inline(always)]
    pub(super) fn map(&self, pos: u64, len: u64, purpose: Purpose) -> format::Result<map::Extent> {
        let sb = &self.volume.sb;
        self.traced(pos, len, purpose == Purpose::Report, || {
            match map::flat(sb, self.body, self.size, pos, len)? {
                Some(found) => Ok(found),
                None => map::map(&mut self.meta(), sb, self.body, self.size, pos, len),
            }
        })
    }

    /// The extent that most files have, apart from an inline tail: one run of an only device.
    #[inline(always)]
    fn in_one_run(&self, pos: u64, len: u64, purpose: Purpose) -> Option<Extent> {
        let block = self.volume.sb.block;
        let blocks = block.count(self.size);
        let (start, blocks) = match self.body.layout {
            Layout::Plain { start: Some(start) } => (start, blocks),
            Layout::Inline { start } => (start, blocks.saturating_sub(1)),
            _ => return None,
        };
        // 48 bits and 16.
        let addr = start.checked_shl(block.get())?;
        let (device, there, rest) = self.volume.only_device(addr)?;
        let size = block.size().checked_mul(blocks)?;
        if pos >= size.min(self.size) || size > rest {
            return None;
        }
        let found = map::Extent {
            pos: 0,
            len: size,
            place: map::Place::Device { device: 0, addr },
        };
        self.traced(pos, len, purpose == Purpose::Report, || Ok(found))
            .ok()?;
        Some(Extent {
            pos: 0,
            len: size,
            place: Place::Device(device, there),
        })
    }

    /// As [`Self::map`], as far as the device goes.
    #[inline(never)]
    fn find(&self, pos: u64, len: u64, purpose: Purpose) -> format::Result<Extent> {
        let volume = self.volume;
        let found = self.map(pos, len, purpose)?;
        let mut len = found.len;
        let place = match found.place {
            map::Place::Hole => Place::Hole,
            map::Place::Device { device, addr } => {
                let there = volume.locate(device, addr)?;
                if len > there.rest {
                    // What is there of a file that is cut short can be read.
                    let rest = volume.sb.block.floor(there.rest);
                    let skip = pos.saturating_sub(found.pos);
                    if skip >= rest {
                        return Err(BEYOND);
                    }
                    len = rest;
                }
                match *there.store {
                    Store::Block(device) => Place::Device(device, there.addr),
                    Store::File(_) => Place::Gathered(Some(there.addr)),
                }
            }
            map::Place::Inline { addr } => {
                let place = match self.nid.in_metabox() {
                    // Nowhere on a device.
                    true => iomap::NOWHERE,
                    false => volume.locate(0, addr)?.addr,
                };
                let page = match purpose {
                    Purpose::Report => None,
                    _ => Some(self.meta().into_page(addr)?),
                };
                Place::Inline(place, page)
            }
        };
        Ok(Extent {
            pos: found.pos,
            len,
            place,
        })
    }

    /// The error of a read that met `fault`.
    #[cold]
    pub(super) fn fault(&self, fault: format::Error, purpose: Purpose) -> Error {
        match purpose.is_awaited() {
            true => self.volume.report(self.nid, fault),
            false => errno(&fault),
        }
    }

    /// All of a file whose folios are gathered.
    fn whole_file(&self) -> Extent {
        let block = self.volume.sb.block;
        Extent {
            pos: 0,
            // The last block is filled as a whole.
            len: block.size().saturating_mul(block.count(self.size)),
            place: Place::Gathered(None),
        }
    }

    /// As [`Self::find`], for a report on a compressed file.
    #[inline(never)]
    fn find_encoded(&self, pos: u64) -> format::Result<Extent> {
        let sb = &self.volume.sb;
        let mut meta = self.meta();
        let found = self.traced(pos, 0, true, || {
            Index::read(&mut meta, sb, self.body, self.size)?.extent(&mut meta, sb, pos)
        })?;
        let place = match found.stored {
            Stored::Hole => Place::Hole,
            Stored::Fragment { .. } => Place::Gathered(None),
            Stored::Encoded { run, .. } | Stored::Plain { run, .. } => {
                let in_metabox = run.space == Space::Inode && self.nid.in_metabox();
                Place::Gathered(Some(match in_metabox {
                    true => run.addr,
                    false => self.volume.locate(0, run.addr)?.addr,
                }))
            }
        };
        Ok(Extent {
            pos: found.pos,
            len: found.len,
            place,
        })
    }
}

impl Extents for Reader<'_> {
    fn extent(&self, pos: u64, len: u64, purpose: Purpose) -> Result<Extent> {
        let file = &self.file;
        if let Some(extent) = file.in_one_run(pos, len, purpose) {
            return Ok(extent);
        }
        if purpose != Purpose::Report && file.is_gathered() {
            return Ok(file.whole_file());
        }
        let found = match file.is_compressed() {
            true => file.find_encoded(pos),
            false => file.find(pos, len, purpose),
        };
        found.map_err(|fault| file.fault(fault, purpose))
    }

    fn size(&self) -> u64 {
        self.file.size
    }

    fn begin_io(&self) -> Running {
        self.file.volume.begin()
    }

    fn memory(&self, device: BlockDevice) -> Option<&Memory> {
        self.file.volume.memory(device)
    }

    fn id(&self) -> Id {
        self.file.id()
    }

    fn encoded(&self) -> bool {
        self.file.is_compressed()
    }

    fn gathered(&self) -> bool {
        self.file.is_gathered()
    }

    fn fill(&self, run: FolioRun, purpose: Purpose) -> Result {
        match self.file.is_compressed() {
            true => compressed::read(self, run, purpose),
            false => plain::read(&self.file, run, purpose),
        }
    }

    fn whole(&self, range: Range<u64>, purpose: Purpose) -> Range<u64> {
        match self.file.is_compressed() {
            true => compressed::whole(self, range, purpose),
            false => range,
        }
    }
}
