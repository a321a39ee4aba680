/** A file that changes while it is read: what arrives elsewhere is a state that it was in. */
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { converged, createPair } from '../support/two-folders.ts'

const sizeBytes = 3 * 1024 * 1024
const writingMs = 2_500

/** What the two ends of the file say. */
function endsOf(bytes: Uint8Array): readonly [number, number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return [view.getUint32(0), view.getUint32(bytes.byteLength - 4)]
}

test(
  'of a file that is written to all the time no state arrives that never was',
  { timeout: 60_000 },
  async () => {
    await using pair = await createPair()
    const { a, b } = pair
    const [source, copy] = [join(a.root, 'state.bin'), join(b.root, 'state.bin')]
    await writeFile(source, new Uint8Array(sizeBytes))
    await converged([a, b])
    const seen = new Set<string>()
    let isOver = false
    const writing = (async () => {
      await using file = await open(source, 'r+')
      const number = new Uint8Array(4)
      // The first end is written before the last one: they are equal, or the first is one ahead
      for (let count = 1; !isOver; count++) {
        new DataView(number.buffer).setUint32(0, count)
        await file.write(number, 0, 4, 0)
        await file.write(number, 0, 4, sizeBytes - 4)
        await delay(count % 40 === 0 ? 120 : 1)
      }
    })()
    const reading = (async () => {
      while (!isOver) {
        seen.add(endsOf(await readFile(copy)).join(' '))
        await delay(5)
      }
    })()
    await delay(writingMs)
    isOver = true
    await Promise.all([writing, reading])
    await converged([a, b])
    seen.add(endsOf(await readFile(copy)).join(' '))
    expect(seen.size).toBeGreaterThan(2)
    const torn = [...seen].filter((ends) => {
      const [first = 0, last = 0] = ends.split(' ').map(Number)
      return first !== last && first !== last + 1
    })
    expect(torn).toEqual([])
  },
)
