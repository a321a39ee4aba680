/**
 * A space in a vault and back: everything returns byte for byte, nothing that can be read leaves, a holder that lies or
 * loses is found out and costs only what it lost, and devices that write at the same time do not harm each other.
 */
import { expect, test } from 'vitest'
import { hasCode } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { type BlobHash, hashFromText, hashOf } from '../../src/blobs/hash.ts'
import { blockPlainBytes, createSealer } from '../../src/vault/seal.ts'
import { readSpaceInfo } from '../../src/vault/vault-reader.ts'
import { checkBlocks, rewriteVault } from '../../src/vault/vault-upload.ts'
import {
  bringUp,
  connect,
  fetchContent,
  forever,
  type Holder,
  listing,
  openDevice,
  openHolder,
  randomBytes,
  readAll,
  spaceKey,
  write,
  completed,
  remove,
} from './vault-rig.ts'

const sizes = [0, 1, 700, 5_000, 90_000, 300_000, blockPlainBytes, blockPlainBytes + 1, 3_500_000]
const heldBlocks = (holder: Holder): number =>
  holder.server.held().reduce((sum, one) => sum + one.blockCount, 0)

test('a device that has nothing but the key gets names and contents back, byte for byte', async () => {
  const [old, holder] = [await openDevice(), await openHolder()]
  for (const [index, size] of sizes.entries()) await write(old, `file ${index}`, randomBytes(index, size))
  const result = await bringUp(connect(old, holder))
  expect(result).toMatchObject({ missingCount: 0, sizeBytes: sizes.reduce((sum, one) => sum + one, 0) })
  const fresh = await openDevice()
  const link = connect(fresh, holder)
  expect(await readSpaceInfo(link.client, createSealer(spaceKey), forever)).toMatchObject({
    name: 'Tax papers',
  })
  await readAll(link)
  expect(await listing(fresh)).toEqual(await listing(old))
  for (const [hash, bytes] of old.contents)
    expect(Buffer.compare(await fetchContent(link, hash, bytes.byteLength), bytes)).toBe(0)
  expect(link.reader.damageCount).toBe(0)
  // Small ones share blocks: eleven contents of 6.1 MB together lie in a few
  expect(heldBlocks(holder)).toBeLessThanOrEqual(7)
})

test('no name, no content and no hash of one is on its disk or on its wire', async () => {
  const [device, holder] = [await openDevice(), await openHolder()]
  const canaries: Buffer[] = [Buffer.from('Tax papers')]
  for (let index = 0; index < 12; index++) {
    const name = `canary-name-${index}-of-my-secret-plan`
    const text = `the very secret sentence number ${index} `
    const hash = await write(device, name, Buffer.from(text.repeat(index % 2 === 0 ? 3 : 40_000)))
    canaries.push(Buffer.from(name), Buffer.from(text), Buffer.from(hash), Buffer.from(hashFromText(hash)))
    canaries.push(Buffer.from(Buffer.from(hashFromText(hash)).toString('hex')))
  }
  const link = connect(device, holder)
  await bringUp(link)
  await readAll(connect(await openDevice(), holder))
  const places = [
    ...holder.received,
    ...[...holder.disks.values()].flatMap((disk) => [...disk.files.values()].map(({ bytes }) => bytes)),
  ]
  expect(places.reduce((sum, one) => sum + one.byteLength, 0)).toBeGreaterThan(2_000_000)
  for (const canary of canaries)
    for (const place of places) expect(Buffer.from(place).includes(canary), canary.toString()).toBe(false)
  // And the test would see them: the key and name are what they are made of
  expect(Buffer.from('x Tax papers x').includes(canaries[0] ?? '')).toBe(true)
})

