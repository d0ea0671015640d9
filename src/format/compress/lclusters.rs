// SPDX-License-Identifier: GPL-2.0

//! Indexes with an entry for each lcluster of the file, and how extents are found in them.
//!
//! An entry is a head, where an extent starts in that lcluster, or a nonhead, which tells how far
//! away heads are. An extent ends where the next head's starts. The last entry may be a head at the
//! end of the file: it starts nothing.

use super::super::BlockBits;
use super::super::Error;
use super::super::Result;
use super::super::Source;
use super::compact;
use super::full;
use super::header::Advise;
use super::Algorithm;
use super::ClusterBits;
use super::Coding;
use super::Found;
use super::Kind;
use super::Place;
use super::Run;
use super::Space;

/// `Z_EROFS_LCLUSTER_TYPE_*` of heads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadType {
    Plain,
    Head1,
    Head2,
}

/// What an entry is by the 2 bits of its type; `None`: a nonhead.
pub(super) fn head_type(bits: u32) -> Option<HeadType> {
    match bits & 3 {
        0 => Some(HeadType::Plain),
        1 => Some(HeadType::Head1),
        2 => None,
        _ => Some(HeadType::Head2),
    }
}

/// `Z_EROFS_LI_D0_CBLKCNT`: the distance to the head is 1, and the other bits are a number of
/// blocks.
pub(super) const CBLKCNT: u32 = 1 << 11;

/// One lcluster.
pub(super) enum Entry {
    Head(Head),
    Nonhead(Nonhead),
}

/// An extent starts in the lcluster.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) kind: HeadType,
    /// Where in the lcluster, in bytes.
    pub(super) clusterofs: u64,
    /// Where its pcluster starts, in blocks.
    pub(super) blkaddr: u64,
    pub(super) partial: bool,
    pub(super) hole: bool,
}

/// No extent starts in the lcluster. Distances are in lclusters.
pub(super) struct Nonhead {
    /// To go back for a nearer look at where the extent starts.
    pub(super) back: u64,
    /// To go forward for a nearer look at where the next extent starts.
    pub(super) forward: u64,
    /// The blocks of the head's pcluster, in the entry behind a head.
    pub(super) blocks: Option<u32>,
}

/// The entries of a file.
pub(super) trait Entries {
    fn load(&mut self, lcn: u64) -> Result<Entry>;

    /// Where the bytes start that follow the last entry, which is that of `lcn`.
    fn end(&self, lcn: u64) -> Result<u64>;
}

/// The index of one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Index {
    /// Where it starts: the end of the map header.
    pub(super) pos: u64,
    pub(super) advise: Advise,
    pub(super) bits: ClusterBits,
    /// Of HEAD1 and HEAD2.
    pub(super) algorithms: [Algorithm; 2],
    pub(super) compact: bool,
    pub(super) tail: Option<Tail>,
}

/// The last extent, where it is not stored like the others. `head`: its head's lcluster.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tail {
    Fragment { head: u64, offset: u64 },
    Inline { head: u64, addr: u64, len: u32 },
}

/// A [`Tail`] as far as the map header tells.
pub(super) enum TailHint {
    Fragment { offset_lo: u32 },
    Inline { len: u32 },
}

impl Index {
    /// Checks the index of a file of `size` bytes, and finds its tail.
    pub(super) fn with_tail<S: Source>(
        mut self,
        src: &mut S,
        block: BlockBits,
        size: u64,
        hint: Option<TailHint>,
    ) -> Result<Kind> {
        if self.compact {
            compact::check(&self, block, size)?;
        } else {
            full::check(&self)?;
        }
        if let (Some(hint), Some(last)) = (hint, size.checked_sub(1)) {
            let tail = if self.compact {
                let mut entries = compact::Entries::new(src, &self, block, size);
                self.find_tail(&mut entries, block, last, hint)?
            } else {
                let mut entries = full::Entries::new(src, &self);
                self.find_tail(&mut entries, block, last, hint)?
            };
            if let Tail::Fragment { head: 0, offset } = tail {
                return Ok(Kind::Fragment { offset });
            }
            self.tail = Some(tail);
        }
        Ok(Kind::Lclusters(self))
    }

    /// What `hint` and the extent that holds `last`, the file's last byte, tell together.
    fn find_tail<E: Entries>(
        &self,
        entries: &mut E,
        block: BlockBits,
        last: u64,
        hint: TailHint,
    ) -> Result<Tail> {
        let start = self.start(entries, last)?;
        let head = start.lcn;
        match hint {
            TailHint::Fragment { offset_lo } => {
                let mut offset = offset_lo.into();
                if !self.compact && !start.head.hole {
                    offset |= start.head.blkaddr << 32;
                }
                Ok(Tail::Fragment { head, offset })
            }
            TailHint::Inline { len } => {
                let addr = entries.end(self.bits.number(last))?;
                if block.offset(addr).saturating_add(len.into()) > block.size() {
                    return Err(Error::corrupt("ztailpacking inline data across blocks"));
                }
                Ok(Tail::Inline { head, addr, len })
            }
        }
    }

    /// The extent of a file of `size` bytes that holds byte `pos`, which is below that.
    pub(super) fn extent<S: Source>(
        &self,
        src: &mut S,
        block: BlockBits,
        size: u64,
        pos: u64,
    ) -> Result<Found> {
        if self.compact {
            let mut entries = compact::Entries::new(src, self, block, size);
            self.find(&mut entries, block, size, pos)
        } else {
            self.find(&mut full::Entries::new(src, self), block, size, pos)
        }
    }

