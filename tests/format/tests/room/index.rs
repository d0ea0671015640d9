// SPDX-License-Identifier: GPL-2.0

//! Indexes of compressed files over bytes: the worked examples of the format, and what is legal but
//! not written by mkfs.erofs.

use crate::bytes::sb;
use crate::bytes::superblock;
use crate::bytes::Bytes;
use crate::format::compress::padding;
use crate::format::compress::Algorithm;
use crate::format::compress::Extent;
use crate::format::compress::Index;
use crate::format::compress::Run;
use crate::format::compress::Space;
use crate::format::compress::Stored;
use crate::format::inode::Body;
use crate::format::inode::Layout;
use crate::format::superblock::Superblock;
use crate::format::Error;
use crate::format::Result;

/// A file whose map header starts `src` at `pos`.
pub(crate) struct File {
    pub(crate) sb: Superblock,
    pub(crate) src: Bytes,
    pos: u64,
    full: bool,
    pub(crate) size: u64,
}

/// Every algorithm, big pclusters, and blocks of `1 << bits` bytes.
pub(crate) fn all_algorithms(bits: u8) -> Superblock {
    superblock(|image| {
        image
            .u32(sb::INCOMPAT, 3)
            .u8(sb::BLKSZBITS, bits)
            .u16(sb::U1, 15);
        let mut pos = 1152;
        for record in [
            &[14, 0, 0xff, 0xff, 16, 0][..],
            &[14, 0, 0, 0, 1, 0],
            &[6, 0, 15],
            &[6, 0, 0, 7],
        ] {
            image.put(pos, record);
            pos = (pos + 2 + usize::from(record[0])).next_multiple_of(4);
        }
    })
}

impl File {
    /// A file of `size` bytes whose map header is at `pos`, followed by its index: all in `bytes`.
    pub(crate) fn new(full: bool, size: u64, pos: u64, bytes: &[u8]) -> Self {
        let mut src = Bytes::zeroed(usize::try_from(pos).expect("small"));
        src.data.extend_from_slice(bytes);
        Self {
            sb: all_algorithms(12),
            src,
            pos,
            full,
            size,
        }
    }

    pub(crate) fn index(&mut self) -> Result<Index> {
        let body = Body {
            layout: Layout::Compressed { full: self.full },
            xattr_pos: self.pos,
            xattr_size: 0,
            dot_omitted: false,
        };
        Index::read(&mut self.src, &self.sb, &body, self.size)
    }

    pub(crate) fn extent(&mut self, pos: u64) -> Result<Extent> {
        self.index()?.extent(&mut self.src, &self.sb, pos)
    }

    /// All extents, each of which is found from its first, its last, and other bytes.
    pub(crate) fn extents(&mut self) -> Vec<(u64, Stored)> {
        let index = self.index().expect("a good header");
        let mut found = Vec::new();
        let mut pos = 0;
        while pos < self.size {
            let mut extent = |pos| index.extent(&mut self.src, &self.sb, pos);
            let first = extent(pos).expect("a good index");
            assert_eq!(first.pos, pos);
            for byte in [1, 2, first.len / 3, first.len / 2, first.len - 1] {
                assert_eq!(extent(pos + byte.min(first.len - 1)), Ok(first));
            }
            found.push((pos, first.stored));
            pos += first.len;
        }
        assert_eq!(pos, self.size);
        assert!(index.extent(&mut self.src, &self.sb, pos).is_err());
        found
    }
}

pub(crate) fn run(addr: u64, len: u32) -> Run {
    Run {
        addr,
        len,
        space: Space::Device,
    }
}

fn blocks(block: u64, count: u32) -> Run {
    run(block * 4096, count * 4096)
}

pub(crate) fn encoded(algorithm: Algorithm, run: Run) -> Stored {
    Stored::Encoded {
        run,
        algorithm,
        partial: false,
    }
}

pub(crate) fn lz4(run: Run) -> Stored {
    encoded(Algorithm::Lz4, run)
}

pub(crate) fn partial(run: Run) -> Stored {
    Stored::Encoded {
        run,
        algorithm: Algorithm::Lz4,
        partial: true,
    }
}

pub(crate) fn shifted(run: Run) -> Stored {
    Stored::Plain {
        run,
        head: 0,
        head_at: 0,
    }
}

/// Bytes as the format's reference prints them.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("digits");
            u8::from_str_radix(pair, 16).expect("digits")
        })
        .collect()
}

