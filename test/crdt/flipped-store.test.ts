/** Bytes flipped anywhere in the files of a real store: noticed or harmless, repaired from a peer, never spread. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { hasCode } from '../../src/base/errors.ts'
import { newDeviceId, type DeviceId } from '../../src/base/ids.ts'
import { createSeededRandom, randomBelow } from '../../src/base/random.ts'
import { openLevelDatabase } from '../../src/crdt/level-database.ts'
import { rootNodeId } from '../../src/crdt/node-id.ts'
import type { SpaceTree } from '../../src/crdt/space.ts'
import { damagedTables, isWholeTable } from '../../src/crdt/table-check.ts'
import { fileData, listing, meet, openOnDisk, openRig, type OnDisk } from './rig.ts'

const folder = mkdtempSync(join(tmpdir(), 'skein-flipped-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const rounds = 40
const fileCount = 400

async function create(space: SpaceTree, names: readonly string[]): Promise<void> {
  const ids = space.newIds(names.length)
  await space.commit(
    names.map((name, index) => ({
      kind: 'create',
      nodeId: ids[index] ?? rootNodeId,
      parent: rootNodeId,
      name,
      data: fileData(name),
    })),
  )
}

/** One to eight bytes of the files that hold rows. @returns which. */
function damage(place: string, seed: number): string {
  const random = createSeededRandom(seed)
  const files = readdirSync(join(place, 'db')).filter((name) => /\.(ldb|log)$|^MANIFEST/.test(name))
  const sizes = files.map((name) => statSync(join(place, 'db', name)).size)
  const done: string[] = []
  for (let count = 1 + randomBelow(random, 8); count > 0; count--) {
    let at = randomBelow(
      random,
      sizes.reduce((sum, size) => sum + size, 0),
    )
    const index = sizes.findIndex((size) => {
      at -= size
      return at < 0
    })
    const path = join(place, 'db', files[index] ?? '')
    const bytes = readFileSync(path)
    const offset = at + (sizes[index] ?? 0)
    bytes[offset] = (bytes[offset] ?? 0) ^ (1 << randomBelow(random, 8))
    writeFileSync(path, bytes)
    done.push(`${files[index]}@${offset}`)
  }
  return done.join(' ')
}

/** A damaged row of the index is an error to its reader, and repaired for the next one. */
async function listingInTheEnd(space: SpaceTree): Promise<string[]> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await listing(space)
    } catch (error) {
      if (!hasCode(error, 'store.corrupt') || attempt === 20) throw error
    }
  }
}

/** As a person does who follows the advice of the error. */
async function openOrStartAnew(place: string, seed: number, device: DeviceId): Promise<OnDisk> {
  try {
    return await openOnDisk(place, seed, device)
  } catch (error) {
    if (!hasCode(error, 'store.corrupt', 'store.failed')) throw error
    renameSync(join(place, 'db'), join(place, `db.damaged-${seed}`))
    return await openOnDisk(place, seed + 1, device)
  }
}

test(
  `in ${rounds} rounds a device whose store was damaged comes back to what its peer holds, and the peer loses nothing`,
  { timeout: 240_000 },
  async () => {
    const place = join(folder, 'home')
    await using peer = await openRig({ seed: 2 })
    const device = newDeviceId(createSeededRandom(3))
    mkdirSync(place)
    {
      await using first = await openOnDisk(place, 4, device)
      for (let index = 0; index < fileCount; index += 20) {
        await create(
          first.space,
          Array.from({ length: 20 }, (_, at) => `f${index + at}`),
        )
      }
      await create(peer.space, ['theirs'])
      await meet(first, peer)
    }
    let expected = await listing(peer.space)
    expect(expected).toHaveLength(fileCount + 1)
    const outcomes = new Map<string, number>()
    for (let round = 0; round < rounds; round++) {
      // In place, and as if the power had gone at the moment after the last write: only the damage itself tells of it
      writeFileSync(join(place, 'db', 'OPEN'), '')
      const what = `round ${round}: ${damage(place, round + 1)}`
      await using damaged = await openOrStartAnew(place, 1000 + round * 10, device)
      // A change of its own before it meets anybody: it must not take operation numbers that it has forgotten
      await create(damaged.space, [`own-${round}`])
      await meet(damaged, peer)
      const seen = await listing(peer.space)
      expect(seen, what).toEqual([...expected, `own-${round} file own_${round}`].sort())
      expect(await listingInTheEnd(damaged.space), what).toEqual(seen)
      const outcome = `${damaged.store.identity.reason}${damaged.noticed.length > 0 ? ', rows set aside' : ''}`
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      expected = seen
    }
    expect(rounds - (outcomes.get('kept') ?? 0)).toBeGreaterThan(rounds / 4)
  },
)

