// SPDX-License-Identifier: GPL-2.0

//! Indexes that are wrong: rows 39 to 53 of the format's table of corruption.

use crate::bytes::sb;
use crate::bytes::superblock;
use crate::format::Kind;
use crate::index::File;

/// 4 lclusters of 4 KiB: a head with 2 blocks, its nonhead, a head with one, its end.
fn full() -> File {
    let mut file = File::new(true, 4 * 4096, 0, &[0; 48]);
    file.src
        .u16(4, 2)
        .u16(16, 1)
        .u32(20, 9)
        .u16(24, 2)
        .u32(28, 0x1_0802)
        .u16(32, 1)
        .u32(36, 11)
        .u16(40, 0)
        .u32(44, 12);
    file
}

/// The same as a compact index, which has 2 lclusters in a pack.
fn compact() -> File {
    let mut file = File::new(false, 4 * 4096, 0, &[0; 24]);
    file.src
        .u16(4, 6)
        .u16(8, 0x1000)
        .u16(10, 0x2802)
        .u32(12, 9)
        .u16(16, 0x1000)
        .u16(18, 0)
        .u32(20, 11);
    file
}

/// 3 extents with 16-byte records.
fn table() -> File {
    let mut file = File::new(true, 4 * 4096, 0, &[0; 64]);
    file.src.u16(4, 5).u32(0, 3);
    for (i, start) in [(0, 0), (1, 5000), (2, 10_000)] {
        file.src
            .u32(16 + 16 * i, 0x1000_1000)
            .u32(20 + 16 * i, 0x9000)
            .u32(28 + 16 * i, start);
    }
    file
}

/// What comes of reading byte `pos` after a change of the file.
fn fault(file: fn() -> File, change: impl FnOnce(&mut File), pos: u64) -> (Option<Kind>, i32) {
    let mut file = file();
    change(&mut file);
    match file.extent(pos) {
        Ok(_) => (None, 0),
        Err(error) => (Some(error.kind), error.errno()),
    }
}

const GOOD: (Option<Kind>, i32) = (None, 0);
const CORRUPT: (Option<Kind>, i32) = (Some(Kind::Corrupt), 117);
const UNSUPPORTED: (Option<Kind>, i32) = (Some(Kind::Unsupported), 95);
const INVALID: (Option<Kind>, i32) = (Some(Kind::Invalid), 22);

#[test]
fn all_are_good_before() {
    for file in [full, compact, table] {
        for pos in [0, 1, 4095, 4096, 8191, 8192, 12_287, 12_288, 16_383] {
            assert_eq!(fault(file, |_| (), pos), GOOD, "{pos}");
        }
        assert_eq!(fault(file, |_| (), 16_384), (Some(Kind::Errno(5)), 5));
    }
}

#[test]
fn row_39_algorithms() {
    for file in [full, compact] {
        for algorithms in [0x04, 0x40, 0x0f, 0xf0, 0xff] {
            let change = |file: &mut File| _ = file.src.u8(6, algorithms);
            assert_eq!(fault(file, change, 0), UNSUPPORTED, "{algorithms:x}");
        }
        for algorithms in [0x00, 0x33, 0x12] {
            let change = |file: &mut File| _ = file.src.u8(6, algorithms);
            assert_eq!(fault(file, change, 0), GOOD, "{algorithms:x}");
        }
    }
}

#[test]
fn row_40_big_pclusters() {
    let small = |file: &mut File| {
        file.sb = superblock(|image| {
            image.u32(sb::INCOMPAT, 1);
        });
    };
    assert_eq!(fault(full, small, 0), CORRUPT);
    assert_eq!(fault(compact, small, 0), CORRUPT);
    for advise in [2, 4] {
        let change = |file: &mut File| _ = file.src.u16(4, advise);
        assert_eq!(fault(compact, change, 0), CORRUPT);
        assert_eq!(fault(full, change, 0), GOOD);
    }
}

#[test]
fn row_41_start_beyond_its_lcluster() {
    for (start, result) in [(4095, GOOD), (4096, CORRUPT), (65_535, CORRUPT)] {
        let change = |file: &mut File| _ = file.src.u16(34, start).u16(32, 0);
        // Also of the next head.
        assert_eq!(fault(full, change, 0), result);
        assert_eq!(fault(full, change, 12_287), result);
    }
    // The compact index has no room for such a value, unless lclusters are small.
    let change = |file: &mut File| {
        file.sb = crate::index::all_algorithms(9);
        file.src.u16(8, 0x1200);
    };
    assert_eq!(fault(compact, change, 511), CORRUPT);
}

#[test]
fn row_42_block_count_without_big_pclusters() {
    for file in [full, compact] {
        let change = |file: &mut File| _ = file.src.u16(4, 0);
        assert_eq!(fault(file, change, 4096), CORRUPT);
        assert_eq!(fault(file, change, 0), CORRUPT);
        assert_eq!(fault(file, change, 8192), GOOD);
    }
}

