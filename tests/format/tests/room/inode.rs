// SPDX-License-Identifier: GPL-2.0

//! Inodes over bytes (rows 18 to 24).

use crate::bytes::image;
use crate::bytes::sb;
use crate::bytes::superblock;
use crate::bytes::Bytes;
use crate::bytes::EIO;
use crate::format::inode::FileType;
use crate::format::inode::Inode;
use crate::format::inode::Layout;
use crate::format::inode::Nid;
use crate::format::superblock::Superblock;
use crate::format::Error;
use crate::format::Kind;

/// The slot that the tests write to, and where it is.
const NID: Nid = Nid(300);
const POS: usize = 9600;

const FORMAT: usize = POS;
const ICOUNT: usize = POS + 2;
const MODE: usize = POS + 4;
const NB: usize = POS + 6;
const SIZE: usize = POS + 8;

const REG: u16 = 0o100_644;
const DIR: u16 = 0o040_755;

/// Offsets that differ with the inode's size.
struct Form {
    bit: u16,
    len: u64,
    i_u: usize,
}

const COMPACT: Form = Form {
    bit: 0,
    len: 32,
    i_u: POS + 16,
};
const EXTENDED: Form = Form {
    bit: 1,
    len: 64,
    i_u: POS + 16,
};

fn read(sb: &Superblock, change: impl FnOnce(&mut Bytes)) -> Result<Inode, Error> {
    let mut image = image();
    image.u16(MODE, REG);
    change(&mut image);
    Inode::read(&mut image, sb, NID)
}

fn plain() -> Superblock {
    superblock(|_| ())
}

#[test]
fn compact() {
    let sb = superblock(|image| {
        image.u64(sb::EPOCH, 1000).u32(sb::FIXED_NSEC, 123);
    });
    let inode = read(&sb, |image| {
        image
            .u16(ICOUNT, 27)
            .u16(NB, 3)
            .u32(SIZE, 5000)
            .u32(POS + 12, 50)
            .u32(POS + 16, 77)
            .u16(POS + 24, 1001)
            .u16(POS + 26, 65535);
    })
    .expect("a good inode");
    assert_eq!(inode.file_type, FileType::Regular);
    assert_eq!(inode.mode, REG);
    assert_eq!((inode.uid, inode.gid, inode.nlink), (1001, 65535, 3));
    assert_eq!(inode.size, 5000);
    assert_eq!((inode.mtime, inode.mtime_nsec), (1050, 123));
    assert_eq!(inode.rdev, (0, 0));
    assert_eq!(inode.blocks512, 16);
    let body = inode.body;
    assert_eq!(body.layout, Layout::Plain { start: Some(77) });
    assert_eq!(body.xattr_pos, 9632);
    assert_eq!(body.xattr_size, 116);
    assert_eq!(body.data_pos(), Ok(9632 + 116));
}

#[test]
fn extended() {
    let inode = read(&plain(), |image| {
        image
            .u16(FORMAT, 1)
            .u16(NB, 0x12)
            .u64(SIZE, (1 << 63) - 1)
            .u32(POS + 16, 0x3456_789a)
            .u32(POS + 24, 70000)
            .u32(POS + 28, u32::MAX)
            .i64(POS + 32, -2)
            .u32(POS + 40, 999_999_999)
            .u32(POS + 44, 70001);
    })
    .expect("a good inode");
    assert_eq!(
        (inode.uid, inode.gid, inode.nlink),
        (70000, u32::MAX, 70001)
    );
    assert_eq!(inode.size, (1 << 63) - 1);
    assert_eq!((inode.mtime, inode.mtime_nsec), (-2, 999_999_999));
    assert_eq!(inode.blocks512, 1 << 54);
    let body = inode.body;
    assert_eq!(
        body.layout,
        Layout::Plain {
            start: Some(0x12_3456_789a)
        }
    );
    assert_eq!((body.xattr_pos, body.xattr_size), (9664, 0));
}

#[test]
fn nanoseconds_stay_below_a_second() {
    for nsec in [1_000_000_000, u32::MAX] {
        let inode = read(&plain(), |image| {
            image.u16(FORMAT, 1).u32(POS + 40, nsec);
        });
        assert_eq!(inode.map(|inode| inode.mtime_nsec), Ok(999_999_999));
        let sb = superblock(|image| {
            image.u32(sb::FIXED_NSEC, nsec);
        });
        let inode = read(&sb, |_| ());
        assert_eq!(inode.map(|inode| inode.mtime_nsec), Ok(999_999_999));
    }
}

