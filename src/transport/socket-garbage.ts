/**
 * Collects young garbage while much comes in over TLS and socket-reader.ts has to read by events. Node makes a buffer of its
 * own for each record of 16 KiB then, outside the heap; V8 sees 64 MB of them long before its young generation is full, and
 * marks the whole heap each time: 35 full collections a GiB, two seconds of CPU with all their threads. A young collection in
 * time costs a millisecond and frees the same. Does nothing where Node was started without --expose-gc.
 */

/** Well below the 64 MB at which V8 begins to mark. */
const collectEveryBytes = 8 * 1024 * 1024

/** @returns to be told of bytes as they come in. */
export function createSocketGarbage(collect = collectYoung()): (sizeBytes: number) => void {
  if (collect === undefined) return () => undefined
  let sinceBytes = 0
  return (sizeBytes) => {
    sinceBytes += sizeBytes
    if (sinceBytes < collectEveryBytes) return
    sinceBytes = 0
    collect()
  }
}

function collectYoung(): (() => void) | undefined {
  const { gc } = globalThis
  return gc === undefined ? undefined : () => gc({ type: 'minor', execution: 'sync' })
}
