// SPDX-License-Identifier: GPL-2.0

//! A small reader of whole images, over the room's door as the module uses it.

use crate::bytes::block;
use crate::bytes::copy;
use crate::bytes::crc32c;
use crate::bytes::xxh32;
use crate::bytes::View;
use crate::bytes::EIO;
use crate::format::dir;
use crate::format::inode::Body;
use crate::format::inode::FileType;
use crate::format::inode::Inode;
use crate::format::inode::Nid;
use crate::format::map::map;
use crate::format::map::Extent;
use crate::format::map::Place;
use crate::format::superblock::Superblock;
use crate::format::symlink;
use crate::format::xattr;
use crate::format::Error;
use crate::format::Result;
use crate::format::Source;

/// The primary device.
#[derive(Clone, Copy)]
struct Device<'a>(&'a [u8]);

impl Source for Device<'_> {
    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<()> {
        copy(self.0, pos, buf)
    }
}

/// A mounted image.
pub(crate) struct Image {
    data: Vec<u8>,
    pub(crate) sb: Superblock,
    prefixes: Vec<xattr::Prefix>,
}

/// A value behind its full name.
pub(crate) type NamedValue = (Vec<u8>, Vec<u8>);

impl Image {
    pub(crate) fn mount(data: Vec<u8>) -> Result<Self> {
        let sb = Superblock::read(&mut Device(&data), 4096, crc32c)?;
        let mut prefixes = Vec::new();
        // A packed file is compressed.
        if xattr::prefix_space(&sb) == xattr::PrefixSpace::Primary {
            xattr::read_prefixes(&mut Device(&data), &sb, |prefix| {
                prefixes.push(prefix);
                Ok(())
            })?;
        }
        Ok(Self { data, sb, prefixes })
    }

    pub(crate) fn inode(&self, nid: Nid) -> Result<Inode> {
        if nid.in_metabox() && self.sb.has_metabox() {
            return Err(Error::unsupported("the metabox is compressed"));
        }
        Inode::read(&mut Device(&self.data), &self.sb, nid)
    }

    pub(crate) fn content<'a>(&'a self, inode: &'a Inode) -> Content<'a> {
        Content {
            image: self,
            body: &inode.body,
            size: inode.size,
        }
    }

    /// The target of a symlink, by both ways that lead to it.
    pub(crate) fn target(&self, inode: &Inode) -> Result<Vec<u8>> {
        let size = usize::try_from(inode.size).map_err(|_| Error::os(EIO, "too long"))?;
        if let Some(pos) = symlink::inline_target(&self.sb, &inode.body, inode.size) {
            let mut target = vec![0; size];
            Device(&self.data).read(pos, &mut target)?;
            symlink::check(&target)?;
            return Ok(target);
        }
        let mut target = vec![0; size.min(4095)];
        self.content(inode).read(0, &mut target)?;
        Ok(target)
    }

    /// All entries of a directory, `.` included.
    pub(crate) fn list(&self, nid: Nid, inode: &Inode) -> Result<Vec<(Vec<u8>, dir::Dirent)>> {
        let mut content = self.content(inode);
        let mut entries = Vec::new();
        let mut pos = 0;
        while pos < inode.size {
            let mut block = dir::Block::open(&mut content, inode.size, self.sb.block, pos)?;
            let mut buf = [0; size_of::<dir::NameBuf>()];
            loop {
                let next = block.pos();
                assert!(next >= pos && next <= inode.size, "positions go on");
                pos = next;
                let Some((dirent, name)) = block.next(&mut buf)? else {
                    break;
                };
                entries.push((name.to_vec(), dirent));
            }
        }
        if dir::dot_is_due(inode.body.dot_omitted, inode.size, pos) {
            let itself = dir::Dirent { nid, file_type: 2 };
            entries.push((b".".to_vec(), itself));
        }
        Ok(entries)
    }

    pub(crate) fn lookup(&self, inode: &Inode, name: &[u8]) -> Result<Option<dir::Dirent>> {
        dir::lookup(&mut self.content(inode), inode.size, self.sb.block, name)
    }

