// SPDX-License-Identifier: GPL-2.0

//! From a position in a compressed file to the extent that holds it, in that file or in the packed one.

use crate::data::{
    file::{
        File,
        Reader, //
    },
    leftovers::Key,
    volume::Volume, //
};
use crate::format::{
    self,
    compress::{
        Algorithm,
        Extent,
        Index,
        Run,
        Space,
        Stored, //
    },
    inode::{
        Body,
        FileType,
        Inode,
        Layout,
        Nid, //
    },
    map, //
};
use core::{
    cell::Cell,
    ops::Range, //
};
use kernel::sync::Arc;

/// The file that fragments of other files lie in.
pub(crate) struct Packed {
    pub(crate) nid: Nid,
    pub(crate) body: Body,
    pub(crate) size: u64,
    /// `None`: it is not compressed.
    pub(crate) index: Option<Index>,
}

/// What holds some bytes of a file.
#[derive(Clone, Copy)]
pub(super) struct Found {
    /// The file that the extent belongs to: the one that was asked about, or the packed one.
    pub(super) nid: Nid,
    /// Whether it is the packed one.
    pub(super) packed: bool,
    /// Its extent, never a fragment.
    pub(super) extent: Extent,
    /// The position of the first byte that it holds of the file that was asked about.
    start: u64,
    /// The position behind the last one.
    end: u64,
    /// Where the first one is in the extent.
    skip: u64,
}

impl Found {
    /// What the bytes of the extent are kept by.
    pub(super) fn key(&self, volume: &Volume) -> Key {
        Key {
            volume: volume.id,
            nid: self.nid,
        }
    }

    fn holds(&self, pos: u64) -> bool {
        self.start <= pos && pos < self.end
    }

    /// How many bytes it holds from byte `pos` of the file on.
    pub(super) fn len(&self, pos: u64) -> u64 {
        self.end.saturating_sub(pos)
    }

    /// How many bytes of the extent come before byte `pos` of the file.
    pub(super) fn skip(&self, pos: u64) -> u64 {
        self.skip.saturating_add(pos.saturating_sub(self.start))
    }
}

/// What was found for one read: what is asked next is mostly about the same.
#[derive(Default)]
pub(in crate::data) struct Seen {
    index: Cell<Option<Index>>,
    found: [Cell<Option<Found>>; 2],
}

impl Seen {
    fn found(&self, pos: u64) -> Option<Found> {
        let holds = |found: &Found| found.holds(pos);
        self.found.iter().find_map(|slot| slot.get().filter(holds))
    }

    fn note(&self, found: Found) {
        let [last, before] = &self.found;
        before.set(last.replace(Some(found)));
    }
}

/// Finds the extents of one file.
pub(super) struct Resolver<'a> {
    file: &'a File<'a>,
    seen: &'a Seen,
    /// `None`: it is the packed file.
    index: Option<Index>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(reader: &'a Reader<'a>) -> format::Result<Self> {
        let (file, seen) = (&reader.file, &reader.seen);
        let volume = file.volume;
        let index = match (seen.index.get(), volume.packed()) {
            (Some(index), _) => Some(index),
            (None, Some(packed)) if packed.nid == file.nid => None,
            (None, _) => Some(Index::read(
                &mut file.meta(),
                &volume.sb,
                file.body,
                file.size,
            )?),
        };
        seen.index.set(index);
        Ok(Self { file, seen, index })
    }

    /// What holds byte `pos`, which is below the file's size.
    pub(super) fn find(&self, pos: u64) -> format::Result<Found> {
        if let Some(found) = self.seen.found(pos) {
            return Ok(found);
        }
        let found = self.look_up(pos)?;
        self.seen.note(found);
        Ok(found)
    }

    fn look_up(&self, pos: u64) -> format::Result<Found> {
        let File {
            volume, nid, size, ..
        } = *self.file;
        let extent = match &self.index {
            Some(index) => self.file.traced(pos, 0, false, || {
                index.extent(&mut self.file.meta(), &volume.sb, pos)
            })?,
            None => Extent {
                pos: 0,
                len: size,
                stored: Stored::Fragment { offset: 0 },
            },
        };
        let end = extent.pos.saturating_add(extent.len);
        let Stored::Fragment { offset } = extent.stored else {
            return Ok(Found {
                nid,
                packed: false,
                extent,
                start: extent.pos,
                end,
                skip: 0,
            });
        };
        let packed = volume
            .packed()
            .ok_or(format::Error::corrupt("fragment without a packed inode"))?;
        if offset
            .checked_add(extent.len)
            .is_none_or(|end| end > packed.size)
        {
            return Err(format::Error::corrupt("fragment beyond the packed file"));
        }
        let before = pos.saturating_sub(extent.pos);
        let at = offset.saturating_add(before);
        let stored = packed.extent(volume, at)?;
        // As much of the fragment as is in this extent.
        let skip = at.saturating_sub(stored.pos);
        let before = before.min(skip);
        let behind = stored.len.saturating_sub(skip);
        Ok(Found {
            nid: packed.nid,
            packed: true,
            extent: stored,
            start: pos.saturating_sub(before),
            end: end.min(pos.saturating_add(behind)),
            skip: skip.saturating_sub(before),
        })
    }

    /// The bytes of the file that are encoded together with byte `pos`, and how; `None` if that is not encoded.
    pub(super) fn encoded_around(
        &self,
        pos: u64,
    ) -> format::Result<Option<(Range<u64>, Algorithm)>> {
        let found = self.find(pos)?;
        Ok(match found.extent.stored {
            Stored::Encoded { algorithm, .. } => Some((found.start..found.end, algorithm)),
            _ => None,
        })
    }
}