test('another key finds nothing, and cannot open what it is given', async () => {
  const [device, holder] = [await openDevice(), await openHolder()]
  await write(device, 'a', randomBytes(1, 3_000))
  const { client } = connect(device, holder)
  await bringUp(connect(device, holder))
  const stranger = connect(await openDevice(), holder, new Uint8Array(32).fill(1))
  expect(await readAll(stranger)).toBe(false)
  expect(stranger.reader.catalogue.nextNumber).toBe(0)
  const [record] = await client.records(1, 0, forever)
  expect(() =>
    createSealer(new Uint8Array(32).fill(1)).openRecord(
      record?.id ?? new Uint8Array(32),
      record?.bytes ?? new Uint8Array(),
    ),
  ).toThrow(/not those that were sealed/)
})

test('an edit sends what is new and no more, and unchanged blocks of a large file are not sent again', async () => {
  const [device, holder] = [await openDevice(), await openHolder()]
  const large = randomBytes(3, 5 * blockPlainBytes + 10)
  await write(device, 'large', large)
  const link = connect(device, holder)
  await bringUp(link)
  const before = heldBlocks(holder)
  const edited = large.slice()
  edited[blockPlainBytes + 5] = (edited[blockPlainBytes + 5] ?? 0) ^ 1
  await write(device, 'edited', edited)
  holder.received.length = 0
  await bringUp(link)
  expect(heldBlocks(holder) - before).toBe(1)
  const sentBytes = holder.received.reduce((sum, one) => sum + one.byteLength, 0)
  expect(sentBytes).toBeLessThan(limits.vaultBlockBytes + 8_000)
  // A line of text costs a record, not a block
  await write(device, 'small', Buffer.from('one line'))
  holder.received.length = 0
  await bringUp(link)
  expect(heldBlocks(holder) - before).toBe(1)
  expect(holder.received.reduce((sum, one) => sum + one.byteLength, 0)).toBeLessThan(4_000)
  holder.received.length = 0
  await bringUp(link)
  expect(holder.received.reduce((sum, one) => sum + one.byteLength, 0)).toBeLessThan(500)
})

test('an upload that was cut off goes on, and sends no block twice', async () => {
  const [device, holder] = [await openDevice(), await openHolder()]
  for (let index = 0; index < 40; index++) await write(device, `f${index}`, randomBytes(index, 200_000))
  await write(device, 'large', randomBytes(99, 6 * blockPlainBytes))
  const first = connect(device, holder)
  let puts = 0
  const put = first.client.put.bind(first.client)
  Object.assign(first.client, {
    put: async (...args: Parameters<typeof put>) => {
      if (++puts > 8) throw Object.assign(new Error('cut'), { name: 'AbortError' })
      await put(...args)
    },
  })
  await expect(bringUp(first)).rejects.toThrow('cut')
  const had = heldBlocks(holder)
  expect(had).toBeGreaterThanOrEqual(4)
  const again = connect(device, holder)
  await bringUp(again)
  const all = heldBlocks(holder)
  let sent = 0
  for (const message of holder.received) if (message.byteLength > limits.vaultBlockBytes) sent++
  expect(sent).toBe(all)
  const fresh = connect(await openDevice(), holder)
  await readAll(fresh)
  for (const [hash, bytes] of device.contents)
    expect(Buffer.compare(await fetchContent(fresh, hash, bytes.byteLength), bytes)).toBe(0)
})

test('two devices that edit meet in the vault alone, and both have everything then', async () => {
  const [one, two, holder] = [await openDevice(), await openDevice(), await openHolder()]
  await write(one, 'from one', Buffer.from('1'))
  await write(two, 'from two', Buffer.from('2'))
  const [linkOne, linkTwo] = [connect(one, holder), connect(two, holder)]
  await bringUp(linkOne)
  await bringUp(linkTwo)
  await readAll(linkOne)
  expect(await listing(one)).toEqual(await listing(two))
  expect(await listing(one)).toHaveLength(2)
  expect(Buffer.from(await fetchContent(linkOne, hashOf(Buffer.from('2')), 1)).toString()).toBe('2')
  // Nothing is left to write for either
  const recordsBefore = linkTwo.reader.catalogue.nextNumber
  await bringUp(linkOne)
  await readAll(linkTwo)
  expect(linkTwo.reader.catalogue.nextNumber - recordsBefore).toBeLessThanOrEqual(1)
})

