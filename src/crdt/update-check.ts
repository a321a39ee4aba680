/**
 * Looks at a foreign Yjs update before it touches a document: `applyUpdate` is not atomic, so what would throw half
 * way, waits for something missing, or carries operations under our own clientID is found here first.
 */
import * as Y from 'yjs'
import { SkeinError } from '../base/errors.ts'

/** No honest clock comes near: one operation a microsecond for 12 days. Poisoned clocks would end a client's history. */
const clockMax = 2 ** 40

export interface CheckedUpdate {
  readonly update: Uint8Array
  /** First and next-after-last clock of each client in it. */
  readonly ranges: ReadonlyMap<number, { readonly from: number; readonly to: number }>
  /** Highest operation of each client that must be there (in the document or the update itself). */
  readonly needs: ReadonlyMap<number, number>
}

/** Decodes an update in format V1 in full. @throws `codec.invalid`. */
export function checkUpdate(update: Uint8Array): CheckedUpdate {
  let decoded: ReturnType<typeof Y.decodeUpdate>
  try {
    decoded = Y.decodeUpdate(update)
  } catch (error) {
    throw new SkeinError('codec.invalid', 'not a Yjs update', { cause: error })
  }
  const ranges = new Map<number, { from: number; to: number }>()
  const needs = new Map<number, number>()
  const need = (client: number, clock: number): void => {
    if (clock > (needs.get(client) ?? -1)) needs.set(client, clock)
  }
  for (const struct of decoded.structs) {
    const { client, clock } = struct.id
    const end = clock + struct.length
    if (!(end <= clockMax) || struct.length <= 0) throw new SkeinError('codec.invalid', 'clock out of range')
    if (struct instanceof Y.Skip) throw new SkeinError('codec.invalid', 'an update with a gap')
    const range = ranges.get(client)
    if (range === undefined) ranges.set(client, { from: clock, to: end })
    else if (range.to !== clock) throw new SkeinError('codec.invalid', 'operations out of order')
    else range.to = end
    if (struct instanceof Y.Item) {
      if (struct.origin !== null) need(struct.origin.client, struct.origin.clock)
      if (struct.rightOrigin !== null) need(struct.rightOrigin.client, struct.rightOrigin.clock)
      if (struct.parent instanceof Y.ID) need(struct.parent.client, struct.parent.clock)
    }
  }
  for (const [client, runs] of decoded.ds.clients) {
    for (const run of runs) {
      if (!(run.clock + run.len <= clockMax) || run.len < 0)
        throw new SkeinError('codec.invalid', 'clock out of range')
      if (run.len > 0) need(client, run.clock + run.len - 1)
    }
  }
  return { update, ranges, needs }
}

/** True when nothing the update builds on is missing, so that it is taken in whole. */
export function isReady(checked: CheckedUpdate, document: Y.Doc): boolean {
  for (const [client, range] of checked.ranges) {
    if (range.from > Y.getState(document.store, client)) return false
  }
  for (const [client, clock] of checked.needs) {
    if (clock >= Math.max(Y.getState(document.store, client), checked.ranges.get(client)?.to ?? 0))
      return false
  }
  return true
}

/** True when somebody has written under our clientID what we do not hold. */
export function showsFork(checked: CheckedUpdate, document: Y.Doc, clientId: number): boolean {
  return (checked.ranges.get(clientId)?.to ?? 0) > Y.getState(document.store, clientId)
}

/** Decodes a state vector of foreign origin. @throws `codec.invalid`. */
export function decodeStateVector(bytes: Uint8Array): Map<number, number> {
  try {
    return Y.decodeStateVector(bytes)
  } catch (error) {
    throw new SkeinError('codec.invalid', 'not a state vector', { cause: error })
  }
}