#[test]
fn row_43_no_block_count() {
    let change = |file: &mut File| _ = file.src.u16(28, 1);
    assert_eq!(fault(full, change, 0), CORRUPT);
    assert_eq!(fault(full, change, 8192), GOOD);
    let change = |file: &mut File| _ = file.src.u16(10, 0x2001);
    assert_eq!(fault(compact, change, 0), CORRUPT);
}

#[test]
fn row_44_way_back() {
    for back in [0, 2, 3, 0x7ff] {
        let change = |file: &mut File| _ = file.src.u16(28, back);
        assert_eq!(fault(full, change, 5000), CORRUPT, "{back}");
    }
    // A first extent that does not start the file, and a first entry that is no head.
    for (kind, start) in [(1, 1), (2, 0)] {
        let change = |file: &mut File| _ = file.src.u16(16, kind).u16(18, start).u32(20, 0x1_0001);
        assert_eq!(fault(full, change, 0), CORRUPT);
    }
    for entry in [0x1001, 0x2001] {
        let change = |file: &mut File| _ = file.src.u16(8, entry);
        assert_eq!(fault(compact, change, 0), CORRUPT);
    }
}

/// A compact index with a pack of 16 entries that are `entries` at first, then heads.
fn large_pack(entries: &[u32]) -> File {
    let mut file = File::new(false, 16 * 4096, 24, &[0; 40]);
    file.src.u16(28, 7);
    let mut pack = [0; 32];
    for i in 0..16 {
        let entry = entries.get(i).copied().unwrap_or(0x1000);
        for bit in (0..14).filter(|bit| entry >> bit & 1 != 0) {
            let at = 14 * i + bit;
            pack[at / 8] |= 1 << (at % 8);
        }
    }
    pack[28] = 9;
    file.src.put(32, &pack);
    file
}

#[test]
fn row_45_sum_of_blocks() {
    let at = |entries: &[u32], lcn: u64| {
        let mut file = large_pack(entries);
        file.extent(lcn * 4096).map_err(|error| error.kind)
    };
    assert!(at(&[0x1000, 0x2802, 0x2002], 3).is_ok());
    assert!(at(&[0x1000, 0x2802, 0x2002], 0).is_ok());
    for back in [0x2000, 0x2001] {
        assert_eq!(at(&[0x1000, 0x2802, back], 3), Err(Kind::Corrupt));
        assert_eq!(at(&[0x1000, back, 0x2002], 5), Err(Kind::Corrupt));
    }
}

#[test]
fn rows_46_and_47_large_lclusters() {
    for (more, result) in [(0, GOOD), (2, GOOD), (3, INVALID), (15, INVALID)] {
        // Entries of 4 bytes have 14 bits for a start.
        let change = |file: &mut File| _ = file.src.u8(7, more).u16(8, 1 << (12 + more.min(2)));
        assert_eq!(fault(compact, change, 0), result, "{more}");
    }
    let mut file = large_pack(&[]);
    assert!(file.extent(0).is_ok());
    file.src.u8(31, 1);
    assert_eq!(file.extent(0).map_err(|error| error.errno()), Err(95));
    for (more, result) in [(3, GOOD), (4, UNSUPPORTED)] {
        let change = |file: &mut File| _ = file.src.u8(7, more);
        assert_eq!(fault(full, change, 0), result, "{more}");
    }
}

#[test]
fn row_48_inline_tail_across_blocks() {
    // The tail follows the index at 48.
    for (len, result) in [(4048, GOOD), (4049, CORRUPT), (65_535, CORRUPT)] {
        let change = |file: &mut File| _ = file.src.u16(4, 10).u16(2, len).u16(40, 1);
        for pos in [0, 16_383] {
            assert_eq!(fault(full, change, pos), result, "{len}");
        }
    }
}

#[test]
fn row_49_order_of_extents() {
    let at = |record: usize, start, pos| {
        let change = |file: &mut File| _ = file.src.u32(28 + 16 * record, start);
        fault(table, change, pos)
    };
    assert_eq!(at(2, 16_384, 10_000), GOOD);
    assert_eq!(at(2, 16_385, 10_000), CORRUPT);
    assert_eq!(at(1, u32::MAX, 0), CORRUPT);
    assert_eq!(at(1, 16_384, 0), GOOD);
    assert_eq!(at(0, 6000, 0), CORRUPT);
    assert_eq!(at(2, 4999, 10_000), CORRUPT);
}

#[test]
fn row_50_formats_of_extents() {
    for (format, result) in [(0, GOOD), (4, GOOD), (5, UNSUPPORTED), (15, UNSUPPORTED)] {
        let change = |file: &mut File| _ = file.src.u32(48, format << 28 | 0x2000);
        assert_eq!(fault(table, change, 10_000), result, "{format}");
    }
}

