// SPDX-License-Identifier: GPL-2.0

//! From a nid to an inode of the VFS.

use super::{
    Erofs,
    Image, //
};
use crate::data::file::File;
use crate::format::{
    inode::{
        self,
        Body,
        FileType,
        Layout,
        Nid, //
    },
    symlink,
    xattr,
    Source, //
};
use crate::vfs::{
    inode::{
        Attributes,
        FileSystem,
        Got,
        Inode,
        InodeCache,
        New, //
    },
    super_block::SuperBlock,
    trace, //
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::AtomicFlag, //
    }, //
};

/// What an inode of an image holds beside the VFS inode.
pub(crate) struct Node {
    pub(super) body: Body,
    pub(super) directory: bool,
    /// Known to have no fingerprint: each open would look again.
    pub(super) private: AtomicFlag,
}

impl FileSystem for Erofs {
    /// The nid. Inode numbers are derived from it, not the other way round.
    type Key = u64;
    type Data = Node;

    fn inode_cache() -> &'static InodeCache<Self> {
        &super::INODES
    }
}

/// Whether `inode` is a directory.
pub(super) fn is_directory(inode: &Inode<Erofs>) -> bool {
    inode.data().directory
}

/// What reading `inode` needs.
pub(super) fn file(inode: &Inode<Erofs>) -> File<'_> {
    File {
        volume: &inode.super_block().data().volume,
        nid: Nid(*inode.key()),
        body: &inode.data().body,
        size: inode.size(),
    }
}

/// The inode `nid` of the image.
pub(super) fn get(sb: &SuperBlock<Erofs>, nid: Nid) -> Result<ARef<Inode<Erofs>>> {
    let volume = &sb.data().volume;
    match sb.get_inode(volume.sb.ino(nid), nid.0)? {
        Got::Existing(inode) => Ok(inode),
        Got::New(new) => {
            trace::fill_inode(sb, nid.0, || {
                let block = volume.sb.block;
                let pos = nid.pos(&volume.sb).unwrap_or(0);
                (pos >> block.get(), block.offset(pos) as u32)
            });
            fill(new, sb.data(), nid)
        }
    }
}

/// Reads a new inode. All that can fail comes before it is shown.
fn fill(mut new: New<Erofs>, image: &Image, nid: Nid) -> Result<ARef<Inode<Erofs>>> {
    let volume = &image.volume;
    let report = |fault| volume.report(nid, fault);
    let sb = &volume.sb;
    let mut meta = volume.meta_of(nid);
    let raw = inode::Inode::read(&mut meta, sb, nid).map_err(report)?;
    new.set_attributes(&Attributes {
        ino: sb.ino(nid),
        mode: raw.mode,
        uid: raw.uid,
        gid: raw.gid,
        nlink: raw.nlink,
        size: raw.size,
        blocks: raw.blocks512,
        blkbits: sb.block.get() as u8,
        mtime: raw.mtime,
        mtime_nsec: raw.mtime_nsec,
        may_have_acls: xattr::may_have_acls(&mut meta, sb, &raw.body),
    })?;
    let compressed = matches!(raw.body.layout, Layout::Compressed { .. });
    let gathered = compressed || volume.is_in_files();
    match raw.file_type {
        FileType::Regular => {
            new.set_regular(image.sharing.is_some(), gathered);
            let in_place = matches!(raw.body.layout, Layout::Plain { .. } | Layout::Chunk { .. });
            if in_place && volume.is_dax() {
                new.set_dax();
            }
        }
        FileType::Directory => new.set_directory(gathered),
        FileType::Symlink => match symlink::inline_target(sb, &raw.body, raw.size) {
            Some(pos) => {
                // At most a block.
                let mut target = KVec::from_elem(0, usize::try_from(raw.size)?, GFP_KERNEL)?;
                meta.read(pos, &mut target).map_err(report)?;
                symlink::check(&target).map_err(report)?;
                new.set_symlink(Some(&target), gathered)?;
            }
            None => new.set_symlink(None, gathered)?,
        },
        FileType::Char | FileType::Block | FileType::Fifo | FileType::Socket => {
            new.set_node(raw.rdev.0, raw.rdev.1)
        }
    }
    Ok(new.ready(Node {
        body: raw.body,
        directory: raw.file_type == FileType::Directory,
        private: AtomicFlag::new(false),
    }))
}

/// Whether the file's data is compressed.
pub(super) fn is_compressed(inode: &Inode<Erofs>) -> bool {
    matches!(inode.data().body.layout, Layout::Compressed { .. })
}
