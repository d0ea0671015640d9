// SPDX-License-Identifier: GPL-2.0

//! Mapping over bytes (rows 26 to 28).

use crate::bytes::sb;
use crate::bytes::superblock;
use crate::bytes::Bytes;
use crate::bytes::EIO;
use crate::format::inode::Body;
use crate::format::inode::Layout;
use crate::format::map::map;
use crate::format::map::whole;
use crate::format::map::Extent;
use crate::format::map::Place;
use crate::format::superblock::Superblock;
use crate::format::Error;
use crate::format::Kind;

fn body(layout: Layout, xattr_pos: u64, xattr_size: u32) -> Body {
    Body {
        layout,
        xattr_pos,
        xattr_size,
        dot_omitted: false,
    }
}

/// Maps with a source that must not be read.
fn flat(body: &Body, size: u64, pos: u64) -> Result<Extent, Error> {
    let mut nothing = Bytes::default();
    let extent = map(&mut nothing, &superblock(|_| ()), body, size, pos, 1 << 20);
    assert_eq!(nothing.reads, 0, "flat layouts say where they are");
    extent
}

fn extent(pos: u64, len: u64, place: Place) -> Result<Extent, Error> {
    Ok(Extent { pos, len, place })
}

fn at(addr: u64) -> Place {
    Place::Device { device: 0, addr }
}

#[test]
fn plain() {
    let body = body(Layout::Plain { start: Some(7) }, 32, 0);
    assert_eq!(flat(&body, 5000, 0), extent(0, 8192, at(7 * 4096)));
    assert_eq!(
        flat(&body, 5000, 4999),
        extent(4999, 3193, at(7 * 4096 + 4999))
    );
    assert_eq!(flat(&body, 8192, 4096), extent(4096, 4096, at(8 * 4096)));
    // Past the end there is nothing, for as long as asked.
    assert_eq!(flat(&body, 5000, 5000), extent(5000, 1 << 20, Place::Hole));
    assert_eq!(flat(&body, 0, 0), extent(0, 1 << 20, Place::Hole));
    assert_eq!(
        flat(&body, 0, u64::MAX),
        extent(u64::MAX, 1 << 20, Place::Hole)
    );
}

#[test]
fn null_start_is_a_hole() {
    let body = body(Layout::Plain { start: None }, 32, 0);
    assert_eq!(flat(&body, 5000, 100), extent(100, 1 << 20, Place::Hole));
}

#[test]
fn inline_tail() {
    let layout = Layout::Inline { start: 7 };
    let body1 = body(layout, 4096 + 64, 16);
    let tail = |addr| Place::Inline { addr };
    assert_eq!(flat(&body1, 5000, 0), extent(0, 4096, at(7 * 4096)));
    assert_eq!(flat(&body1, 5000, 4095), extent(4095, 1, at(8 * 4096 - 1)));
    assert_eq!(flat(&body1, 5000, 4096), extent(4096, 904, tail(4176)));
    assert_eq!(flat(&body1, 5000, 4999), extent(4999, 1, tail(4176 + 903)));
    assert_eq!(flat(&body1, 10, 3), extent(3, 7, tail(4179)));
    assert_eq!(flat(&body1, 0, 0), extent(0, 1 << 20, Place::Hole));
    // A whole block is a legal tail where it is aligned.
    let aligned = body(layout, 8192, 0);
    assert_eq!(flat(&aligned, 8192, 4096), extent(4096, 4096, tail(8192)));
    assert_eq!(flat(&aligned, 4096, 0), extent(0, 4096, tail(8192)));
}

#[test]
fn row_26_inline_tail_across_blocks() {
    let layout = Layout::Inline { start: 7 };
    let body1 = body(layout, 4096 + 64, 16);
    let corrupt = Err(Error::corrupt("inline data across blocks"));
    assert_eq!(
        flat(&body1, 4016, 0),
        extent(0, 4016, Place::Inline { addr: 4176 })
    );
    assert_eq!(flat(&body1, 4017, 0), corrupt);
    // The start of the tail counts, not the byte that is asked for.
    assert_eq!(flat(&body1, 4017, 4016), corrupt);
    assert_eq!(flat(&body1, 8192, 4096), corrupt);
    // What lies in blocks is still there.
    assert_eq!(flat(&body1, 8192, 0), extent(0, 4096, at(7 * 4096)));
}

