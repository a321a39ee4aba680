/**
 * The store of a storage device under crashes and damage: what was called durable is there, nothing comes back other than
 * it was given, and what is torn costs itself alone.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { hasCode } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { createSeededRandom, randomBelow, type Random } from '../../src/base/random.ts'
import { openNodeVaultDisk } from '../../src/vault/node-vault-disk.ts'
import { openVaultStore, type VaultStore } from '../../src/vault/vault-store.ts'
import { createCrashDisk, type CrashDisk } from './crash-disk.ts'

const env = createSystemEnv()
const idOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest())
const key = (id: Uint8Array): string => Buffer.from(id).toString('hex')
const some = (random: Random, most: number): Uint8Array => random.bytes(1 + randomBelow(random, most))

interface Model {
  readonly blocks: Map<string, Uint8Array>
  /** Of the committed generation, in order. */
  records: { readonly id: Uint8Array; readonly bytes: Uint8Array }[]
  staged: { readonly id: Uint8Array; readonly bytes: Uint8Array }[]
  generation: number
  /** What may be there: put, and not yet followed by a record. */
  readonly maybe: Map<string, Uint8Array>
  /** Dropped: may come back, never as something else. */
  readonly dropped: Map<string, Uint8Array>
}

const newModel = (): Model => ({
  blocks: new Map(),
  records: [],
  staged: [],
  generation: 0,
  maybe: new Map(),
  dropped: new Map(),
})

/** One random change to the store, and to the model once it has resolved. */
async function step(store: VaultStore, model: Model, random: Random): Promise<void> {
  const dice = random.float()
  if (dice < 0.55) {
    const bytes = some(random, 3_000)
    const id = idOf(bytes)
    model.maybe.set(key(id), bytes)
    await store.putBlock(id, bytes)
  } else if (dice < 0.8 && store.generation > 0) {
    const bytes = some(random, 500)
    const record = { id: idOf(bytes), bytes }
    await store.appendRecord(model.generation, model.records.length, record)
    model.records.push(record)
    durable(model)
  } else if (dice < 0.9) {
    const count = 1 + randomBelow(random, 3)
    const staged = Array.from({ length: count }, () => some(random, 300))
    for (const [number, bytes] of staged.entries()) {
      await store.appendRecord(model.generation + 1, number, { id: idOf(bytes), bytes })
      durable(model)
    }
    model.staged = staged.map((bytes) => ({ id: idOf(bytes), bytes }))
    await store.commit(model.generation + 1, count)
    model.generation++
    model.records = model.staged
    model.staged = []
  } else {
    const doomed = [...model.blocks].filter(() => random.float() < 0.4)
    for (const [id, bytes] of doomed) {
      model.dropped.set(id, bytes)
      model.blocks.delete(id)
    }
    await store.drop(doomed.map(([id]) => new Uint8Array(Buffer.from(id, 'hex'))))
  }
}

function durable(model: Model): void {
  for (const [id, bytes] of model.maybe) model.blocks.set(id, bytes)
  model.maybe.clear()
}

async function check(store: VaultStore, model: Model, isCommitUnsure: boolean): Promise<void> {
  for (const [id, bytes] of model.blocks)
    expect(await store.readBlock(Buffer.from(id, 'hex')), 'a durable block').toEqual(bytes)
  for (const id of store.blockIds(0, 1e6)) {
    const expected = model.blocks.get(key(id)) ?? model.maybe.get(key(id)) ?? model.dropped.get(key(id))
    expect(expected, 'a block nobody put').toBeDefined()
    expect(await store.readBlock(id)).toEqual(expected)
  }
  const isNext = isCommitUnsure && store.generation === model.generation + 1
  if (isNext) return
  expect(store.generation).toBe(model.generation)
  // The last one may have been written although nobody was told so
  expect(store.recordCount - model.records.length).toBeLessThanOrEqual(isCommitUnsure ? 1 : 0)
  for (const [number, record] of model.records.entries())
    expect(await store.readRecord(number)).toEqual(record)
}

test('after a power cut at any change everything that was durable is there, as it was', async () => {
  let [cuts, checkedBlocks] = [0, 0]
  for (let seed = 0; seed < 150; seed++) {
    const random = createSeededRandom(seed)
    let disk: CrashDisk = createCrashDisk()
    const model = newModel()
    for (let life = 0; life < 3; life++) {
      disk.changesLeft = randomBelow(random, 60)
      let wasCut = false
      try {
        const store = await openVaultStore(env, disk)
        for (let index = 0; index < 40; index++) await step(store, model, random)
      } catch (error) {
        expect(hasCode(error, 'disk.failed')).toBe(true)
        wasCut = true
        cuts++
      }
      disk = disk.afterCrash(random)
      const store = await openVaultStore(env, disk)
      await check(store, model, wasCut)
      checkedBlocks += model.blocks.size
      // What was not certain is now what it is
      for (const id of store.blockIds(0, 1e6)) {
        const bytes = await store.readBlock(id)
        model.blocks.set(key(id), bytes)
      }
      model.maybe.clear()
      model.generation = store.generation
      model.records = await Promise.all(
        Array.from({ length: store.recordCount }, (_, number) => store.readRecord(number)),
      )
      await store[Symbol.asyncDispose]()
    }
  }
  expect(cuts).toBeGreaterThan(100)
  expect(checkedBlocks).toBeGreaterThan(700)
})

