// SPDX-License-Identifier: GPL-2.0

//! Every function of the room's door over a source that the compiler knows nothing about.
//!
//! `tests/panic_free.rs` looks at the symbols of the object that comes out.

#![no_std]
#![allow(dead_code, reason = "what the kernel alone uses of a result")]

#[path = "../../../src"]
mod kernel {
    pub(crate) mod format;
}

use core::ops::Range;
use kernel::format::compress;
use kernel::format::dir;
use kernel::format::inode::Body;
use kernel::format::inode::Inode;
use kernel::format::inode::Nid;
use kernel::format::map;
use kernel::format::space;
use kernel::format::superblock::Superblock;
use kernel::format::symlink;
use kernel::format::xattr;
use kernel::format::BlockBits;
use kernel::format::Error;
use kernel::format::Result;
use kernel::format::Source;

/// Bytes from somewhere: 0 or an error number.
pub type Read<'a> = &'a mut dyn FnMut(u64, &mut [u8]) -> i32;

struct Opaque<'a>(Read<'a>);

impl Source for Opaque<'_> {
    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<()> {
        match (self.0)(pos, buf) {
            0 => Ok(()),
            errno => Err(Error::os(errno, "read")),
        }
    }
}

/// A block of a directory from somewhere.
pub type Block<'a> = &'a mut dyn FnMut(u64, u32) -> Option<&'static [u8]>;

struct OpaqueBlocks<'a>(Block<'a>);

impl dir::Blocks for OpaqueBlocks<'_> {
    type View = OpaqueView;

    fn block(&mut self, pos: u64, len: u32) -> Result<OpaqueView> {
        let block = (self.0)(pos, len).ok_or(Error::os(5, "read"))?;
        Ok(OpaqueView(block))
    }
}

struct OpaqueView(&'static [u8]);

impl dir::View for OpaqueView {
    fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn array<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        self.0.get(at as usize..)?.first_chunk().copied()
    }
}

/// What a mount and an inode hold.
pub struct State {
    sb: Superblock,
    body: Body,
    inode: Inode,
    prefixes: [xattr::Prefix; 4],
    extent: map::Extent,
    index: compress::Index,
    unit: compress::Extent,
    found: xattr::Found,
    dirent: dir::Dirent,
    seed: u32,
}

fn errno<T>(result: Result<T>, to: &mut T) -> i32 {
    match result {
        Ok(value) => {
            *to = value;
            0
        }
        Err(error) => error.errno(),
    }
}

/// [`Superblock::read`] and what it tells.
#[inline(never)]
pub fn superblock(
    read: Read<'_>,
    page_size: u32,
    crc: fn(u32, &[u8]) -> u32,
    state: &mut State,
) -> i32 {
    errno(
        Superblock::read(&mut Opaque(read), page_size, crc),
        &mut state.sb,
    )
}

/// [`Superblock::ino`] and its kin.
#[inline(never)]
pub fn numbers(state: &State, nid: u64) -> (u64, u16) {
    (state.sb.ino(Nid(nid)), state.sb.device_id_mask())
}

/// [`Inode::read`].
#[inline(never)]
pub fn inode(read: Read<'_>, nid: u64, state: &mut State) -> i32 {
    errno(
        Inode::read(&mut Opaque(read), &state.sb, Nid(nid)),
        &mut state.inode,
    )
}

/// [`map::map`].
#[inline(never)]
pub fn map(read: Read<'_>, state: &mut State, size: u64, pos: u64, len: u64) -> i32 {
    errno(
        map::map(&mut Opaque(read), &state.sb, &state.body, size, pos, len),
        &mut state.extent,
    )
}

/// [`space::owner`].
#[inline(never)]
pub fn owner(windows: &[Range<u64>], addr: u64) -> (Option<&Range<u64>>, Range<u64>) {
    space::owner(windows.iter().map(|window| (window, window.clone())), addr)
}

/// [`compress::Index::read`].
#[inline(never)]
pub fn index(read: Read<'_>, state: &mut State, size: u64) -> i32 {
    errno(
        compress::Index::read(&mut Opaque(read), &state.sb, &state.body, size),
        &mut state.index,
    )
}

/// [`compress::Index::extent`].
#[inline(never)]
pub fn unit(read: Read<'_>, state: &mut State, pos: u64) -> i32 {
    errno(
        state.index.extent(&mut Opaque(read), &state.sb, pos),
        &mut state.unit,
    )
}