    fn find<E: Entries>(
        &self,
        entries: &mut E,
        block: BlockBits,
        size: u64,
        pos: u64,
    ) -> Result<Found> {
        let mut start = self.start(entries, pos)?;
        let head = start.head;
        let start_pos = self.pos(start.lcn, &head);
        let found = |end, place| Found {
            start: start_pos,
            end,
            place,
        };
        match self.tail {
            Some(Tail::Fragment { head, offset }) if head == start.lcn => {
                return Ok(found(size, Place::Fragment { offset }));
            }
            Some(Tail::Inline {
                head: lcn,
                addr,
                len,
            }) if lcn == start.lcn => {
                let run = Run {
                    addr,
                    len,
                    space: Space::Inode,
                };
                let coding = self.coding(&head, false);
                return Ok(found(size, Place::Pcluster { run, coding }));
            }
            _ => (),
        }

        let blocks = self.blocks(entries, size, &mut start)?;
        let end = match start.next {
            Next::At(end) => end.min(size),
            Next::From(lcn) => self.end(entries, size, lcn)?,
        };
        if blocks == 0 {
            return Ok(found(end, Place::Hole));
        }
        let run = Run {
            // Both have 32 bits at most before they are shifted.
            addr: block.pos(head.blkaddr),
            len: blocks.checked_shl(block.get()).unwrap_or(u32::MAX),
            space: Space::Device,
        };
        let coding = self.coding(&head, self.advise.interlaced());
        Ok(found(end, Place::Pcluster { run, coding }))
    }

    /// Where the extent of `head` starts in the file.
    fn pos(&self, lcn: u64, head: &Head) -> u64 {
        self.bits.pos(lcn) | head.clusterofs
    }

    fn coding(&self, head: &Head, interlaced: bool) -> Coding {
        let [head1, head2] = self.algorithms;
        let algorithm = match head.kind {
            HeadType::Plain if interlaced => return Coding::Interlaced,
            HeadType::Plain => return Coding::Shifted,
            HeadType::Head1 => head1,
            HeadType::Head2 => head2,
        };
        Coding::Encoded {
            algorithm,
            partial: head.partial,
        }
    }

    fn load<E: Entries>(&self, entries: &mut E, lcn: u64) -> Result<Entry> {
        let entry = entries.load(lcn)?;
        match &entry {
            Entry::Head(head) if head.clusterofs >= self.bits.size() => {
                Err(Error::corrupt("bogus clusterofs"))
            }
            _ => Ok(entry),
        }
    }

    /// Goes back to the head of the extent that holds byte `pos`.
    fn start<E: Entries>(&self, entries: &mut E, pos: u64) -> Result<Start> {
        let mut lcn = self.bits.number(pos);
        let mut back;
        let next;
        match self.load(entries, lcn)? {
            Entry::Head(head) if head.clusterofs <= self.bits.offset(pos) => {
                return Ok(Start {
                    lcn,
                    head,
                    next: Next::From(lcn.saturating_add(1)),
                });
            }
            Entry::Head(head) => {
                next = Next::At(self.pos(lcn, &head));
                back = 1;
            }
            Entry::Nonhead(nonhead) => {
                next = Next::From(lcn.saturating_add(nonhead.forward));
                back = nonhead.back;
            }
        }
        for _ in 0..MAX_STEPS {
            lcn = match lcn.checked_sub(back) {
                Some(before) if back > 0 => before,
                _ => break,
            };
            match self.load(entries, lcn)? {
                Entry::Head(head) => return Ok(Start { lcn, head, next }),
                Entry::Nonhead(nonhead) => back = nonhead.back,
            }
        }
        Err(Error::corrupt("bogus lookback distance"))
    }

    /// The blocks of the extent's pcluster; 0: it is a hole. What this sees of the next head goes
    /// into `start`.
    fn blocks<E: Entries>(&self, entries: &mut E, size: u64, start: &mut Start) -> Result<u32> {
        if start.head.hole {
            return Ok(0);
        }
        let big = match start.head.kind {
            HeadType::Head1 => self.advise.big_pcluster_1(),
            HeadType::Plain | HeadType::Head2 => self.advise.big_pcluster_2(),
        };
        let lcn = start.lcn.saturating_add(1);
        if !big || self.bits.pos(lcn) >= size {
            return Ok(1);
        }
        match self.load(entries, lcn)? {
            Entry::Head(head) => {
                start.next = Next::At(self.pos(lcn, &head));
                Ok(1)
            }
            Entry::Nonhead(Nonhead {
                blocks: Some(blocks),
                forward,
                ..
            }) => {
                if let Next::From(from) = &mut start.next {
                    *from = (*from).max(lcn.saturating_add(forward));
                }
                Ok(blocks)
            }
            Entry::Nonhead(_) => Err(Error::corrupt("bogus CBLKCNT")),
        }
    }

    /// Goes forward from entry `lcn` to the next head, and returns where its extent starts.
    fn end<E: Entries>(&self, entries: &mut E, size: u64, mut lcn: u64) -> Result<u64> {
        for _ in 0..MAX_STEPS {
            if self.bits.pos(lcn) >= size {
                return Ok(size);
            }
            match self.load(entries, lcn)? {
                Entry::Head(head) => return Ok(self.pos(lcn, &head).min(size)),
                // Old images have distances of 0.
                Entry::Nonhead(nonhead) => lcn = lcn.saturating_add(nonhead.forward.max(1)),
            }
        }
        Err(Error::corrupt("no end of an extent in sight"))
    }
}

/// How many entries a search looks at. Good images jump, and only a hole may be so large.
const MAX_STEPS: u32 = 1 << 20;

/// Where an extent starts, and what is known of its end by then.
struct Start {
    lcn: u64,
    head: Head,
    next: Next,
}

/// The next head.
enum Next {
    /// Its extent starts there in the file.
    At(u64),
    /// It is in this lcluster or behind.
    From(u64),
}