impl Packed {
    /// The extent that holds byte `at`, which is below the size.
    fn extent(&self, volume: &Volume, at: u64) -> format::Result<Extent> {
        let mut meta = volume.meta();
        if let Some(index) = &self.index {
            let extent = index.extent(&mut meta, &volume.sb, at)?;
            return match extent.stored {
                // Or there would be no end to it.
                Stored::Fragment { .. } => {
                    Err(format::Error::corrupt("fragment in the packed inode"))
                }
                _ => Ok(extent),
            };
        }
        // As much as is read at once.
        const MOST: u64 = 64 << 10;
        let len = self.size.saturating_sub(at).min(MOST);
        let found = map::map(&mut meta, &volume.sb, &self.body, self.size, at, len)?;
        let skip = at.saturating_sub(found.pos);
        let len = len.min(found.len.saturating_sub(skip));
        let plain = |addr: u64, space| Stored::Plain {
            run: Run {
                addr: addr.saturating_add(skip),
                // At most `MOST`.
                len: len as u32,
                space,
            },
            head: 0,
            head_at: 0,
        };
        Ok(Extent {
            pos: at,
            len,
            stored: match found.place {
                map::Place::Hole => Stored::Hole,
                map::Place::Device { device: 0, addr } => plain(addr, Space::Device),
                map::Place::Device { .. } => {
                    return Err(format::Error::corrupt("packed inode on an extra device"))
                }
                map::Place::Inline { addr } => plain(addr, Space::Inode),
            },
        })
    }

    /// Reads the inode of the packed file.
    pub(crate) fn read(volume: &Volume, nid: Nid) -> format::Result<Self> {
        let sb = &volume.sb;
        let mut meta = volume.meta_of(nid);
        let Inode {
            file_type,
            size,
            body,
            ..
        } = Inode::read(&mut meta, sb, nid)?;
        if file_type != FileType::Regular {
            return Err(format::Error::corrupt("packed inode is not a file"));
        }
        let index = match body.layout {
            Layout::Compressed { .. } if size > 0 => Some(Index::read(&mut meta, sb, &body, size)?),
            _ => None,
        };
        Ok(Self {
            nid,
            body,
            size,
            index,
        })
    }
}

/// The bytes of the packed file.
pub(crate) struct PackedContent<'a>(File<'a>);

impl<'a> PackedContent<'a> {
    /// `None`: the image has no packed file.
    pub(crate) fn new(volume: &'a Arc<Volume>) -> Option<Self> {
        let packed = volume.packed()?;
        Some(Self(File {
            volume,
            nid: packed.nid,
            body: &packed.body,
            size: packed.size,
        }))
    }
}

impl format::Source for PackedContent<'_> {
    fn read(&mut self, pos: u64, buf: &mut [u8]) -> format::Result<()> {
        let end = pos.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.0.size) {
            return Err(format::Error::corrupt("beyond the packed file"));
        }
        if buf.is_empty() {
            return Ok(());
        }
        super::read_bytes(self.0, pos, buf)
            .map_err(|e| format::Error::os(e.to_errno().wrapping_neg(), "cannot read packed file"))
    }
}
