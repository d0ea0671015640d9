// SPDX-License-Identifier: GPL-2.0

//! Symlink targets that lie beside their inodes, and so are kept in memory with them.

use super::inode::Body;
use super::inode::Layout;
use super::superblock::Superblock;
use super::Error;
use super::Result;

/// Where the target of `size` bytes is, if it shares a block with the inode's end and the xattrs.
///
/// Such a target is at most a block long and has to pass [`check`]; others are read like file data.
pub(crate) fn inline_target(sb: &Superblock, body: &Body, size: u64) -> Option<u64> {
    let Layout::Inline { .. } = body.layout else {
        return None;
    };
    // The block is that of the inode's last byte, even if the xattrs would start in the next one.
    let end = sb.block.offset(body.xattr_pos.checked_sub(1)?);
    let end = end
        .checked_add(1)?
        .checked_add(body.xattr_size.into())?
        .checked_add(size)?;
    if end > sb.block.size() {
        return None;
    }
    body.data_pos().ok()
}

/// Refuses the inline targets that the C driver refuses.
pub(crate) fn check(target: &[u8]) -> Result<()> {
    if target.is_empty() || !target.iter().all(|&byte| byte != 0) {
        return Err(Error::corrupt("invalid fast symlink size"));
    }
    Ok(())
}