test('random damage costs what it hits and nothing else, and is never given back as if it were right', async () => {
  let [hit, sound] = [0, 0]
  for (let seed = 0; seed < 150; seed++) {
    const random = createSeededRandom(seed)
    const disk = createCrashDisk()
    const model = newModel()
    const store = await openVaultStore(env, disk)
    for (let index = 0; index < 30; index++) await step(store, model, random)
    durable(model)
    const [name, file] = [...disk.files][randomBelow(random, disk.files.size)] ?? ['', undefined]
    if (file === undefined || file.bytes.byteLength === 0) continue
    const at = randomBelow(random, file.bytes.byteLength)
    const length = Math.min(1 + randomBelow(random, 40), file.bytes.byteLength - at)
    file.bytes.set(random.bytes(length), at)
    const again = await openVaultStore(env, createCrashDisk(disk.files))
    let lost = 0
    for (const [id, bytes] of model.blocks) {
      const got = await again.readBlock(Buffer.from(id, 'hex')).catch((error: unknown) => {
        expect(hasCode(error, 'not.found', 'blob.corrupt')).toBe(true)
        return undefined
      })
      if (got === undefined) lost++
      else expect(got).toEqual(bytes)
    }
    // Forty bytes reach into two neighbours, or three where one is shorter
    expect(lost, `seed ${seed}`).toBeLessThanOrEqual(3)
    hit += lost
    sound += model.blocks.size - lost
    for (const [number, record] of model.records.entries()) {
      const got = await again.readRecord(number).catch(() => undefined)
      if (got !== undefined) expect(got).toEqual(record)
      else expect(name.startsWith('records-')).toBe(true)
    }
    // A damaged block is wanted again, and can be put again
    for (const [id, bytes] of model.blocks) await again.putBlock(Buffer.from(id, 'hex'), bytes)
    for (const [id, bytes] of model.blocks)
      expect(await again.readBlock(Buffer.from(id, 'hex'))).toEqual(bytes)
  }
  expect(hit).toBeGreaterThan(25)
  expect(sound).toBeGreaterThan(500)
})

test('a full disk refuses what does not fit, keeps what it had, and goes on when there is room', async () => {
  const disk = createCrashDisk()
  const store = await openVaultStore(env, disk)
  const blocks = Array.from({ length: 10 }, (_, index) => new Uint8Array(1_000).fill(index))
  disk.room = 5_500
  let refused = 0
  for (const bytes of blocks)
    await store.putBlock(idOf(bytes), bytes).catch((error: unknown) => {
      expect(hasCode(error, 'disk.full')).toBe(true)
      refused++
    })
  expect(refused).toBe(5)
  disk.room = Infinity
  for (const bytes of blocks) await store.putBlock(idOf(bytes), bytes)
  await store[Symbol.asyncDispose]()
  const again = await openVaultStore(env, createCrashDisk(disk.files))
  for (const bytes of blocks) expect(await again.readBlock(idOf(bytes))).toEqual(bytes)
})

test('two writers at one number: the second one is told', async () => {
  const store = await openVaultStore(env, createCrashDisk())
  const record = { id: new Uint8Array(32), bytes: new Uint8Array(9) }
  await store.appendRecord(1, 0, record)
  await store.commit(1, 1)
  await store.appendRecord(1, 1, record)
  await expect(store.appendRecord(1, 1, record)).rejects.toMatchObject({ code: 'vault.overtaken' })
  await expect(store.appendRecord(3, 0, record)).rejects.toMatchObject({ code: 'vault.overtaken' })
  await expect(store.commit(2, 1)).rejects.toMatchObject({ code: 'vault.overtaken' })
})

test('on a real disk: dropped blocks give their room back, and a reopened store has the rest', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'skein-vault-'))
  try {
    const store = await openVaultStore(env, await openNodeVaultDisk(directory))
    const blocks = Array.from({ length: 140 }, (_, index) => {
      const bytes = new Uint8Array(limits.vaultBlockBytes).fill(index)
      return { id: idOf(bytes), bytes }
    })
    for (const { id, bytes } of blocks) await store.putBlock(id, bytes)
    await store.appendRecord(1, 0, { id: idOf(new Uint8Array(1)), bytes: new Uint8Array(400) })
    await store.commit(1, 1)
    const fullBytes = store.usage.sizeBytes
    await store.drop(blocks.slice(0, 120).map(({ id }) => id))
    expect(store.usage.sizeBytes).toBeLessThan(fullBytes / 2)
    await store[Symbol.asyncDispose]()
    const again = await openVaultStore(env, await openNodeVaultDisk(directory))
    expect(again.usage.blockCount).toBe(20)
    for (const { id, bytes } of blocks.slice(120))
      expect(Buffer.compare(await again.readBlock(id), bytes)).toBe(0)
    expect(again.has(blocks[0]?.id ?? new Uint8Array(32))).toBe(false)
    expect((await again.readRecord(0)).bytes.byteLength).toBe(400)
    await again[Symbol.asyncDispose]()
  } finally {
    await rm(directory, { recursive: true })
  }
})