test('only one device writes at a time; the other is told, and has its turn when the first one is gone', async () => {
  const [one, two, holder] = [await openDevice(), await openDevice(), await openHolder()]
  await write(one, 'a', Buffer.from('1'))
  const [linkOne, linkTwo] = [connect(one, holder), connect(two, holder)]
  await bringUp(linkOne)
  expect(await linkOne.client.lead(true, forever)).toBe(true)
  expect(await linkTwo.client.lead(true, forever)).toBe(false)
  const id = new Uint8Array(32)
  await expect(linkTwo.client.put(id, new Uint8Array(limits.vaultBlockBytes), forever)).rejects.toMatchObject(
    {
      code: 'vault.overtaken',
    },
  )
  await expect(linkTwo.client.drop([id], forever)).rejects.toMatchObject({ code: 'vault.overtaken' })
  await linkOne.channel.close()
  await expect.poll(() => linkTwo.client.lead(true, forever)).toBe(true)
})

test('an older state of the vault does no harm: documents only gain, and what is missing is written again', async () => {
  const [device, holder] = [await openDevice(), await openHolder()]
  await write(device, 'early', Buffer.from('early'))
  await bringUp(connect(device, holder))
  const early = new Map(
    [...holder.disks].map(([name, disk]) => [
      name,
      new Map([...disk.files].map(([file, held]) => [file, { ...held }])),
    ]),
  )
  await write(device, 'late', Buffer.from('late'))
  const link = connect(device, holder)
  await bringUp(link)
  const { createCrashDisk } = await import('./crash-disk.ts')
  const rolledBack = await openHolder(
    new Map([...early].map(([name, files]) => [name, createCrashDisk(files)])),
  )
  // Who has been there before sees it, and keeps what it has
  const before = await listing(device)
  const again = connect(device, rolledBack)
  Object.assign(again.reader, { catalogue: link.reader.catalogue })
  await readAll(again)
  expect(again.reader.damageCount).toBe(1)
  expect(await listing(device)).toEqual(before)
  await bringUp(again)
  const fresh = await openDevice()
  const freshLink = connect(fresh, rolledBack)
  await readAll(freshLink)
  expect(await listing(fresh)).toEqual(before)
  expect(Buffer.from(await fetchContent(freshLink, hashOf(Buffer.from('late')), 4)).toString()).toBe('late')
})

test('damage anywhere on its disk is found, told as its fault, and healed by a device that has it all', async () => {
  for (let seed = 0; seed < 15; seed++) {
    const random = createSeededRandom(seed)
    const [device, holder] = [await openDevice(), await openHolder()]
    for (let index = 0; index < 6; index++) await write(device, `f${index}`, randomBytes(index, 150_000))
    await write(device, 'text', Buffer.from('small and inside a record'))
    await bringUp(connect(device, holder))
    const [disk] = holder.disks.values()
    const files = [...(disk?.files.values() ?? [])].filter(({ bytes }) => bytes.byteLength > 0)
    const file = files[random.uint32() % files.length]
    const at = random.uint32() % (file?.bytes.byteLength ?? 1)
    if (file !== undefined) file.bytes[at] = (file.bytes[at] ?? 0) ^ (1 << (seed & 7))
    const damaged = await openHolder(holder.disks)
    {
      await using link = await completed(device, damaged)
      expect(link.status.problem).toBeUndefined()
    }
    // What the scrub finds is brought by the next one that looks
    await damaged.server.scrub(forever)
    {
      await using _next = await completed(device, damaged)
    }
    const fresh = await openDevice()
    const freshLink = connect(fresh, damaged)
    await readAll(freshLink)
    expect(freshLink.reader.damageCount, `seed ${seed}`).toBe(0)
    expect(await listing(fresh)).toEqual(await listing(device))
    for (const [hash, bytes] of device.contents)
      expect(Buffer.compare(await fetchContent(freshLink, hash, bytes.byteLength), bytes)).toBe(0)
  }
}, 60_000)