#[test]
fn row_51_limits() {
    // An algorithm that the image does not name.
    let lzma_only = |file: &mut File| {
        file.sb = superblock(|image| {
            image
                .u32(sb::INCOMPAT, 3)
                .u16(sb::U1, 2)
                .put(1152, &[14, 0, 0, 0, 1, 0]);
        });
    };
    for file in [full, compact, table] {
        assert_eq!(fault(file, lzma_only, 0), CORRUPT);
    }
    let record = |at: usize, value| {
        let change = |file: &mut File| _ = file.src.u32(at, value);
        fault(table, change, 0)
    };
    // More stored than there is, unless the file ends there or more is decoded.
    assert_eq!(record(16, 0x1000_0000 | 5000), GOOD);
    assert_eq!(record(16, 0x1000_0000 | 5001), CORRUPT);
    assert_eq!(record(16, 0x1800_0000 | 5001), GOOD);
    let change = |file: &mut File| _ = file.src.u32(48, 0x1000_0000 | 9000);
    assert_eq!(fault(table, change, 10_000), GOOD);
    // Less plain data than there is.
    assert_eq!(record(16, 5000), GOOD);
    assert_eq!(record(16, 4999), CORRUPT);
    let change = |file: &mut File| _ = file.src.u16(34, 1).u16(32, 0).u16(24, 0);
    assert_eq!(fault(full, change, 5000), CORRUPT, "a block and a byte");
    // Stored bytes.
    assert_eq!(record(16, 1 << 20), GOOD);
    assert_eq!(record(16, (1 << 20) + 1), UNSUPPORTED);
    // Bytes of the file.
    for (end, result) in [(12 << 20, GOOD), ((12 << 20) + 1, UNSUPPORTED)] {
        let change = |file: &mut File| {
            file.size = 20 << 20;
            file.src.u32(44, end).u32(60, 19 << 20);
        };
        assert_eq!(fault(table, change, 0), result);
        // Not of a hole.
        let hole = |file: &mut File| {
            change(file);
            file.src.u32(16, 0);
        };
        assert_eq!(fault(table, hole, 0), GOOD);
    }
    // Addresses: block numbers have 48 bits.
    let address = |addr: u64| {
        let change = |file: &mut File| _ = file.src.u64(20, addr);
        fault(table, change, 0)
    };
    assert_eq!(address((1 << 60) - 4097), GOOD);
    assert_eq!(address((1 << 60) - 4096), CORRUPT);
    assert_eq!(address(u64::MAX), CORRUPT);
    assert_eq!(address(u64::MAX - 4095), CORRUPT);
}

#[test]
fn row_52_work_is_bounded() {
    // A file of 2^62 bytes, all nonheads that go by 1: searches end before the index does.
    const COUNT: usize = (1 << 20) + 10;
    let nonheads = |from: usize| {
        let mut file = File::new(true, 1 << 62, 0, &vec![0; 16 + 8 * COUNT]);
        for lcn in from..COUNT {
            file.src.u16(16 + 8 * lcn, 2).u32(20 + 8 * lcn, 0x1_0001);
        }
        file.src.u16(16, 0x4001);
        file
    };
    let mut file = nonheads(1);
    let last = (COUNT as u64 - 1) * 4096;
    for pos in [0, last] {
        let error = file.extent(pos).expect_err("too far");
        assert_eq!(error.kind, Kind::Corrupt);
        assert!(file.src.reads < COUNT + 10, "{}", file.src.reads);
        file.src.reads = 0;
    }
    // So are sums of lengths, however large the file claims to be.
    let mut file = File::new(true, 1 << 62, 0, &[0; 1 << 12]);
    file.src.u16(4, 1);
    for pos in [4096 * 1021, 1 << 37, 1 << 40, (1 << 62) - 1] {
        file.src.reads = 0;
        assert!(file.extent(pos).is_err());
        assert!(file.src.reads < 5, "{}", file.src.reads);
    }
    // And searches for starts.
    let mut file = table();
    file.src.u32(0, u32::MAX).u16(6, 0x7fff);
    assert!(file.extent(0).is_err());
    assert!(file.src.reads < 60);
}

#[test]
fn way_ahead_ends_with_the_file() {
    for forward in [2, 3, 4, 100, 0xffff] {
        let change = |file: &mut File| _ = file.src.u16(30, forward);
        assert_eq!(fault(full, change, 0), GOOD);
    }
}

#[test]
fn row_53_heads_out_of_order() {
    // The third lcluster leads to the first one, past the head in the second.
    let change = |file: &mut File| {
        file.src.u16(24, 1).u32(28, 10);
        file.src.u16(32, 2).u32(36, 0x1_0002);
    };
    assert_eq!(fault(full, change, 8192), CORRUPT);
    assert_eq!(fault(full, change, 0), GOOD);
}

#[test]
fn indexes_beyond_their_space() {
    for (file, full) in [(full as fn() -> File, 40), (compact, 16), (table, 48)] {
        let change = |file: &mut File| file.src.data.truncate(full);
        assert_eq!(fault(file, change, 16_383), (Some(Kind::Errno(5)), 5));
        let change = |file: &mut File| file.src.data.truncate(7);
        assert_eq!(fault(file, change, 0), (Some(Kind::Errno(5)), 5));
    }
}
