/**
 * The order of clipboard items, and which of them are kept: pure functions of the records, so that every device sees the
 * same whatever its clock says. Later Lamport times come first; of two copies made at once the device id decides.
 */
import type { DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'

export interface Ordered {
  readonly id: string
  readonly device: DeviceId
  readonly lamport: number
}

export interface Kept<T> {
  /** Newest first. */
  readonly items: readonly T[]
  /** What falls out of the bounds: unseen, and to be deleted by whoever writes next. */
  readonly surplus: readonly T[]
}

export interface Bounds {
  readonly items: number
  readonly bytes: number
  readonly pins: number
  readonly pinnedBytes: number
}

export const clipboardBounds: Bounds = {
  items: limits.clipboardItems,
  bytes: limits.clipboardBytes,
  pins: limits.clipboardPins,
  pinnedBytes: limits.clipboardPinnedBytes,
}

/** Negative when `a` is the older one. */
export function compareAge(a: Ordered, b: Ordered): number {
  if (a.lamport !== b.lamport) return a.lamport - b.lamport
  if (a.device !== b.device) return a.device < b.device ? -1 : 1
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0
}

/**
 * @param oldestFirst all items in order.
 * @returns the newest up to the bounds, with the pinned ones beside them; the newest of all is always kept.
 */
export function keepNewest<T extends { readonly recordBytes: number }>(
  oldestFirst: readonly T[],
  isPinned: (item: T) => boolean,
  bounds: Bounds = clipboardBounds,
): Kept<T> {
  const items: T[] = []
  const surplus: T[] = []
  let { items: count, bytes, pins, pinnedBytes } = bounds
  for (let index = oldestFirst.length - 1; index >= 0; index--) {
    const item = oldestFirst[index]
    if (item === undefined) continue
    const size = item.recordBytes
    if (pins > 0 && size <= pinnedBytes && isPinned(item)) {
      pins--
      pinnedBytes -= size
      items.push(item)
    } else if (items.length === 0 || (count > 0 && size <= bytes)) {
      count--
      bytes -= size
      items.push(item)
    } else {
      // Nothing older slips in behind one that was too long
      count = 0
      surplus.push(item)
    }
  }
  return { items, surplus }
}