const ONE_BLOCK: &str = "
    00 00 00 00 01 00 00 00  00 10 dc 10 67 01 00 00
    2a 91 71 74 21 99 4b 4a d3 dd 84 43 b5 52 66 d5
    8a 65 71 75 5f b6 98 51 26 a2 55 6c 69 01 00 00
    a8 1b df 1c 79 01 00 00  5d 1d 4f 1e 7b 01 00 00
    01 1f b5 0f 7d 01 00 00  a0 06 00 00 7f 01 00 00";

#[test]
fn compact_with_pclusters_of_one_block() {
    let mut file = File::new(false, 100_000, 0x2cbbf0, &hex(ONE_BLOCK));
    let found = file.extents();
    assert_eq!(found.len(), 24);
    for (i, start) in [0, 4316, 8490, 12742].into_iter().enumerate() {
        assert_eq!(found[i], (start, lz4(blocks(360 + i as u64, 1))));
    }
    assert_eq!(found[18], (76_712, lz4(blocks(378, 1))));
    assert_eq!(found[23], (98_229, shifted(blocks(383, 1))));
}

const BIG: &str = "
    00 00 00 00 07 00 00 00  00 10 10 28 22 01 00 00
    02 e0 00 48 00 16 80 06 e0 01 88 00 26 80 0a e0
    02 c8 00 36 80 0e e0 03 08 01 0e 80 32 01 00 00
    12 20 01 20 32 01 00 00  d2 09 d2 09 32 01 00 00
    d2 09 d2 09 34 01 00 00  a0 06 00 00 36 01 00 00";

#[test]
fn compact_with_big_pclusters() {
    let mut file = File::new(false, 100_000, 0x254bf0, &hex(BIG));
    assert_eq!(
        file.extents(),
        [
            (0, lz4(blocks(290, 16))),
            (84_434, shifted(blocks(306, 1))),
            (88_530, shifted(blocks(307, 1))),
            (92_626, shifted(blocks(308, 1))),
            (96_722, shifted(blocks(309, 1))),
        ]
    );
    // An extent that starts where it is asked for is found by few reads: the first pack, the large
    // one, and the one that the way ahead leads to.
    let index = file.index().expect("good");
    file.src.reads = 0;
    index
        .extent(&mut file.src, &file.sb, 0)
        .expect("a good index");
    assert!(file.src.reads <= 4, "{} reads", file.src.reads);
}