#[test]
fn row_27_addresses_do_not_wrap() {
    let body1 = body(
        Layout::Plain {
            start: Some((1 << 48) - 1),
        },
        32,
        0,
    );
    let base = ((1 << 48) - 1) << 12;
    assert_eq!(flat(&body1, 4096, 0), extent(0, 4096, at(base)));
    let huge = (1 << 63) - 1;
    assert_eq!(flat(&body1, huge, 0), extent(0, 1 << 63, at(base)));
    assert_eq!(
        flat(&body1, huge, huge - 1),
        extent(huge - 1, 2, at(base + huge - 1))
    );

    // With 64 KiB blocks the address space ends.
    let mut large = crate::bytes::image();
    large.u8(sb::BLKSZBITS, 16);
    let large = Superblock::read(&mut large, 65536, crate::bytes::crc32c).expect("64 KiB blocks");
    let mut nothing = Bytes::default();
    for pos in [0, 70000] {
        let error = map(&mut nothing, &large, &body1, 1 << 20, pos, 4096).err();
        assert_eq!(error.map(|error| error.errno()), Some(EIO));
    }
    let tail = body(Layout::Inline { start: 0 }, u64::MAX, 12);
    assert_eq!(
        flat(&tail, 10, 0).err().map(|error| error.errno()),
        Some(117)
    );
}

#[test]
fn compressed_is_for_its_index() {
    let body = body(Layout::Compressed { full: true }, 32, 0);
    let error = flat(&body, 10, 0).err().map(|error| error.kind);
    assert_eq!(error, Some(Kind::Unsupported));
}

/// A chunk-based file of 8 KiB chunks.
struct Chunks {
    sb: Superblock,
    body: Body,
    space: Bytes,
    size: u64,
}

const CHUNK: u64 = 8192;
const NULL: u32 = u32::MAX;

impl Chunks {
    /// 4-byte entries behind an inode at `pos`.
    fn blocks(pos: usize, entries: &[u32]) -> Self {
        let mut space = Bytes::zeroed(16384);
        for (i, &entry) in entries.iter().enumerate() {
            space.u32(pos + 4 * i, entry);
        }
        Self::new(pos, entries.len(), space, false, false)
    }

    /// 8-byte entries: high half, device, low half.
    fn indexes(pos: usize, wide: bool, entries: &[(u16, u16, u32)]) -> Self {
        let mut space = Bytes::zeroed(16384);
        let base = pos.next_multiple_of(8);
        for (i, &(hi, device, lo)) in entries.iter().enumerate() {
            let at = base + 8 * i;
            space.u16(at, hi).u16(at + 2, device).u32(at + 4, lo);
        }
        Self::new(pos, entries.len(), space, true, wide)
    }

    fn new(pos: usize, entries: usize, space: Bytes, indexes: bool, wide: bool) -> Self {
        let layout = Layout::Chunk {
            bits: 13,
            indexes,
            wide,
        };
        Self {
            sb: superblock(|image| {
                image.u32(sb::INCOMPAT, 8).u16(sb::DEVICES, 2);
            }),
            body: body(layout, pos as u64, 0),
            space,
            size: entries as u64 * CHUNK,
        }
    }

    fn map(&mut self, pos: u64, len: u64) -> Result<Extent, Error> {
        map(&mut self.space, &self.sb, &self.body, self.size, pos, len)
    }

    /// The extent that holds `pos`, as far as it goes.
    fn all(&mut self, pos: u64) -> Result<Extent, Error> {
        self.map(pos, u64::MAX)
    }
}