    fn with_xattrs<T>(
        &self,
        inode: &Inode,
        f: impl FnOnce(xattr::Xattrs<'_, Device<'_>, Device<'_>>) -> T,
    ) -> T {
        f(xattr::Xattrs {
            inline: &mut Device(&self.data),
            shared: &mut Device(&self.data),
            sb: &self.sb,
            body: &inode.body,
            prefixes: &self.prefixes,
        })
    }

    pub(crate) fn get(&self, inode: &Inode, index: u8, name: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = vec![0; 65535];
        let found =
            self.with_xattrs(inode, |mut it| it.get(index, name, Some(&mut value), xxh32))?;
        Ok(match found {
            xattr::Found::Value(len) => Some(value[..len].to_vec()),
            _ => None,
        })
    }

    pub(crate) fn fingerprint(&self, inode: &Inode) -> Result<Option<Vec<u8>>> {
        let mut value = vec![0; 4096];
        let found = self.with_xattrs(inode, |mut it| it.fingerprint(Some(&mut value), xxh32))?;
        Ok(match found {
            xattr::Found::Value(len) => Some(value[..len].to_vec()),
            _ => None,
        })
    }

    /// All xattrs that user space may see, each value as `get` finds it by the name.
    pub(crate) fn xattrs(&self, inode: &Inode) -> Result<Vec<NamedValue>> {
        let mut names = Vec::new();
        self.with_xattrs(inode, |mut it| {
            it.list(|name| {
                names.push((name.index, [name.infix, name.suffix].concat()));
                Ok(())
            })
        })?;
        let mut found = Vec::new();
        for (index, tail) in names {
            let Some(value) = self.get(inode, index, &tail)? else {
                continue; // A filter that denies it.
            };
            let prefix = xattr::prefix_name(index).unwrap_or("?");
            found.push(([prefix.as_bytes(), &tail].concat(), value));
        }
        Ok(found)
    }
}

/// What a file holds.
pub(crate) struct Content<'a> {
    image: &'a Image,
    body: &'a Body,
    size: u64,
}

impl Content<'_> {
    pub(crate) fn map(&self, pos: u64, len: u64) -> Result<Extent> {
        let image = self.image;
        let mut device = Device(&image.data);
        map(&mut device, &image.sb, self.body, self.size, pos, len)
    }
}

impl Source for Content<'_> {
    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<()> {
        let beyond = Error::os(EIO, "beyond the end");
        let end = pos.checked_add(buf.len() as u64).ok_or(beyond)?;
        if end > self.size {
            return Err(beyond);
        }
        let mut done = 0;
        while done < buf.len() {
            let at = pos + done as u64;
            let extent = self.map(at, (buf.len() - done) as u64)?;
            // What iomap demands of an extent.
            let skip = at.checked_sub(extent.pos).expect("starts at or before");
            let left = extent.len.checked_sub(skip).expect("reaches the byte");
            assert!(left > 0, "reaches the byte");
            let n = usize::try_from(left).map_or(usize::MAX, |left| left.min(buf.len() - done));
            let part = &mut buf[done..done + n];
            match extent.place {
                Place::Hole => part.fill(0),
                Place::Device { device: 0, addr } | Place::Inline { addr } => {
                    Device(&self.image.data).read(addr + skip, part)?;
                }
                Place::Device { .. } => return Err(Error::unsupported("other devices")),
            }
            done += n;
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

/// Visits everything in the image that can be reached within `budget` inodes, and every byte up to
/// `limit` in each. Faults end the way to what is behind them, no more.
pub(crate) fn walk(image: &Image, budget: usize, limit: u64) -> usize {
    let mut todo = vec![image.sb.root_nid];
    let mut faults = 0;
    let mut note = |failed: bool| faults += usize::from(failed);
    let mut visited = 0;
    while let Some(nid) = todo.pop() {
        visited += 1;
        if visited > budget {
            break;
        }
        let Ok(inode) = image.inode(nid) else {
            note(true);
            continue;
        };
        note(image.xattrs(&inode).is_err());
        note(image.get(&inode, 1, b"none").is_err());
        note(image.fingerprint(&inode).is_err());
        let content = image.content(&inode);
        for pos in [
            0,
            1,
            inode.size / 2,
            inode.size.saturating_sub(1),
            inode.size,
            u64::MAX,
        ] {
            for len in [0, 1, 4096, u64::MAX] {
                note(content.map(pos, len).is_err());
            }
        }
        match inode.file_type {
            FileType::Directory => {
                // Only names that were listed: a directory of any size ends with the image.
                let Ok(entries) = image.list(nid, &inode) else {
                    note(true);
                    note(image.lookup(&inode, b"some name").is_err());
                    continue;
                };
                for (name, dirent) in entries {
                    note(image.lookup(&inode, &name).is_err());
                    if name != b"." && name != b".." {
                        todo.push(dirent.nid);
                    }
                }
            }
            FileType::Symlink => note(image.target(&inode).is_err()),
            _ => {
                let len = inode.size.min(limit);
                let mut buf = vec![0; usize::try_from(len).expect("a small limit")];
                note(image.content(&inode).read(0, &mut buf).is_err());
            }
        }
    }
    faults
}
