// SPDX-License-Identifier: GPL-2.0

//! A small reader of whole images, over the room's door as the module uses it.

use crate::bytes::crc32c;
use crate::bytes::xxh32;
use crate::bytes::EIO;
use crate::content::Content;
use crate::content::Home;
use crate::format::compress;
use crate::format::dir;
use crate::format::inode::FileType;
use crate::format::inode::Inode;
use crate::format::inode::Layout;
use crate::format::inode::Nid;
use crate::format::superblock::Superblock;
use crate::format::symlink;
use crate::format::xattr;
use crate::format::Error;
use crate::format::Result;
use crate::format::Source;
use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;

/// An inode that knows where it lies.
pub(crate) struct File {
    pub(crate) nid: Nid,
    inode: Inode,
}

impl Deref for File {
    type Target = Inode;

    fn deref(&self) -> &Inode {
        &self.inode
    }
}

/// Decoded extents of files.
type Units = Vec<((u64, compress::Extent), Rc<Vec<u8>>)>;

/// A mounted image.
pub(crate) struct Image {
    pub(crate) data: Vec<u8>,
    pub(crate) sb: Superblock,
    prefixes: Vec<xattr::Prefix>,
    pub(crate) packed: Option<File>,
    metabox: Option<File>,
    pub(crate) last_units: RefCell<Units>,
}

/// A value behind its full name.
pub(crate) type NamedValue = (Vec<u8>, Vec<u8>);

impl Image {
    pub(crate) fn mount(data: Vec<u8>) -> Result<Self> {
        let sb = Superblock::read(&mut Home::Device(&data), 4096, crc32c)?;
        let mut image = Self {
            data,
            sb,
            prefixes: Vec::new(),
            packed: None,
            metabox: None,
            last_units: RefCell::default(),
        };
        if let Some(nid) = image.sb.packed_nid {
            image.packed = Some(image.inode(nid)?);
        }
        if let Some(nid) = image.sb.metabox_nid {
            image.metabox = Some(image.inode(nid)?);
        }
        let mut prefixes = Vec::new();
        let sink = |prefix| {
            prefixes.push(prefix);
            Ok(())
        };
        match (xattr::prefix_space(&image.sb), &image.packed) {
            (xattr::PrefixSpace::Packed, Some(packed)) => {
                xattr::read_prefixes(&mut Content::new(&image, packed, true), &image.sb, sink)?;
            }
            (space, _) => {
                let metabox = space == xattr::PrefixSpace::Metabox;
                xattr::read_prefixes(&mut image.space(metabox)?, &image.sb, sink)?;
            }
        }
        image.prefixes = prefixes;
        Ok(image)
    }

    /// The metabox, or the device.
    fn space(&self, metabox: bool) -> Result<Home<'_>> {
        if !metabox {
            return Ok(Home::Device(&self.data));
        }
        let metabox = self.metabox.as_ref();
        let metabox = metabox.ok_or(Error::corrupt("no metabox"))?;
        Ok(Home::Metabox(Box::new(Content::new(self, metabox, false))))
    }

    /// The space that an inode lies in.
    pub(crate) fn home(&self, nid: Nid) -> Result<Home<'_>> {
        self.space(nid.in_metabox())
    }

    pub(crate) fn inode(&self, nid: Nid) -> Result<File> {
        let inode = Inode::read(&mut self.home(nid)?, &self.sb, nid)?;
        Ok(File { nid, inode })
    }

    pub(crate) fn content<'a>(&'a self, file: &'a File) -> Content<'a> {
        Content::new(self, file, false)
    }

    /// The target of a symlink, by both ways that lead to it.
    pub(crate) fn target(&self, inode: &File) -> Result<Vec<u8>> {
        let size = usize::try_from(inode.size).map_err(|_| Error::os(EIO, "too long"))?;
        if let Some(pos) = symlink::inline_target(&self.sb, &inode.body, inode.size) {
            let mut target = vec![0; size];
            self.home(inode.nid)?.read(pos, &mut target)?;
            symlink::check(&target)?;
            return Ok(target);
        }
        let mut target = vec![0; size.min(4095)];
        self.content(inode).read(0, &mut target)?;
        Ok(target)
    }

    /// All entries of a directory, `.` included.
    pub(crate) fn list(&self, inode: &File) -> Result<Vec<(Vec<u8>, dir::Dirent)>> {
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
            let itself = dir::Dirent {
                nid: inode.nid,
                file_type: 2,
            };
            entries.push((b".".to_vec(), itself));
        }
        Ok(entries)
    }

    pub(crate) fn lookup(&self, inode: &File, name: &[u8]) -> Result<Option<dir::Dirent>> {
        dir::lookup(&mut self.content(inode), inode.size, self.sb.block, name)
    }

    fn with_xattrs<T>(
        &self,
        inode: &File,
        f: impl FnOnce(xattr::Xattrs<'_, Home<'_>, Home<'_>>) -> Result<T>,
    ) -> Result<T> {
        let in_metabox = self.sb.has_metabox() && self.sb.shared_xattrs_in_metabox();
        f(xattr::Xattrs {
            inline: &mut self.home(inode.nid)?,
            shared: &mut self.space(in_metabox)?,
            sb: &self.sb,
            body: &inode.body,
            prefixes: &self.prefixes,
        })
    }

    pub(crate) fn get(&self, inode: &File, index: u8, name: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = vec![0; 65535];
        let found =
            self.with_xattrs(inode, |mut it| it.get(index, name, Some(&mut value), xxh32))?;
        Ok(match found {
            xattr::Found::Value(len) => Some(value[..len].to_vec()),
            _ => None,
        })
    }

    pub(crate) fn fingerprint(&self, inode: &File) -> Result<Option<Vec<u8>>> {
        let mut value = vec![0; 4096];
        let found = self.with_xattrs(inode, |mut it| it.fingerprint(Some(&mut value), xxh32))?;
        Ok(match found {
            xattr::Found::Value(len) => Some(value[..len].to_vec()),
            _ => None,
        })
    }

    /// All xattrs that user space may see, each value as `get` finds it by the name.
    pub(crate) fn xattrs(&self, inode: &File) -> Result<Vec<NamedValue>> {
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
            if let Layout::Compressed { .. } = inode.body.layout {
                note(pos < inode.size && content.extent(pos).is_err());
                continue;
            }
            for len in [0, 1, 4096, u64::MAX] {
                note(content.map(pos, len).is_err());
            }
        }
        match inode.file_type {
            FileType::Directory => {
                // Only names that were listed: a directory of any size ends with the image.
                let Ok(entries) = image.list(&inode) else {
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