/// [`compress::padding`].
#[inline(never)]
pub fn padding(start: &[u8], to: &mut usize) -> i32 {
    errno(compress::padding(start), to)
}

/// [`dir::lookup`].
#[inline(never)]
pub fn lookup(block: Block<'_>, size: u64, bits: u8, name: &[u8], state: &mut State) -> i32 {
    let Some(bits) = BlockBits::new(bits) else {
        return 1;
    };
    match dir::lookup(&mut OpaqueBlocks(block), size, bits, name) {
        Ok(Some(dirent)) => {
            state.dirent = dirent;
            0
        }
        Ok(None) => 2,
        Err(error) => error.errno(),
    }
}

/// [`dir::Block`], as readdir drives it.
#[inline(never)]
pub fn readdir(
    block: Block<'_>,
    size: u64,
    bits: u8,
    pos: &mut u64,
    emit: &mut dyn FnMut(&[u8]),
) -> i32 {
    let Some(bits) = BlockBits::new(bits) else {
        return 1;
    };
    let mut blocks = OpaqueBlocks(block);
    let mut block = match dir::Block::open(&mut blocks, size, bits, *pos) {
        Ok(block) => block,
        Err(error) => return error.errno(),
    };
    let mut buf = [0; size_of::<dir::NameBuf>()];
    loop {
        *pos = block.pos();
        match block.next(&mut buf) {
            Ok(Some((_, name))) => emit(name),
            Ok(None) => return i32::from(dir::dot_is_due(true, size, *pos)),
            Err(error) => return error.errno(),
        }
    }
}

/// [`symlink`].
#[inline(never)]
pub fn target(state: &State, size: u64, target: &[u8]) -> (Option<u64>, bool) {
    (
        symlink::inline_target(&state.sb, &state.body, size),
        symlink::check(target).is_ok(),
    )
}

/// [`xattr::Xattrs::get`] and [`xattr::Xattrs::fingerprint`].
#[inline(never)]
pub fn get(
    (inline, shared): (Read<'_>, Read<'_>),
    state: &State,
    index: u8,
    name: &[u8],
    value: Option<&mut [u8]>,
    xxh32: fn(&[u8], u32) -> u32,
) -> i32 {
    let (mut inline, mut shared) = (Opaque(inline), Opaque(shared));
    let mut found = state.found;
    let mut xattrs = xattr::Xattrs {
        inline: &mut inline,
        shared: &mut shared,
        sb: &state.sb,
        body: &state.body,
        prefixes: &state.prefixes,
    };
    if index == 0 {
        errno(xattrs.fingerprint(value, xxh32), &mut found)
    } else {
        errno(xattrs.get(index, name, value, xxh32), &mut found)
    }
}

/// Prefix, infix, suffix.
pub type Emit<'a> = &'a mut dyn FnMut(Option<&'static str>, &[u8], &[u8]);

/// [`xattr::Xattrs::list`].
#[inline(never)]
pub fn list((inline, shared): (Read<'_>, Read<'_>), state: &State, emit: Emit<'_>) -> i32 {
    let (mut inline, mut shared) = (Opaque(inline), Opaque(shared));
    let mut xattrs = xattr::Xattrs {
        inline: &mut inline,
        shared: &mut shared,
        sb: &state.sb,
        body: &state.body,
        prefixes: &state.prefixes,
    };
    let result = xattrs.list(|name| {
        emit(xattr::prefix_name(name.index), name.infix, name.suffix);
        Ok(())
    });
    errno(result, &mut ())
}

/// [`xattr::read_prefixes`].
#[inline(never)]
pub fn prefixes(read: Read<'_>, state: &mut State) -> i32 {
    let mut next = 0;
    let sb = state.sb.clone();
    let result = xattr::read_prefixes(&mut Opaque(read), &sb, |prefix| {
        if let Some(slot) = state.prefixes.get_mut(next) {
            *slot = prefix;
        }
        next = next.saturating_add(1);
        Ok(())
    });
    errno(result, &mut ())
}

/// What the test must find.
#[cfg(feature = "control")]
#[inline(never)]
pub fn control(bytes: &[u8], at: usize) -> u8 {
    bytes[at]
}