#[test]
fn chunks_join() {
    let mut file = Chunks::blocks(64, &[10, 12, 14, 20, NULL, NULL, 22]);
    assert_eq!(file.all(0), extent(0, 3 * CHUNK, at(10 * 4096)));
    assert_eq!(file.all(CHUNK + 5), extent(CHUNK, 2 * CHUNK, at(12 * 4096)));
    assert_eq!(file.all(3 * CHUNK), extent(3 * CHUNK, CHUNK, at(20 * 4096)));
    assert_eq!(
        file.all(4 * CHUNK),
        extent(4 * CHUNK, 2 * CHUNK, Place::Hole)
    );
    assert_eq!(file.all(6 * CHUNK), extent(6 * CHUNK, CHUNK, at(22 * 4096)));
}

#[test]
fn no_work_beyond_what_is_asked() {
    let mut file = Chunks::blocks(64, &[10, 12, 14, 16]);
    assert_eq!(file.map(0, 1), extent(0, CHUNK, at(10 * 4096)));
    assert_eq!(file.map(5, CHUNK), extent(0, 2 * CHUNK, at(10 * 4096)));
    assert_eq!(file.map(0, 0), extent(0, CHUNK, at(10 * 4096)));
    assert_eq!(file.space.reads, 3);
}

#[test]
fn the_last_chunk_ends_with_the_files_last_block() {
    let mut file = Chunks::blocks(64, &[10, 12]);
    file.size = CHUNK + 1;
    assert_eq!(file.all(0), extent(0, CHUNK + 4096, at(10 * 4096)));
    assert_eq!(file.all(CHUNK), extent(CHUNK, 4096, at(12 * 4096)));
    // A hole as well; and one chunk may be far larger than the file.
    let mut file = Chunks::blocks(64, &[NULL]);
    file.body.layout = Layout::Chunk {
        bits: 47,
        indexes: false,
        wide: false,
    };
    file.size = 5000;
    assert_eq!(file.all(4999), extent(0, 8192, Place::Hole));
}

#[test]
fn large_files_map_in_few_calls() {
    let entries: Vec<u32> = (0..1000).map(|i| 10 + 2 * i).collect();
    let mut file = Chunks::blocks(0, &entries);
    assert_eq!(file.all(0), extent(0, 1000 * CHUNK, at(10 * 4096)));
    // Not beyond the block of the first entry.
    let mut file = Chunks::blocks(2096, &entries);
    assert_eq!(file.all(0), extent(0, 500 * CHUNK, at(10 * 4096)));
    assert_eq!(
        file.all(500 * CHUNK),
        extent(500 * CHUNK, 500 * CHUNK, at(1010 * 4096))
    );
}

#[test]
fn indexes_are_aligned_and_carry_devices() {
    let mut file = Chunks::indexes(
        36,
        false,
        &[
            (7, 0, 10),
            (8, 0, 12),
            (0, 1, 14),
            (0, 5, 16),
            (0, 2, 18),
            (0, 9, NULL),
            (1, 0, NULL),
        ],
    );
    // Without the flag the high halves mean nothing; of the device id the mask leaves two bits.
    assert_eq!(file.all(0), extent(0, 2 * CHUNK, at(10 * 4096)));
    let on = |device, block: u64| Place::Device {
        device,
        addr: block * 4096,
    };
    assert_eq!(file.all(2 * CHUNK), extent(2 * CHUNK, 2 * CHUNK, on(1, 14)));
    assert_eq!(file.all(4 * CHUNK), extent(4 * CHUNK, CHUNK, on(2, 18)));
    assert_eq!(
        file.all(5 * CHUNK),
        extent(5 * CHUNK, 2 * CHUNK, Place::Hole)
    );
}

