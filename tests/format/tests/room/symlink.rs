// SPDX-License-Identifier: GPL-2.0

//! Which targets are kept with their inodes, and row 25.

use crate::bytes::superblock;
use crate::format::inode::Body;
use crate::format::inode::Layout;
use crate::format::symlink::check;
use crate::format::symlink::inline_target;

fn place(xattr_pos: u64, xattr_size: u32, size: u64) -> Option<u64> {
    let body = Body {
        layout: Layout::Inline { start: 0 },
        xattr_pos,
        xattr_size,
        dot_omitted: false,
    };
    inline_target(&superblock(|_| ()), &body, size)
}

#[test]
fn one_block_for_all() {
    assert_eq!(place(32, 0, 10), Some(32));
    assert_eq!(place(32, 16, 10), Some(48));
    assert_eq!(place(8192 + 32, 0, 4064), Some(8224));
    assert_eq!(place(8192 + 32, 0, 4065), None);
    assert_eq!(place(8192 + 32, 16, 4049), None);
    // The inode ends where its block does: the target would lie in the next one.
    assert_eq!(place(8192, 0, 1), None);
    assert_eq!(place(8192, 0, 0), Some(8192));
    // Xattrs that fill the block or go beyond.
    assert_eq!(place(4096 + 64, 4032, 1), None);
    assert_eq!(place(4096 + 64, 262_148, 1), None);
    assert_eq!(place(32, 0, u64::MAX), None);
    assert_eq!(place(u64::MAX, 12, 1), None);
}

#[test]
fn other_layouts_are_read_like_files() {
    let body = Body {
        layout: Layout::Plain { start: Some(1) },
        xattr_pos: 32,
        xattr_size: 0,
        dot_omitted: false,
    };
    assert_eq!(inline_target(&superblock(|_| ()), &body, 10), None);
}

#[test]
fn row_25_targets() {
    assert!(check(b"a").is_ok());
    for bad in [&b""[..], b"\0", b"a\0", b"a\0b"] {
        assert_eq!(check(bad).err().map(|error| error.errno()), Some(117));
    }
}
