/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints, with the names and fields that the C driver's have. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM erofs

#if !defined(EROFS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define EROFS_TRACE_H

#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/tracepoint.h>

/* What mapping was for, and what it found. */
#define EROFS_TRACE_REPORT	0x0001
#define EROFS_TRACE_MAPPED	0x0001
#define EROFS_TRACE_META	0x0002
#define EROFS_TRACE_PARTIAL_REF	0x0008
#define EROFS_TRACE_FRAGMENT	0x0010

#define erofs_show_dev_nid(entry)	MAJOR((entry)->dev), MINOR((entry)->dev), (entry)->nid
#define erofs_show_flags(flags)		((flags) & EROFS_TRACE_REPORT ? "FIEMAP" : "NULL")
#define erofs_show_mflags(flags)	__print_flags(flags, "",	\
	{ EROFS_TRACE_MAPPED,		"M" },				\
	{ EROFS_TRACE_META,		"I" },				\
	{ EROFS_TRACE_PARTIAL_REF,	"P" },				\
	{ EROFS_TRACE_FRAGMENT,		"R" })

TRACE_EVENT(erofs_lookup,
	TP_PROTO(u32 dev, u64 nid, const struct dentry *dentry, unsigned int flags),
	TP_ARGS(dev, nid, dentry, flags),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, nid)
		__string(name, dentry->d_name.name)
		__field(unsigned int, flags)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->nid = nid;
		__assign_str(name);
		__entry->flags = flags;
	),
	TP_printk("dev = (%d,%d), pnid = %llu, name:%s, flags:%x",
		  erofs_show_dev_nid(__entry), __get_str(name), __entry->flags)
);

TRACE_EVENT(erofs_fill_inode,
	TP_PROTO(u32 dev, u64 nid, u64 blkaddr, unsigned int ofs),
	TP_ARGS(dev, nid, blkaddr, ofs),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, nid)
		__field(u64, blkaddr)
		__field(unsigned int, ofs)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->nid = nid;
		__entry->blkaddr = blkaddr;
		__entry->ofs = ofs;
	),
	TP_printk("dev = (%d,%d), nid = %llu, blkaddr %llu ofs %u",
		  erofs_show_dev_nid(__entry), __entry->blkaddr, __entry->ofs)
);

TRACE_EVENT(erofs_read_folio,
	TP_PROTO(u32 dev, u64 nid, struct folio *folio, bool raw),
	TP_ARGS(dev, nid, folio, raw),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, nid)
		__field(int, dir)
		__field(pgoff_t, index)
		__field(unsigned int, order)
		__field(bool, raw)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->nid = nid;
		__entry->dir = S_ISDIR(folio->mapping->host->i_mode);
		__entry->index = folio->index;
		__entry->order = folio_order(folio);
		__entry->raw = raw;
	),
	TP_printk("dev = (%d,%d), nid = %llu, %s, index = %lu, order = %u, raw = %d",
		  erofs_show_dev_nid(__entry), __entry->dir ? "DIR" : "FILE",
		  (unsigned long)__entry->index, __entry->order, __entry->raw)
);

TRACE_EVENT(erofs_readahead,
	TP_PROTO(u32 dev, u64 nid, pgoff_t start, unsigned int nrpage, bool raw),
	TP_ARGS(dev, nid, start, nrpage, raw),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, nid)
		__field(pgoff_t, start)
		__field(unsigned int, nrpage)
		__field(bool, raw)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->nid = nid;
		__entry->start = start;
		__entry->nrpage = nrpage;
		__entry->raw = raw;
	),
	TP_printk("dev = (%d,%d), nid = %llu, start = %lu nrpage = %u raw = %d",
		  erofs_show_dev_nid(__entry), (unsigned long)__entry->start, __entry->nrpage, __entry->raw)
);

TRACE_EVENT(erofs_map_blocks_enter,
	TP_PROTO(u32 dev, u64 nid, u64 la, u64 llen, unsigned int flags),
	TP_ARGS(dev, nid, la, llen, flags),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, nid)
		__field(u64, la)
		__field(u64, llen)
		__field(unsigned int, flags)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->nid = nid;
		__entry->la = la;
		__entry->llen = llen;
		__entry->flags = flags;
	),
	TP_printk("dev = (%d,%d), nid = %llu, la %llu llen %llu flags %s",
		  erofs_show_dev_nid(__entry), __entry->la, __entry->llen, erofs_show_flags(__entry->flags))
);

TRACE_EVENT(erofs_map_blocks_exit,
	TP_PROTO(u32 dev, u64 nid, unsigned int flags, u64 la, u64 pa, u64 llen, u64 plen, unsigned int mflags, int ret),
	TP_ARGS(dev, nid, flags, la, pa, llen, plen, mflags, ret),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, nid)
		__field(unsigned int, flags)
		__field(u64, la)
		__field(u64, pa)
		__field(u64, llen)
		__field(u64, plen)
		__field(unsigned int, mflags)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->nid = nid;
		__entry->flags = flags;
		__entry->la = la;
		__entry->pa = pa;
		__entry->llen = llen;
		__entry->plen = plen;
		__entry->mflags = mflags;
		__entry->ret = ret;
	),
	TP_printk("dev = (%d,%d), nid = %llu, flags %s la %llu pa %llu llen %llu plen %llu mflags %s ret %d",
		  erofs_show_dev_nid(__entry), erofs_show_flags(__entry->flags), __entry->la, __entry->pa,
		  __entry->llen, __entry->plen, erofs_show_mflags(__entry->mflags), __entry->ret)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
