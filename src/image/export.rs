// SPDX-License-Identifier: GPL-2.0

//! File handles: an inode's nid is what finds it again.

use super::{
    inode,
    Erofs, //
};
use crate::format::inode::Nid;
use crate::vfs::{
    export::ExportOps,
    inode::Inode,
    inode_ops::InodeOps,
    super_block::SuperBlock, //
};
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

impl ExportOps for Erofs {
    fn number(inode: &Inode<Self>) -> u64 {
        *inode.key()
    }

    fn by_number(sb: &SuperBlock<Self>, number: u64) -> Result<ARef<Inode<Self>>> {
        inode::get(sb, Nid(number))
    }

    fn parent(dir: &Inode<Self>) -> Result<ARef<Inode<Self>>> {
        Self::lookup(dir, b"..")?.ok_or(ENOENT)
    }
}
