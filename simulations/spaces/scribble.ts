/**
 * Writes into the documents of a device what is no record (P10), as a program with a fault would: values that are no text, lines
 * that are no record at all, and lines that carry the id of a real node but break a rule of the grammar (crdt/record.ts).
 */
import type { SpaceDevice } from './device.ts'

export interface Garbage {
  readonly document: string
  readonly value: unknown
}

/** @returns what was written, undefined when the device does not run or its store failed. */
export async function scribble(
  device: SpaceDevice,
  [document, line, kind]: readonly [number, number, number],
): Promise<Garbage | undefined> {
  const { host } = device
  const name = pick((host?.names() ?? []).toSorted(), document)
  if (host === undefined || name === undefined) return undefined
  try {
    return await host.transact([name], (documents) => {
      const list = documents(name).getArray<unknown>(`l:${device.deviceId}`)
      const lines = list.toArray().filter((one) => typeof one === 'string')
      const records = lines.filter((one) => one.split('|').length >= 12)
      const value = pick(brokenFrom(pick(records, line) ?? ''), kind) ?? null
      list.push([value])
      return { document: name, value }
    })
  } catch {
    // A store that fails takes nothing
    return undefined
  }
}

function brokenFrom(line: string): readonly unknown[] {
  const none = [null, 7, true, { a: [1, { b: null }] }, '', '1', '\0', 'x'.repeat(20_000), '1f%%|||||||||||']
  if (line === '') return none
  const parts = line.split('|')
  const id = line.slice(2, 18)
  const changed = (index: number, text: string): string => parts.with(index, text).join('|')
  return [
    ...none,
    `1F${line.slice(2)}`,
    `2${line.slice(1)}`,
    changed(0, `${line.slice(0, 18)}${id}`),
    changed(11, '..'),
    changed(11, 'a/b'),
    changed(11, ''),
    changed(2, '-1'),
    ...parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('|')),
    `${line}|${'y'.repeat(70_000)}`,
  ]
}

const pick = <T>(from: readonly T[], lot: number): T | undefined =>
  from[Math.min(from.length - 1, Math.floor(lot * from.length))]