#[test]
fn times_wrap_as_in_c() {
    let sb = superblock(|image| {
        image.i64(sb::EPOCH, i64::MAX);
    });
    let inode = read(&sb, |image| {
        image.u32(POS + 12, 1);
    });
    assert_eq!(inode.map(|inode| inode.mtime), Ok(i64::MIN));
}

/// Section 3.5: which inodes have a high half, a link count and a NULL start.
#[test]
fn link_count_and_null_start() {
    const ONES: u32 = u32::MAX;
    let start = |lo: u32, hi: u16| Some(u64::from(hi) << 32 | u64::from(lo));
    for (form, mode, bit4, nb, lo, nlink, expected) in [
        (&COMPACT, REG, 0, 7, 5, 7, start(5, 0)),
        (&COMPACT, REG, 0, 7, ONES, 7, None),
        (&COMPACT, REG, 0x10, 7, 5, 1, start(5, 7)),
        (&COMPACT, REG, 0x10, 7, ONES, 1, start(ONES, 7)),
        (&COMPACT, REG, 0x10, 0xffff, ONES, 1, None),
        (&COMPACT, DIR, 0, 7, ONES, 7, None),
        (&COMPACT, DIR, 0x10, 7, 5, 7, start(5, 0)),
        (&COMPACT, DIR, 0x10, 7, ONES, 7, None),
        (&EXTENDED, REG, 0, 7, ONES, 9, start(ONES, 7)),
        (&EXTENDED, REG, 0x10, 0, ONES, 9, start(ONES, 0)),
        (&EXTENDED, DIR, 0x10, 0xffff, ONES, 9, None),
    ] {
        let inode = read(&plain(), |image| {
            image
                .u16(FORMAT, form.bit | bit4)
                .u16(MODE, mode)
                .u16(NB, nb)
                .u32(form.i_u, lo)
                .u32(POS + 44, 9);
        })
        .expect("a good inode");
        assert_eq!(inode.nlink, nlink);
        assert_eq!(inode.body.layout, Layout::Plain { start: expected });
        assert_eq!(inode.body.dot_omitted, mode == DIR && bit4 != 0);
        assert_eq!(inode.body.xattr_pos, POS as u64 + form.len);
    }
    // Only the plain layout has a NULL start.
    let inode = read(&plain(), |image| {
        image.u16(FORMAT, 4).u32(POS + 16, ONES);
    });
    assert_eq!(
        inode.map(|inode| inode.body.layout),
        Ok(Layout::Inline {
            start: u64::from(ONES)
        })
    );
}

#[test]
fn file_types_and_row_22() {
    for (mode, expected) in [
        (0o010_000, FileType::Fifo),
        (0o020_000, FileType::Char),
        (0o040_000, FileType::Directory),
        (0o060_000, FileType::Block),
        (0o100_000, FileType::Regular),
        (0o120_000, FileType::Symlink),
        (0o140_000, FileType::Socket),
    ] {
        let inode = read(&plain(), |image| {
            image.u16(MODE, mode | 0o7777).u32(POS + 16, 0x123a_bc45);
        })
        .expect("a good inode");
        assert_eq!(inode.file_type, expected);
        assert_eq!(inode.mode, mode | 0o7777);
        let device = matches!(expected, FileType::Char | FileType::Block);
        assert_eq!(inode.rdev, if device { (0xabc, 0x12345) } else { (0, 0) });
    }
    for bad in [
        0o000_000, 0o030_000, 0o070_000, 0o110_000, 0o160_000, 0o170_000,
    ] {
        let error = read(&plain(), |image| {
            image.u16(MODE, bad | 0o644);
        });
        assert_eq!(error.err(), Some(Error::corrupt("bogus i_mode")));
    }
}

#[test]
fn row_20_formats() {
    for bit in 5..16 {
        let error = read(&plain(), |image| {
            image.u16(FORMAT, 1 << bit);
        });
        assert_eq!(error.err().map(|error| error.kind), Some(Kind::Unsupported));
    }
    for layout in 5..8 {
        let error = read(&plain(), |image| {
            image.u16(FORMAT, layout << 1);
        });
        assert_eq!(error.err().map(|error| error.kind), Some(Kind::Unsupported));
    }
}

#[test]
fn row_21_negative_size() {
    for size in [1 << 63, u64::MAX] {
        let error = read(&plain(), |image| {
            image.u16(FORMAT, 1).u64(SIZE, size);
        });
        assert_eq!(error.err(), Some(Error::corrupt("negative i_size")));
    }
}

