// SPDX-License-Identifier: GPL-2.0

//! What the files of an image hold.

use crate::bytes::block;
use crate::bytes::copy;
use crate::bytes::View;
use crate::bytes::EIO;
use crate::decode::decode;
use crate::format::compress::padding;
use crate::format::compress::Extent;
use crate::format::compress::Index;
use crate::format::compress::Run;
use crate::format::compress::Space;
use crate::format::compress::Stored;
use crate::format::dir;
use crate::format::inode::Layout;
use crate::format::map;
use crate::format::map::Place;
use crate::format::Error;
use crate::format::Result;
use crate::format::Source;
use crate::reader::File;
use crate::reader::Image;
use std::rc::Rc;

/// A space that inodes lie in.
pub(crate) enum Home<'a> {
    Device(&'a [u8]),
    Metabox(Box<Content<'a>>),
}

impl Source for Home<'_> {
    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<()> {
        match self {
            Self::Device(data) => copy(data, pos, buf),
            Self::Metabox(content) => content.read(pos, buf),
        }
    }
}

/// What a file holds.
pub(crate) struct Content<'a> {
    image: &'a Image,
    file: &'a File,
    /// It is fragments of other files, and has none itself.
    packed: bool,
    index: Option<Result<Index>>,
}

impl<'a> Content<'a> {
    pub(crate) fn new(image: &'a Image, file: &'a File, packed: bool) -> Self {
        let index = matches!(file.body.layout, Layout::Compressed { .. }).then(|| {
            let mut home = image.home(file.nid)?;
            Index::read(&mut home, &image.sb, &file.body, file.size)
        });
        Self {
            image,
            file,
            packed,
            index,
        }
    }

    /// The extent of a file that is not compressed.
    pub(crate) fn map(&self, pos: u64, len: u64) -> Result<map::Extent> {
        let (image, file) = (self.image, self.file);
        let mut home = image.home(file.nid)?;
        map::map(&mut home, &image.sb, &file.body, file.size, pos, len)
    }

    /// What kind of table has the extents of a file, by the names in `src/format`; `None`: none.
    pub(crate) fn table(&self) -> Option<&'static str> {
        let index = format!("{:?}", self.index.as_ref()?);
        let names = ["Lengths", "Addresses", "LongStarts", "Starts"];
        names.into_iter().find(|name| index.contains(name))
    }

    /// The extent of a file that is compressed; `None`: it is not.
    pub(crate) fn extent(&self, pos: u64) -> Result<Option<Extent>> {
        let Some(index) = self.index else {
            return Ok(None);
        };
        let mut home = self.image.home(self.file.nid)?;
        let extent = index?.extent(&mut home, &self.image.sb, pos)?;
        let end = extent.pos + extent.len;
        assert!(extent.pos <= pos && pos < end && end <= self.file.size);
        Ok(Some(extent))
    }

    fn read_mapped(&self, pos: u64, buf: &mut [u8]) -> Result<usize> {
        let extent = self.map(pos, buf.len() as u64)?;
        // What iomap demands of an extent.
        let skip = pos.checked_sub(extent.pos).expect("starts at or before");
        let left = extent.len.checked_sub(skip).expect("reaches the byte");
        assert!(left > 0, "reaches the byte");
        let part = first(buf, left);
        match extent.place {
            Place::Hole => part.fill(0),
            Place::Device { device: 0, addr } => copy(&self.image.data, addr + skip, part)?,
            Place::Inline { addr } => self.image.home(self.file.nid)?.read(addr + skip, part)?,
            Place::Device { .. } => return Err(Error::unsupported("other devices")),
        }
        Ok(part.len())
    }

    fn read_extent(&self, extent: &Extent, pos: u64, buf: &mut [u8]) -> Result<usize> {
        let skip = pos - extent.pos;
        let part = first(buf, extent.len - skip);
        match extent.stored {
            Stored::Hole => part.fill(0),
            Stored::Fragment { .. } if self.packed => {
                return Err(Error::corrupt("fragment in the packed file"));
            }
            Stored::Fragment { offset } => {
                let packed = self.image.packed.as_ref();
                let packed = packed.ok_or(Error::corrupt("no packed file"))?;
                let at = offset.checked_add(skip).ok_or(Error::corrupt("beyond"))?;
                Content::new(self.image, packed, true).read(at, part)?;
            }
            Stored::Encoded { .. } | Stored::Plain { .. } => {
                let skip = usize::try_from(skip).expect("extents are small");
                let data = self.unit(extent)?;
                part.copy_from_slice(&data[skip..skip + part.len()]);
            }
        }
        Ok(part.len())
    }

    /// All bytes of an extent that has a pcluster, which is kept for the next one who asks.
    fn unit(&self, extent: &Extent) -> Result<Rc<Vec<u8>>> {
        let mut last = self.image.last_units.borrow_mut();
        let key = (self.file.nid.0, *extent);
        if let Some((_, unit)) = last.iter().find(|(known, _)| *known == key) {
            return Ok(unit.clone());
        }
        drop(last);
        let len = usize::try_from(extent.len).expect("extents are small");
        let data = match extent.stored {
            Stored::Encoded {
                run,
                algorithm,
                partial,
            } => {
                let stored = self.stored(run)?;
                let block = self.image.sb.block;
                let start = block.size() - block.offset(run.addr);
                let start = stored.len().min(usize::try_from(start).expect("a block"));
                let stream = &stored[padding(&stored[..start])?..];
                decode(algorithm, stream, len, partial)
                    .ok_or(Error::corrupt("stream that does not decode"))?
            }
            Stored::Plain { run, head, head_at } => {
                let stored = self.stored(run)?;
                let (head, head_at) = (head as usize, head_at as usize);
                [&stored[head_at..head_at + head], &stored[..len - head]].concat()
            }
            Stored::Hole | Stored::Fragment { .. } => unreachable!("they have no pcluster"),
        };
        last = self.image.last_units.borrow_mut();
        let unit = Rc::new(data);
        last.truncate(15);
        last.insert(0, (key, unit.clone()));
        Ok(unit)
    }

    fn stored(&self, run: Run) -> Result<Vec<u8>> {
        let mut stored = vec![0; run.len as usize];
        match run.space {
            Space::Device => copy(&self.image.data, run.addr, &mut stored)?,
            Space::Inode => self
                .image
                .home(self.file.nid)?
                .read(run.addr, &mut stored)?,
        }
        Ok(stored)
    }
}

/// At most `len` bytes.
fn first(buf: &mut [u8], len: u64) -> &mut [u8] {
    let len = usize::try_from(len).map_or(buf.len(), |len| len.min(buf.len()));
    &mut buf[..len]
}

impl Source for Content<'_> {
    fn read(&mut self, mut pos: u64, mut buf: &mut [u8]) -> Result<()> {
        let beyond = Error::os(EIO, "beyond the end");
        let end = pos.checked_add(buf.len() as u64).ok_or(beyond)?;
        if end > self.file.size {
            return Err(beyond);
        }
        while !buf.is_empty() {
            let done = match self.extent(pos)? {
                Some(extent) => self.read_extent(&extent, pos, buf)?,
                None => self.read_mapped(pos, buf)?,
            };
            pos += done as u64;
            buf = &mut buf[done..];
        }
        Ok(())
    }
}

impl dir::Blocks for Content<'_> {
    type View = View;

    fn block(&mut self, pos: u64, len: u32) -> Result<View> {
        block(self, pos, len)
    }
}
