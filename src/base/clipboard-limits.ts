/** The bounds of the clipboard: part of the one table (limits.ts), through which they are read. */

export const clipboardLimits = {
  /** Clipboard items kept, pinned ones apart; beyond it the oldest leave. */
  clipboardItems: 10_000,
  /** Bytes of their records, all together: what a device syncs, holds in memory and searches. Above it the oldest leave. */
  clipboardBytes: 16 * 1024 * 1024,
  /** Pinned items and the bytes of their records, newest first; what is beyond counts as not pinned. */
  clipboardPins: 256,
  clipboardPinnedBytes: 4 * 1024 * 1024,
  /** One sealed record of an item: its inline contents and the names of its files; a longer one is not read. */
  clipboardRecordBytes: 128 * 1024,
  /** Records read of one document: six times an honest share. The rest, by order, is not seen. */
  clipboardShardRecords: 1024,
  /** Content that lies in the record itself, one format and all formats of a copy; the others are blobs. */
  clipboardInlineBytes: 16 * 1024,
  clipboardInlineTotalBytes: 40 * 1024,
  /** Start of a longer text that lies in the record, for listing and search. */
  clipboardHeadBytes: 2 * 1024,
  /** Formats of one clipboard item; the rest is left out. */
  clipboardFormats: 16,
  /** Content of one format; longer ones are left out, and the item says so. */
  clipboardContentBytes: 64 * 1024 * 1024,
  /** A blob up to this is fetched as soon as its item is seen; longer ones when somebody asks for them. */
  clipboardEagerBytes: 1024 * 1024,
  /** Items whose small blobs are still to be fetched; the oldest wait until somebody asks. */
  clipboardFetches: 64,
  /** Sealed contents kept in the home, bytes and count; above it the oldest leave. */
  clipboardBlobBytes: 512 * 1024 * 1024,
  clipboardBlobs: 8192,
  /** A sealed content up to this is at hand before it is on the disk: in memory, all of them up to twice as much. */
  clipboardMemoryBytes: 16 * 1024 * 1024,
  /** Copied files that are taken along, and their bytes; the rest is left out, and the item says so. */
  clipboardFiles: 100,
  clipboardFileBytes: 100 * 1024 * 1024,
  /** Days on which a device must have seen an item before it lets it expire; its own days, so no clock decides. */
  clipboardDays: 30,
  /** Keys of the clipboard, one for each removal of a device; beyond it what the oldest sealed cannot be read any more. */
  clipboardKeys: 64,
  /** Copies of a storm that wait to be stored; the oldest of them are passed over, the last never. */
  clipboardQueue: 16,
  /** Contents being handed over in pieces by commands, and bytes of one piece. */
  clipboardUploads: 4,
  clipboardPieceBytes: 512 * 1024,
} as const