test('any flipped bit of a table is seen before LevelDB opens it', { timeout: 60_000 }, async () => {
  const place = join(folder, 'tables')
  for (const round of [1, 2]) {
    const database = await openLevelDatabase(place)
    const value = new Uint8Array(300).fill(round)
    for (let index = 0; index < 300; index++) {
      await database.batch([{ type: 'put', key: `k${round}-${index}`, value }])
    }
    await database.close()
  }
  expect(await damagedTables(place)).toEqual([])
  const [table = ''] = readdirSync(place).filter((name) => name.endsWith('.ldb'))
  const bytes = new Uint8Array(readFileSync(join(place, table)))
  expect(isWholeTable(bytes)).toBe(true)
  const unseen: number[] = []
  for (let at = 0; at < bytes.byteLength; at += at < bytes.byteLength - 400 ? 97 : 1) {
    bytes[at] = (bytes[at] ?? 0) ^ 4
    if (isWholeTable(bytes)) unseen.push(bytes.byteLength - at)
    bytes[at] = (bytes[at] ?? 0) ^ 4
  }
  // The footer has padding that means nothing
  expect(unseen.filter((fromEnd) => fromEnd <= 8 || fromEnd > 48)).toEqual([])
})

test('damage below the rows that shows while the store is in use is repaired by opening it again', async () => {
  const place = join(folder, 'in-use')
  mkdirSync(place)
  const device = newDeviceId(createSeededRandom(9))
  await using peer = await openRig({ seed: 8 })
  {
    await using first = await openOnDisk(place, 1, device)
    for (let index = 0; index < 200; index += 20) {
      await create(
        first.space,
        Array.from({ length: 20 }, (_, at) => `f${index + at}`),
      )
    }
    await meet(first, peer)
  }
  // What was in the log is in a table from now on
  {
    await using second = await openOnDisk(place, 2, device)
    await create(second.space, ['one-more'])
    await meet(second, peer)
  }
  const expected = await listing(peer.space)
  await using third = await openOnDisk(place, 3, device)
  expect(third.store.identity.reason).toBe('kept')
  const reopened = new Promise((resolve) => third.store.on('reopened', resolve))
  for (const name of readdirSync(join(place, 'db')).filter((one) => one.endsWith('.ldb'))) {
    const bytes = readFileSync(join(place, 'db', name))
    if (bytes.byteLength < 20_000) continue
    writeFileSync(join(place, 'db', name), bytes.fill(0xff, 64, bytes.byteLength - 4_000), { flag: 'r+' })
  }
  await expect(Array.fromAsync(third.store.scan({ from: '', to: '~' }))).rejects.toMatchObject({
    code: 'store.corrupt',
  })
  await reopened
  expect(third.store.identity.reason).toBe('damaged')
  await create(third.space, ['after'])
  await meet(third, peer)
  expect(await listingInTheEnd(third.space)).toEqual([...expected, 'after file after'].sort())
  expect(await listing(peer.space)).toEqual(await listing(third.space))
})