test('a holder that gives other bytes is told apart from one that has none', async () => {
  const [device, holder] = [await openDevice(), await openHolder()]
  const bytes = randomBytes(5, 400_000)
  const hash = await write(device, 'a', bytes)
  await bringUp(connect(device, holder))
  const liar = connect(await openDevice(), holder)
  await readAll(liar)
  Object.assign(liar.client, { get: async () => new Uint8Array(limits.vaultBlockBytes) })
  await expect(fetchContent(liar, hash, bytes.byteLength)).rejects.toMatchObject({ code: 'blob.corrupt' })
  expect(liar.reader.damageCount).toBe(1)
  // because: any other content of the right form
  const unknown = hashOf(new Uint8Array(3)) as BlobHash
  await expect(fetchContent(liar, unknown, 3)).rejects.toMatchObject({ code: 'blob.missing' })
})

test('quota and a full disk stop it with a cause and a fix; more room lets it go on', async () => {
  const [device, holder] = [await openDevice(), await openHolder()]
  for (let index = 0; index < 8; index++)
    await write(device, `f${index}`, randomBytes(index, blockPlainBytes))
  holder.quotaBytes = 5 * limits.vaultBlockBytes
  const full = await bringUp(connect(device, holder)).catch((error: unknown) => error)
  expect(hasCode(full, 'limit.exceeded') && full.fix).toContain('skein hold')
  expect(holder.server.usedBytes).toBeLessThanOrEqual(holder.quotaBytes)
  holder.quotaBytes = undefined
  expect(
    hasCode(await bringUp(connect(device, holder)).catch((error: unknown) => error), 'auth.denied'),
  ).toBe(true)
  holder.quotaBytes = 1e12
  holder.freeBytes = limits.vaultReserveBytes
  expect(hasCode(await bringUp(connect(device, holder)).catch((error: unknown) => error), 'disk.full')).toBe(
    true,
  )
  // What is there is given back all the same
  const reader = connect(await openDevice(), holder)
  expect(await readAll(reader)).toBe(true)
  holder.freeBytes = 1e12
  await bringUp(connect(device, holder))
  const fresh = connect(await openDevice(), holder)
  await readAll(fresh)
  for (const [hash, bytes] of device.contents)
    expect(Buffer.compare(await fetchContent(fresh, hash, bytes.byteLength), bytes)).toBe(0)
})

test('clearing drops what nobody wants, keeps the rest, and moves small contents out of emptied blocks', async () => {
  const [device, holder] = [await openDevice(), await openHolder()]
  const kept: BlobHash[] = []
  for (let index = 0; index < 40; index++) {
    const hash = await write(device, `f${index}`, randomBytes(index, 100_000))
    if (index % 8 === 0) kept.push(hash)
  }
  await write(device, 'large', randomBytes(77, 4 * blockPlainBytes + 50))
  const inline = await write(device, 'inline', Buffer.from('in a record'))
  const link = connect(device, holder)
  await bringUp(link)
  const before = heldBlocks(holder)
  const wanted = new Set([...kept, inline])
  // Also what only the vault has is moved on
  const gone = kept[1]
  if (gone !== undefined) device.contents.delete(gone)
  await link.client.lead(true, forever)
  await rewriteVault(link.parts, (hash) => wanted.has(hash))
  expect(heldBlocks(holder)).toBeLessThan(before / 3)
  const fresh = await openDevice()
  const freshLink = connect(fresh, holder)
  await readAll(freshLink)
  expect(freshLink.reader.catalogue.generation).toBe(2)
  expect(await listing(fresh)).toEqual(await listing(device))
  for (const hash of wanted) {
    const size = freshLink.reader.catalogue.contents.get(hash)?.sizeBytes ?? -1
    expect(hashOf(await fetchContent(freshLink, hash, size))).toBe(hash)
  }
  // And the next round brings what is still in the tree
  await link.client.lead(false, forever)
  const result = await bringUp(link)
  expect(result.missingCount).toBe(0)
  expect(await checkBlocks(link.parts)).toBe(0)
})

