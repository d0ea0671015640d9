// SPDX-License-Identifier: GPL-2.0

//! Tables of extents over bytes, with records of all sizes.

use crate::format::compress::Algorithm;
use crate::format::compress::Stored;
use crate::index::encoded;
use crate::index::hex;
use crate::index::lz4;
use crate::index::partial;
use crate::index::run;
use crate::index::shifted;
use crate::index::File;

#[test]
fn table_of_lengths() {
    let bytes = "00 00 00 00 01 00 00 04  00 10 00 00 00 00 00 00
                 14 00 00 40 14 00 00 40 14 00 00 40 00 10 00 00";
    let mut file = File::new(true, 200_000, 8, &hex(bytes));
    let zstd = |run| encoded(Algorithm::Zstd, run);
    assert_eq!(
        file.extents(),
        [
            (0, zstd(run(0x1000, 20))),
            (65_536, zstd(run(0x1014, 20))),
            (131_072, zstd(run(0x1028, 20))),
            (196_608, shifted(run(0x103c, 4096))),
        ]
    );

    // Of many, all lengths before are summed up, by few reads.
    let mut bytes = hex("00 00 00 00 01 00 00 00  00 10 00 00 00 00 00 00");
    let mut addr = 0x1000;
    let mut expected = Vec::new();
    for i in 0..1000u32 {
        let len = i % 7 * 100;
        bytes.extend((len | 1 << 28 | 0x3f << 21).to_le_bytes());
        let stored = match len {
            0 => Stored::Hole,
            _ => lz4(run(addr, len)),
        };
        expected.push((4096 * u64::from(i), stored));
        addr += u64::from(len);
    }
    for pos in [8, 24, 248, 4000] {
        let mut file = File::new(true, 1000 * 4096 - 1, pos, &bytes);
        // The reserved bits 21 to 26 of a length are not looked at.
        assert!(file.extents() == expected);
        let index = file.index().expect("good");
        file.src.reads = 0;
        index
            .extent(&mut file.src, &file.sb, 999 * 4096)
            .expect("good");
        assert!(file.src.reads < 20, "{}", file.src.reads);
    }
}

#[test]
fn table_of_addresses() {
    let bytes = "00 00 00 00 23 00 00 04
                 14 00 00 40 00 10 00 00  14 00 00 40 00 10 00 00
                 14 00 00 40 00 10 00 00  00 00 00 00 00 00 00 00";
    let mut file = File::new(true, 200_000, 0, &hex(bytes));
    let zstd = encoded(Algorithm::Zstd, run(0x1000, 20));
    assert_eq!(
        file.extents(),
        [
            (0, zstd),
            (65_536, zstd),
            (131_072, zstd),
            (196_608, Stored::Fragment { offset: 0 }),
        ]
    );
    // The word of a fragment has no flags, and the address is its high half.
    file.src.u32(32, 0xf123_4567).u32(36, 3);
    let offset = 0x3_f123_4567;
    assert_eq!(file.extents()[3].1, Stored::Fragment { offset });
    file.src.u16(4, 3).u32(32, 0);
    assert_eq!(file.extents()[3].1, Stored::Hole);
}

#[test]
fn table_with_starts() {
    let mut bytes = hex("03 00 00 00 05 00 00 00  de ad be ef de ad be ef");
    bytes.extend(hex("00 40 00 18 00 50 24 00 00 00 00 00 00 00 00 00
         00 40 00 10 00 a0 20 00 01 00 00 00 80 31 00 00
         01 00 00 00 07 00 00 00 02 00 00 00 00 00 02 00"));
    let mut file = File::new(true, 0x20001, 0, &bytes);
    let stored = [
        (0, partial(run(0x24_5000, 0x4000))),
        (0x3180, lz4(run(0x1_0020_a000, 0x4000))),
        (0x20000, shifted(run(0x2_0000_0007, 1))),
    ];
    assert_eq!(file.extents(), stored);
    // Before the first one is a hole.
    file.src.u32(28, 0x1000);
    assert_eq!(
        file.extents(),
        [
            (0, Stored::Hole),
            (0x1000, stored[0].1),
            stored[1],
            stored[2]
        ]
    );
    // The last one may be a fragment; the address is its high half, of which 32 bits are left.
    file.src.u16(4, 0x25);
    let offset = 0x7_0000_0001;
    assert_eq!(file.extents()[3].1, Stored::Fragment { offset });
    // None is a hole.
    file.src.u8(0, 0);
    assert_eq!(file.extents(), [(0, Stored::Hole)]);
    // Plain blocks are interlaced if the header says so.
    file.src.u8(0, 3).u16(4, 0x15).u32(28, 0);
    file.src.u32(48, 4096).u32(52, 0x7000).u32(60, 0x1ff00);
    file.size = 0x20100;
    let stored = Stored::Plain {
        run: run(0x2_0000_7000, 4096),
        head: 256,
        head_at: 0xf00,
    };
    assert_eq!(file.extents()[2], (0x1ff00, stored));
    // Not where they are no blocks.
    file.src.u32(52, 0x7001);
    assert_eq!(file.extents()[2].1, shifted(run(0x2_0000_7001, 4096)));
}

#[test]
fn table_with_long_starts() {
    let mut bytes = hex("02 00 00 00 07 00 00 00");
    bytes.resize(32, 0xee);
    bytes.extend(hex(
        "00 80 00 10 00 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
    ));
    bytes.resize(64, 0xee);
    bytes.extend(hex(
        "00 10 00 00 00 40 24 01 00 00 00 00 00 00 00 13 01 00 00 00",
    ));
    bytes.resize(96, 0xee);
    let mut file = File::new(true, 0x1_1300_0e00, 0, &bytes);
    // The first one is longer than any may be.
    assert!(file.extent(0).is_err());
    file.src.u32(32, 0);
    assert_eq!(
        file.extents(),
        [
            (0, Stored::Hole),
            (0x1_1300_0000, shifted(run(0x124_4000, 4096))),
        ]
    );
}
