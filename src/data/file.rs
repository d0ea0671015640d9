// SPDX-License-Identifier: GPL-2.0

//! The extents of a file.

use super::{
    compressed,
    meta::Meta,
    volume::{
        errno,
        Volume,
        BEYOND, //
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

    /// Reads the space that the inode lies in.
    pub(crate) fn meta(&self) -> Meta<'a> {
        self.volume.meta_of(self.nid)
    }

    /// The extent that holds byte `pos`, as far as the device goes.
    fn find(&self, pos: u64, len: u64, purpose: Purpose) -> format::Result<Extent> {
        let volume = self.volume;
        let sb = &volume.sb;
        let found = self.traced(pos, len, purpose == Purpose::Report, || {
            match map::flat(sb, self.body, self.size, pos, len)? {
                Some(found) => Ok(found),
                None => map::map(&mut self.meta(), sb, self.body, self.size, pos, len),
            }
        })?;
        let mut len = found.len;
        let place = match found.place {
            map::Place::Hole => Place::Hole,
            // Images with a device table are refused at mount, so the id is always 0.
            map::Place::Device { addr, .. } => {
                let (addr, rest) = volume.locate(addr)?;
                // What is there of a file that is cut short can be read.
                let rest = rest & !sb.block.size().wrapping_sub(1);
                if len > rest {
                    let skip = pos.saturating_sub(found.pos);
                    if skip >= rest {
                        return Err(BEYOND);
                    }
                    len = rest;
                }
                Place::Device(volume.device(), addr)
            }
            map::Place::Inline { addr } => {
                let place = match self.nid.in_metabox() {
                    // Nowhere on a device.
                    true => iomap::NOWHERE,
                    false => volume.locate(addr)?.0,
                };
                let page = match purpose {
                    Purpose::Report => None,
                    _ => Some(self.meta().into_page(addr)?),
                };
                Place::Inline(volume.device(), place, page)
            }
        };
        Ok(Extent {
            pos: found.pos,
            len,
            place,
        })
    }

    /// As [`Self::find`], for a compressed file.
    fn find_encoded(&self, pos: u64, purpose: Purpose) -> format::Result<Extent> {
        let sb = &self.volume.sb;
        if purpose != Purpose::Report {
            return Ok(Extent {
                pos: 0,
                // The last block is filled as a whole.
                len: sb.block.size().saturating_mul(sb.block.count(self.size)),
                place: Place::Encoded(None),
            });
        }
        let mut meta = self.meta();
        let found = self.traced(pos, 0, true, || {
            Index::read(&mut meta, sb, self.body, self.size)?.extent(&mut meta, sb, pos)
        })?;
        let place = match found.stored {
            Stored::Hole => Place::Hole,
            Stored::Fragment { .. } => Place::Encoded(None),
            Stored::Encoded { run, .. } | Stored::Plain { run, .. } => {
                let in_metabox = run.space == Space::Inode && self.nid.in_metabox();
                Place::Encoded(Some(match in_metabox {
                    true => run.addr,
                    false => self.volume.locate(run.addr)?.0,
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
        let found = match file.is_compressed() {
            true => file.find_encoded(pos, purpose),
            false => file.find(pos, len, purpose),
        };
        found.map_err(|fault| match purpose.is_awaited() {
            true => file.volume.report(file.nid, fault),
            false => errno(&fault),
        })
    }

    fn size(&self) -> u64 {
        self.file.size
    }

    fn begin_io(&self) -> Running {
        self.file.volume.begin()
    }

    fn memory(&self, device: BlockDevice) -> Option<&Memory> {
        let memory = self.file.volume.memory.as_ref();
        memory.filter(|memory| memory.is_of(device))
    }

    fn id(&self) -> Id {
        self.file.id()
    }

    fn encoded(&self) -> bool {
        self.file.is_compressed()
    }

    fn decode(&self, run: FolioRun, purpose: Purpose) -> Result {
        compressed::read(self, run, purpose)
    }

    fn whole(&self, range: Range<u64>, purpose: Purpose) -> Range<u64> {
        compressed::whole(self, range, purpose)
    }
}