#[test]
fn block_count_at_the_start_of_a_pack() {
    // Entries 0 to 17 before it: one head of a large extent, then the head at 17 in a pack's end.
    let pack = hex("04 a8 00 38 00 12 80 05 a0 01 78 00 ee 78 04 a8
                    00 38 00 12 80 05 a0 01 78 00 06 80 0f 00 00 00");
    let mut bytes = hex("00 00 00 00 07 00 11 00");
    // E is 24 behind a multiple of 32: 2 entries of 4 bytes, then large packs.
    bytes.extend(hex("00 10 01 28 01 00 00 00"));
    let mut first = Packer::new();
    for lcn in 2..17u32 {
        first.push(2, lcn); // Nonheads.
    }
    first.push(1, 0x123);
    bytes.extend(first.finish(15));
    bytes.extend(&pack);
    bytes.extend(hex("00 18 00 28 17 00 00 00"));
    let mut file = File::new(false, 36 * 4096, 0x10, &bytes);
    let lzma = |run| encoded(Algorithm::Lzma, run);
    let found = file.extents();
    assert_eq!(found[0], (0, lzma(blocks(1, 1))));
    assert_eq!(found[1], (17 * 4096 + 0x123, lzma(blocks(15, 4))));
    assert_eq!(found[2], (25 * 4096 + 3643, lzma(blocks(19, 4))));
    // In the next pack: its base is its own.
    assert_eq!(found[3].0, 34 * 4096 + 0x800);
}

/// A pack of 16 entries of 2 bytes.
struct Packer {
    bits: u128,
    more: u128,
    count: u32,
}

impl Packer {
    fn new() -> Self {
        Self {
            bits: 0,
            more: 0,
            count: 0,
        }
    }

    fn push(&mut self, kind: u32, value: u32) {
        let entry = u128::from(kind << 12 | value);
        let at = 14 * (self.count % 8);
        match self.count / 8 {
            0 => self.bits |= entry << at,
            _ => self.more |= entry << at,
        }
        self.count += 1;
    }

    fn finish(self, base: u32) -> Vec<u8> {
        assert_eq!(self.count, 16);
        let half = |bits: u128| bits.to_le_bytes()[..14].to_vec();
        [
            half(self.bits),
            half(self.more),
            base.to_le_bytes().to_vec(),
        ]
        .concat()
    }
}

const PARTIAL: &str = "
    00 00 00 00 02 00 00 00  00 00 00 00 00 00 00 00
    01 80 00 00 47 02 00 00
    02 00 00 00 04 08 02 00
    02 00 00 00 02 00 01 00
    01 00 80 01 0c 02 00 00";

#[test]
fn full_with_partial_reference() {
    let mut file = File::new(true, 4 * 4096, 0x24d040, &hex(PARTIAL));
    assert_eq!(
        file.extents(),
        [(0, partial(blocks(583, 4))), (12_672, lz4(blocks(524, 1))),]
    );
}

#[test]
fn inline_tail() {
    let header = "00 00 5c 0e 09 00 00 00  00 10 c2 10 02 00 00 00";
    let mut file = File::new(false, 8192, 0x1000, &hex(header));
    let tail = Run {
        addr: 0x1010,
        len: 0xe5c,
        space: Space::Inode,
    };
    assert_eq!(file.extents(), [(0, lz4(blocks(3, 1))), (4290, lz4(tail))]);
    // A plain one is never interlaced. In the full index it follows the last entry.
    let bytes = "00 00 00 08 18 00 00 00  00 00 00 00 00 00 00 00
                 01 00 00 00 09 00 00 00  00 00 00 02 00 00 00 00";
    let mut file = File::new(true, 4096 + 512 + 2048, 0x1000, &hex(bytes));
    let tail = Run {
        addr: 0x1020,
        len: 0x800,
        space: Space::Inode,
    };
    assert_eq!(
        file.extents(),
        [(0, lz4(blocks(9, 1))), (4608, shifted(tail))]
    );
}

#[test]
fn fragments() {
    let whole = (0x1234_5678_9abc | 1u64 << 63).to_le_bytes();
    for full in [false, true] {
        let mut file = File::new(full, 5000, 0, &whole);
        let offset = 0x1234_5678_9abc;
        assert_eq!(file.extents(), [(0, Stored::Fragment { offset })]);
        assert_eq!(file.src.reads, 1, "nothing else is read");
    }

    // The high half of a tail's offset is only in the full index.
    let bytes = "78 56 34 12 20 00 00 00  00 00 00 00 00 00 00 00
                 01 00 00 00 09 00 00 00  00 00 00 02 05 00 00 00";
    let mut file = File::new(true, 8000, 0, &hex(bytes));
    let offset = 0x5_1234_5678;
    assert_eq!(
        file.extents(),
        [(0, lz4(blocks(9, 1))), (4608, Stored::Fragment { offset })]
    );
    let bytes = "78 56 34 12 20 00 00 00  00 10 00 02 05 00 00 00";
    let mut file = File::new(false, 8000, 0, &hex(bytes));
    let offset = 0x1234_5678;
    assert_eq!(
        file.extents(),
        [(0, lz4(blocks(6, 1))), (4608, Stored::Fragment { offset })]
    );
    // From the first lcluster on it is the whole file.
    let bytes = "78 56 34 12 20 00 00 00  00 10 01 20 05 00 00 00";
    let mut file = File::new(false, 8000, 0, &hex(bytes));
    assert_eq!(file.extents(), [(0, Stored::Fragment { offset })]);
    // It wins over an inline tail.
    let bytes = "78 56 34 12 28 00 00 00  00 10 00 02 05 00 00 00";
    let mut file = File::new(false, 8000, 0, &hex(bytes));
    assert_eq!(file.extents()[1].1, Stored::Fragment { offset });
}

#[test]
fn interlaced() {
    let bytes = "00 00 00 00 10 00 00 00  00 00 00 02 05 00 00 00  00 06 00 00 07 00 00 00";
    let mut file = File::new(false, 8192 + 0x600, 0, &hex(bytes));
    let place = |block, head, head_at| Stored::Plain {
        run: blocks(block, 1),
        head,
        head_at,
    };
    // Too long an extent at first: 4608 bytes.
    assert!(file.extent(0).is_err());
    file.src.u16(8, 0x1000);
    let found = [
        (0, lz4(blocks(6, 1))),
        (0x1200, place(7, 4096 - 0x200, 0x200)),
    ];
    file.src.u16(16, 0x200);
    file.size = 8192 + 0x100;
    assert_eq!(file.extents(), found);
    // The extent's end may be before the block's.
    file.size = 8192 - 0x100;
    assert_eq!(file.extents()[1], (0x1200, place(7, 4096 - 0x300, 0x200)));

    // Several blocks: the head is at the end of them.
    let bytes = "00 00 00 00 16 00 00 00  00 00 00 00 00 00 00 00
                 01 00 00 00 09 00 00 00  00 00 64 00 05 00 00 00
                 02 00 00 00 02 08 01 00  00 00 00 01 07 00 00 00";
    let mut file = File::new(true, 4 * 4096 - 4000, 0, &hex(bytes));
    let run = blocks(5, 2);
    assert_eq!(
        file.extents()[1],
        (
            4196,
            Stored::Plain {
                run,
                head: 3996,
                head_at: 4196
            }
        )
    );
}

#[test]
fn second_head_type() {
    let bytes = "00 00 00 00 00 00 31 00  00 10 00 32 05 00 00 00";
    let mut file = File::new(false, 8000, 0, &hex(bytes));
    assert_eq!(
        file.extents(),
        [
            (0, encoded(Algorithm::Lzma, blocks(6, 1))),
            (4608, encoded(Algorithm::Zstd, blocks(7, 1))),
        ]
    );
}

#[test]
fn holes() {
    // In the full index: a bit, which is that extent's only.
    let bytes = "00 00 00 00 02 00 00 00  00 00 00 00 00 00 00 00
                 01 00 00 00 09 00 00 00  01 40 00 02 ff ff ff ff
                 02 00 00 00 01 00 01 00  01 00 10 00 0a 00 00 00";
    let mut file = File::new(true, 15000, 0, &hex(bytes));
    assert_eq!(
        file.extents(),
        [
            (0, lz4(blocks(9, 1))),
            (4608, Stored::Hole),
            (3 * 4096 + 16, lz4(blocks(10, 1))),
        ]
    );
    // A pcluster of no blocks.
    let bytes = "00 00 00 00 06 00 00 00  00 10 00 28 05 00 00 00  02 20 10 10 05 00 00 00";
    let mut file = File::new(false, 15000, 0, &hex(bytes));
    assert_eq!(
        file.extents(),
        [(0, Stored::Hole), (3 * 4096 + 16, lz4(blocks(5, 1)))]
    );
}

#[test]
fn distances() {
    // 5000 lclusters: back by 2047 at most, so several times; forward by what 16 bits hold.
    const COUNT: u64 = 5000;
    let mut bytes = hex("00 00 00 00 02 00 00 00  00 00 00 00 00 00 00 00");
    bytes.extend(hex("01 40 00 00 00 00 00 00"));
    for lcn in 1..COUNT {
        let back = u16::try_from(lcn.min(2047)).expect("small");
        let forward = u16::try_from(COUNT - lcn).expect("small");
        bytes.extend([2, 0, 0, 0]);
        bytes.extend(back.to_le_bytes());
        bytes.extend(forward.to_le_bytes());
    }
    bytes.extend(hex("01 00 00 00 09 00 00 00"));
    let mut file = File::new(true, (COUNT + 1) * 4096 - 5, 0, &bytes);
    assert_eq!(
        file.extents(),
        [(0, Stored::Hole), (COUNT * 4096, lz4(blocks(9, 1)))]
    );
    let index = file.index().expect("good");
    file.src.reads = 0;
    index
        .extent(&mut file.src, &file.sb, 4999 * 4096)
        .expect("good");
    assert_eq!(file.src.reads, 5);
    // Forward by 0, as old images have it, is like 1.
    for lcn in 1..COUNT {
        let at = 16 + 8 * usize::try_from(lcn).expect("small");
        file.src.u16(at + 6, 0);
    }
    assert_eq!(file.extents().len(), 2);
}

#[test]
fn lclusters_larger_than_blocks() {
    let bytes = "00 00 00 00 02 00 00 02  00 00 00 00 00 00 00 00
                 01 00 00 00 09 00 00 00  02 00 00 00 03 08 01 00
                 01 00 ff 3f 0a 00 00 00  02 00 00 00 01 08 01 00";
    let mut file = File::new(true, 50_000, 0, &hex(bytes));
    assert_eq!(
        file.extents(),
        [(0, lz4(blocks(9, 3))), (3 * 16384 - 1, lz4(blocks(10, 1))),]
    );
}

#[test]
fn empty_files_have_no_extents() {
    for bytes in ["00 00 5c 0e 09 00 00 00", "00 00 00 00 20 00 00 00"] {
        for full in [false, true] {
            let mut file = File::new(full, 0, 0, &hex(bytes));
            file.src.u8(4, 0x28);
            assert!(file.extents().is_empty());
        }
    }
}

#[test]
fn padding_before_a_stream() {
    assert_eq!(padding(&[1]), Ok(0));
    assert_eq!(padding(&[0, 0, 0, 5, 0]), Ok(3));
    let none = Err(Error::corrupt("compressed data start not found"));
    assert_eq!(padding(&[0; 4096]), none, "row 54");
    assert_eq!(padding(&[]), none);
}