#[test]
fn wide_indexes() {
    let mut file = Chunks::indexes(
        64,
        true,
        &[(0, 0, 5), (1, 0, 7), (0, 0, NULL), (0xffff, 1, NULL)],
    );
    assert_eq!(file.all(0), extent(0, CHUNK, at(5 * 4096)));
    let high = (1 << 32) + 7;
    assert_eq!(file.all(CHUNK), extent(CHUNK, CHUNK, at(high * 4096)));
    let ones = u64::from(NULL);
    assert_eq!(
        file.all(2 * CHUNK),
        extent(2 * CHUNK, CHUNK, at(ones * 4096))
    );
    assert_eq!(file.all(3 * CHUNK), extent(3 * CHUNK, CHUNK, Place::Hole));
}

#[test]
fn a_run_may_pass_4_giblocks() {
    let mut file = Chunks::indexes(64, true, &[(0, 0, NULL - 1), (1, 0, 0)]);
    // Chunks are two blocks: the next after 2^32 - 2 is 2^32.
    assert_eq!(
        file.all(0),
        extent(0, 2 * CHUNK, at(u64::from(NULL - 1) * 4096))
    );
}

#[test]
fn row_28_device_not_there() {
    let mut file = Chunks::indexes(64, false, &[(0, 3, 10)]);
    let error = file.all(0).err().map(|error| error.errno());
    assert_eq!(error, Some(19));
    // Without a device table all ids are 0.
    file.sb = superblock(|_| ());
    assert_eq!(file.all(0), extent(0, CHUNK, at(10 * 4096)));
}

#[test]
fn entries_beyond_the_space() {
    let mut file = Chunks::blocks(16380, &[10]);
    file.size = 2 * CHUNK;
    assert_eq!(file.all(0), extent(0, CHUNK, at(10 * 4096)));
    let error = file.all(CHUNK).err().map(|error| error.errno());
    assert_eq!(error, Some(EIO));
    file.size = (1 << 63) - 1;
    let error = file.all(file.size - 1).err().map(|error| error.errno());
    assert_eq!(error, Some(EIO));
    file.body.xattr_pos = u64::MAX - 3;
    let error = file.all(file.size - 1).err().map(|error| error.errno());
    assert_eq!(error, Some(117));
}

#[test]
fn data_beyond_the_address_space() {
    let mut file = Chunks::indexes(64, true, &[(0xffff, 0, 0)]);
    assert!(file.all(0).is_ok());
    let mut large = crate::bytes::image();
    large.u8(sb::BLKSZBITS, 16);
    file.sb = Superblock::read(&mut large, 65536, crate::bytes::crc32c).expect("64 KiB blocks");
    file.space.u32(64 + 4, NULL - 1);
    file.body.layout = Layout::Chunk {
        bits: 20,
        indexes: true,
        wide: true,
    };
    file.size = 1 << 20;
    let error = file.all(0).err().map(|error| error.errno());
    assert_eq!(error, Some(EIO));
}

#[test]
fn whole_files_are_where_map_says() {
    let sb = superblock(|_| ());
    let layouts = [
        Layout::Plain { start: Some(7) },
        Layout::Plain { start: None },
        Layout::Inline { start: 7 },
        Layout::Chunk {
            bits: 12,
            indexes: false,
            wide: false,
        },
        Layout::Compressed { full: true },
    ];
    let mut found = 0;
    for layout in layouts {
        for xattr_pos in [4096, 4096 + 64, 8192 - 10, u64::MAX - 20] {
            for size in [1, 10, 4000, 4096, 4097, 9000, i64::MAX.unsigned_abs()] {
                let body = body(layout, xattr_pos, 16);
                let Some(addr) = whole(&sb, &body, size) else {
                    continue;
                };
                found += 1;
                for pos in [0, size / 2, size - 1] {
                    let there = flat(&body, size, pos).expect("a whole file maps");
                    let start = match there.place {
                        Place::Device { device: 0, addr } | Place::Inline { addr } => addr,
                        place => panic!("{place:?}"),
                    };
                    assert_eq!(
                        start - there.pos,
                        addr,
                        "{layout:?} {xattr_pos} {size} {pos}"
                    );
                }
            }
        }
    }
    // Plain files of any size; tails of one block that do not cross into the next.
    assert_eq!(found, 4 * 7 + 3 * 3 + 1);
}