test('a crash of the holder in the middle of an upload costs nothing that was noted', async () => {
  for (let seed = 0; seed < 6; seed++) {
    const random = createSeededRandom(seed)
    const [device, holder] = [await openDevice(), await openHolder()]
    for (let index = 0; index < 12; index++) await write(device, `f${index}`, randomBytes(index, 300_000))
    const first = connect(device, holder)
    await bringUp(first)
    for (let index = 0; index < 12; index++)
      await write(device, `g${index}`, randomBytes(500 + index, 300_000))
    const [[vault, disk] = ['', undefined]] = holder.disks
    if (disk === undefined) throw new Error('no disk')
    disk.changesLeft = random.uint32() % 10
    await bringUp(first).catch(() => undefined)
    const after = await openHolder(new Map([[vault, disk.afterCrash(random)]]))
    const fresh = connect(await openDevice(), after)
    await readAll(fresh)
    expect(fresh.reader.damageCount, `seed ${seed}`).toBe(0)
    for (const [hash, { isDone, sizeBytes }] of fresh.reader.catalogue.contents)
      if (isDone) expect(hashOf(await fetchContent(fresh, hash, sizeBytes))).toBe(hash)
    await bringUp(connect(device, after))
    const last = connect(await openDevice(), after)
    await readAll(last)
    for (const [hash, bytes] of device.contents)
      expect(Buffer.compare(await fetchContent(last, hash, bytes.byteLength), bytes)).toBe(0)
  }
}, 60_000)

test('what was deleted is held for its days, then its room is given back, and nothing else goes', async () => {
  const [device, holder] = [await openDevice(), await openHolder()]
  for (let index = 0; index < 10; index++)
    await write(device, `f${index}`, randomBytes(index, blockPlainBytes))
  const small = await write(device, 'small', Buffer.from('small'))
  {
    await using _link = await completed(device, holder)
  }
  for (let index = 0; index < 9; index++) await remove(device, `f${index}`)
  {
    await using _link = await completed(device, holder)
  }
  expect(heldBlocks(holder)).toBe(10)
  {
    await using link = await completed(device, holder, true)
    expect(link.status).toMatchObject({ fileCount: 2, heldCount: 2 })
  }
  expect(heldBlocks(holder)).toBe(1)
  const freshLink = connect(await openDevice(), holder)
  await readAll(freshLink)
  expect([...freshLink.reader.catalogue.contents.keys()]).toHaveLength(2)
  expect(Buffer.from(await fetchContent(freshLink, small, 5)).toString()).toBe('small')
})

test('a vault with very many records is written anew, and reads as before', async () => {
  const [device, holder] = [await openDevice(), await openHolder()]
  const link = connect(device, holder)
  for (let index = 0; index < limits.vaultRecords / 2 + 5; index++) {
    await write(device, `f${index}`, Buffer.from(`content ${index}`))
    await bringUp(link)
  }
  expect(link.reader.catalogue.nextNumber).toBeGreaterThan(limits.vaultRecords)
  await link.channel.close()
  {
    await using _link = await completed(device, holder)
  }
  const fresh = await openDevice()
  const freshLink = connect(fresh, holder)
  await readAll(freshLink)
  expect(freshLink.reader.catalogue.generation).toBe(2)
  expect(freshLink.reader.catalogue.nextNumber).toBeLessThan(20)
  expect(await listing(fresh)).toEqual(await listing(device))
  for (const [hash, bytes] of device.contents)
    expect(Buffer.compare(await fetchContent(freshLink, hash, bytes.byteLength), bytes)).toBe(0)
}, 60_000)