#[test]
fn row_23_compressed() {
    let lz4 = superblock(|image| {
        image.u32(sb::INCOMPAT, 1);
    });
    for (layout, full) in [(1, true), (3, false)] {
        for mode in [REG, DIR, 0o010_644] {
            let change = |image: &mut Bytes| {
                image
                    .u16(FORMAT, layout << 1 | 0x10)
                    .u16(MODE, mode)
                    .u16(NB, 1)
                    .u32(POS + 16, 3);
            };
            let error = read(&plain(), change).err().map(|error| error.kind);
            assert_eq!(error, Some(Kind::Corrupt));
            let inode = read(&lz4, change).expect("a good inode");
            assert_eq!(inode.body.layout, Layout::Compressed { full });
            let hi = if mode == DIR { 0 } else { 1 << 32 };
            assert_eq!(inode.blocks512, (hi + 3) * 8);
        }
    }
}

#[test]
fn row_24_chunks() {
    for (format, indexes, wide) in [(0, false, false), (0x20, true, false), (0x60, true, true)] {
        for bits in [0, 9, 31] {
            let inode = read(&plain(), |image| {
                image
                    .u16(FORMAT, 8)
                    .u16(POS + 16, format | bits)
                    .u16(POS + 18, 0xffff);
            });
            let expected = Layout::Chunk {
                bits: 12 + bits.to_le_bytes()[0],
                indexes,
                wide,
            };
            assert_eq!(inode.map(|inode| inode.body.layout), Ok(expected));
        }
    }
    for bit in 7..16 {
        for mode in [REG, 0o010_644] {
            let error = read(&plain(), |image| {
                image.u16(FORMAT, 8).u16(MODE, mode).u16(POS + 16, 1 << bit);
            });
            assert_eq!(error.err().map(|error| error.kind), Some(Kind::Unsupported));
        }
    }
}

#[test]
fn xattr_sizes() {
    for (icount, size) in [(0, 0), (1, 12), (2, 16), (27, 116), (65535, 262_148)] {
        let inode = read(&plain(), |image| {
            image.u16(ICOUNT, icount);
        });
        assert_eq!(inode.map(|inode| inode.body.xattr_size), Ok(size));
    }
}

#[test]
fn blocks_round_up() {
    for (size, blocks512) in [(0, 0), (1, 8), (4096, 8), (4097, 16)] {
        let inode = read(&plain(), |image| {
            image.u32(SIZE, size);
        });
        assert_eq!(inode.map(|inode| inode.blocks512), Ok(blocks512));
    }
}

#[test]
fn an_extended_inode_straddles_a_block() {
    let sb = plain();
    let mut image = image();
    let pos = 2 * 4096 - 32;
    image.u16(pos, 1).u16(pos + 4, REG).u32(pos + 44, 5);
    let inode = Inode::read(&mut image, &sb, Nid(pos as u64 / 32));
    assert_eq!(inode.map(|inode| inode.nlink), Ok(5));
}

#[test]
fn rows_18_and_19_places() {
    let plain = plain();
    let mut image = image();
    let mut errno = |sb: &Superblock, nid| {
        Inode::read(&mut image, sb, Nid(nid))
            .err()
            .map(|error| error.errno())
    };
    assert_eq!(errno(&plain, 1 << 63), Some(117), "no metabox");
    assert_eq!(errno(&plain, u64::MAX >> 1), Some(117), "beyond 2^64");
    assert_eq!(errno(&plain, 1 << 59), Some(117), "beyond 2^64");
    assert_eq!(errno(&plain, (1 << 59) - 1), Some(EIO), "beyond the device");
    assert_eq!(errno(&plain, 512), Some(EIO), "at its end");
    assert_eq!(errno(&plain, 511), Some(117), "zeros are no inode");

    let meta = superblock(|image| {
        image.u32(sb::META, u32::MAX);
    });
    assert_eq!(errno(&meta, (1 << 59) - 1), Some(117), "base and slot");
}

#[test]
fn nids_in_the_metabox_start_at_its_beginning() {
    let sb = superblock(|image| {
        image
            .u32(sb::INCOMPAT, 0x100)
            .u8(sb::EXTSLOTS, 1)
            .u32(sb::META, 1);
    });
    let mut metabox = image();
    metabox.u16(MODE, REG).u16(NB, 6);
    let inode = Inode::read(&mut metabox, &sb, Nid(1 << 63 | NID.0));
    assert_eq!(inode.map(|inode| inode.nlink), Ok(6));
    // On the primary device the same slot lies a block later.
    let mut primary = image();
    primary.u16(MODE + 4096, REG).u16(NB + 4096, 7);
    let inode = Inode::read(&mut primary, &sb, NID);
    assert_eq!(inode.map(|inode| inode.nlink), Ok(7));
}
