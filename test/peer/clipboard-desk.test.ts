/** Copies between desktops: formats, order, echoes, storms, pause, long contents, files, secrets. */
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import fc from 'fast-check'
import * as Y from 'yjs'
import { expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { encodePayload } from '../../src/crdt/clipboard-item.ts'
import { authenticatedBy, formatHead, formatRecord, padPayload } from '../../src/crdt/clipboard-record.ts'
import { appendRecord, shardOfItem } from '../../src/crdt/clipboard-shards.ts'
import { distinctNames, rewriteList } from '../../src/peer/clipboard-files.ts'
import { createTestSealer } from '../support/clipboard-sealer.ts'
import { allBytes, bytesOf, link, openClipDevice, textCopy, type ClipDevice } from './clipboard-device.ts'

const soon = { timeout: 10_000, interval: 2 }
const pasted = (device: ClipDevice, mime = 'text/plain'): Promise<string | undefined> =>
  device
    .desktop()
    .desk.paste(mime)
    .then((bytes) => (bytes === undefined ? undefined : new TextDecoder().decode(bytes)))
const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 150))

test('what is copied on one desktop can be pasted on the other, all formats byte for byte, and does not echo', async () => {
  await using a = await openClipDevice({ seed: 1 })
  await using b = await openClipDevice({ seed: 2 })
  link(a, b)
  const formats = [
    { mime: 'text/plain', content: bytesOf('héllo') },
    { mime: 'text/html', content: bytesOf('<b>héllo</b>') },
    { mime: 'text/rtf', content: bytesOf('{\\rtf1 hello}') },
    { mime: 'image/png', content: Uint8Array.from({ length: 70_000 }, (_, index) => index * 7) },
    { mime: 'application/x-own', content: new Uint8Array() },
  ]
  a.desktop().desk.copyAs(formats)
  await expect.poll(() => b.desktop().desk.mimes, soon).toEqual(formats.map(({ mime }) => mime))
  for (const { mime, content } of formats)
    expect(Buffer.compare((await b.desktop().desk.paste(mime)) ?? Buffer.of(1), content), mime).toBe(0)
  await quiet()
  expect([a.clipboard.entries.length, b.clipboard.entries.length]).toEqual([1, 1])
})

test('a clipboard manager that takes the offer over makes no item of it, so two of them play no ping-pong', async () => {
  await using a = await openClipDevice({ seed: 1 })
  await using b = await openClipDevice({ seed: 2 })
  link(a, b)
  a.desktop().desk.copyAs([
    ...textCopy('once'),
    { mime: 'image/png', content: new Uint8Array(100_000).fill(3) },
  ])
  await expect.poll(() => pasted(b), soon).toBe('once')
  // One format of two, as they keep it, with one of their own
  b.desktop().desk.copyAs([...textCopy('once'), { mime: 'text/x-manager', content: bytesOf('1') }])
  a.desktop().desk.copyAs([{ mime: 'image/png', content: new Uint8Array(100_000).fill(3) }])
  await quiet()
  expect(a.clipboard.entries).toHaveLength(1)
  b.desktop().desk.copyAs(textCopy('another'))
  await expect.poll(() => pasted(a), soon).toBe('another')
  expect(a.clipboard.entries).toHaveLength(2)
})

test('a thousand copies in two seconds end in the last one everywhere', async () => {
  await using a = await openClipDevice({ seed: 1 })
  await using b = await openClipDevice({ seed: 2 })
  await using c = await openClipDevice({ seed: 3 })
  link(a, b)
  link(a, c)
  link(b, c)
  for (let index = 0; index < 1_000; index++) {
    a.desktop().desk.copyAs(textCopy(`copy ${index}`))
    if (index % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  for (const device of [b, c]) await expect.poll(() => pasted(device), soon).toBe('copy 999')
  for (const device of [a, b, c])
    await expect.poll(async () => (await device.texts())[0], soon).toBe('copy 999')
}, 30_000)

test('copies made apart merge when the devices meet, and both desktops hold the same one then', async () => {
  await using a = await openClipDevice({ seed: 1 })
  await using b = await openClipDevice({ seed: 2 })
  a.desktop().desk.copyAs(textCopy('from a'))
  b.desktop().desk.copyAs(textCopy('from b'))
  await expect.poll(() => a.clipboard.entries.length + b.clipboard.entries.length, soon).toBe(2)
  link(a, b)
  await expect.poll(() => a.clipboard.entries.length + b.clipboard.entries.length, soon).toBe(4)
  const [winner] = await a.texts()
  expect(await b.texts()).toEqual(await a.texts())
  await expect.poll(() => Promise.all([pasted(a), pasted(b)]), soon).toEqual([winner, winner])
})

test('paused, a desktop is neither read nor offered anything; afterwards it takes part again', async () => {
  await using a = await openClipDevice({ seed: 1 })
  await using b = await openClipDevice({ seed: 2 })
  link(a, b)
  const before = a.desktop()
  await a.pause.pause(undefined)
  before.desk.copyAs(textCopy('in private'))
  b.desktop().desk.copyAs(textCopy('meanwhile'))
  await expect.poll(() => a.clipboard.entries.length, soon).toBe(1)
  await quiet()
  expect(await before.desk.paste('text/plain')).toEqual(bytesOf('in private'))
  expect(await a.texts()).toEqual(['meanwhile'])
  await a.pause.resume()
  expect(a.openedCount()).toBe(2)
  b.desktop().desk.copyAs(textCopy('again'))
  await expect.poll(() => pasted(a), soon).toBe('again')
})

test('a pause for a while ends by itself', async () => {
  await using a = await openClipDevice({ seed: 1 })
  await a.pause.pause(30)
  expect(a.pause.isPaused).toBe(true)
  await expect.poll(() => a.pause.isPaused, soon).toBe(false)
  expect(a.openedCount()).toBe(2)
})

test('what is deleted can be pasted no more, and an older item does not take its place', async () => {
  await using a = await openClipDevice({ seed: 1 })
  await using b = await openClipDevice({ seed: 2 })
  link(a, b)
  a.desktop().desk.copyAs(textCopy('older'))
  await expect.poll(() => pasted(b), soon).toBe('older')
  a.desktop().desk.copyAs(textCopy('a mistake'))
  await expect.poll(() => pasted(b), soon).toBe('a mistake')
  await a.clipboard.remove([a.clipboard.entries[0]?.id ?? ''])
  await expect.poll(() => pasted(b), soon).toBeUndefined()
  expect(await b.texts()).toEqual(['older'])
})

test('an item from the end of all numbers holds nothing up once it is deleted', async () => {
  await using a = await openClipDevice({ seed: 1 })
  await using b = await openClipDevice({ seed: 2 })
  link(a, b)
  const id = a.rig.env.random.bytes(16)
  const key = await createTestSealer().current()
  const head = formatHead(id, 2 ** 48 - 1, key.id)
  const payload = { timeMs: 1, formats: [], files: [], leftOut: [] }
  const sealed = key.seal(padPayload(encodePayload(payload)), authenticatedBy(head, a.rig.device))
  const shard = shardOfItem(id)
  await a.rig.host.transact([shard], (document) =>
    appendRecord(document(shard), a.rig.device, formatRecord(head, sealed)),
  )
  await expect.poll(() => b.clipboard.entries.length, soon).toBe(1)
  a.desktop().desk.copyAs(textCopy('behind it'))
  await expect.poll(() => b.clipboard.entries.length, soon).toBe(2)
  expect(await pasted(b)).toBeUndefined()
  await b.clipboard.remove([b.clipboard.entries[0]?.id ?? ''])
  a.desktop().desk.copyAs(textCopy('after it'))
  await expect.poll(() => pasted(b), soon).toBe('after it')
})

test('a small content is fetched at once, a long one when somebody pastes; then other devices have it as well', async () => {
  await using a = await openClipDevice({ seed: 1 })
  await using b = await openClipDevice({ seed: 2 })
  await using c = await openClipDevice({ seed: 3 })
  const between = [link(a, b), link(a, c)]
  const small = Uint8Array.from({ length: 300_000 }, (_, index) => index * 3)
  const long = Uint8Array.from({ length: 5_000_000 }, (_, index) => index * 5)
  a.desktop().desk.copyAs([{ mime: 'image/png', content: small }])
  await expect.poll(() => b.blobs.heldBytes, soon).toBeGreaterThan(small.byteLength)
  a.desktop().desk.copyAs([{ mime: 'image/png', content: long }])
  await expect.poll(() => b.clipboard.entries.length, soon).toBe(2)
  await quiet()
  expect(b.blobs.heldBytes).toBeLessThan(long.byteLength)
  await expect.poll(() => b.desktop().desk.mimes, soon).toEqual(['image/png'])
  expect(Buffer.compare((await b.desktop().desk.paste('image/png')) ?? Buffer.of(), long)).toBe(0)
  // The device it was copied on is gone: c gets it from b
  for (const one of between) one.cut()
  link(b, c)
  await expect
    .poll(async () => Buffer.compare((await c.desktop().desk.paste('image/png')) ?? Buffer.of(), long), soon)
    .toBe(0)
}, 30_000)

test('a content that no device has any more says so, and a damaged one is fetched again', async () => {
  await using a = await openClipDevice({ seed: 1 })
  await using b = await openClipDevice({ seed: 2 })
  const one = link(a, b)
  const content = new Uint8Array(200_000).fill(9)
  a.desktop().desk.copyAs([{ mime: 'image/png', content }])
  await expect.poll(() => b.blobs.heldBytes, soon).toBeGreaterThan(content.byteLength)
  const written = async (): Promise<readonly string[]> =>
    (await readdir(join(b.directory, 'blobs'))).filter((name) => !name.endsWith('.part'))
  await expect.poll(written, soon).toHaveLength(1)
  const [name = ''] = await written()
  await truncate(join(b.directory, 'blobs', name), 1_000)
  expect(await b.desktop().desk.paste('image/png')).toBeUndefined()
  expect(Buffer.compare((await b.desktop().desk.paste('image/png')) ?? Buffer.of(), content)).toBe(0)
  for (const device of [a, b]) await device.blobs.keepOnly(new Set())
  const [entry] = b.clipboard.entries
  if (entry === undefined) throw new Error('the item is there')
  const payload = await b.clipboard.read(entry.id)
  const signal = AbortSignal.timeout(20_000)
  await expect(b.contents.fetch({ entry, payload }, Infinity, signal)).rejects.toMatchObject({
    code: 'blob.missing',
    message: 'no device in reach has this content any more',
  })
  one.cut()
  await expect(b.contents.fetch({ entry, payload }, Infinity, signal)).rejects.toMatchObject({
    code: 'blob.missing',
    fix: 'connect the device that it was copied on',
  })
}, 30_000)

test('long contents are bounded, the oldest leave, and go with their item', async () => {
  await using a = await openClipDevice({ seed: 1, blobBytesMax: 1_000_000 })
  for (let index = 0; index < 5; index++) {
    a.desktop().desk.copyAs([{ mime: 'image/png', content: new Uint8Array(400_000).fill(index) }])
    await expect.poll(() => a.clipboard.entries.length, soon).toBe(index + 1)
  }
  await expect.poll(() => readdir(join(a.directory, 'blobs')), soon).toHaveLength(2)
  expect(a.blobs.heldBytes).toBeLessThan(1_000_000)
  await a.clipboard.remove(a.clipboard.entries.map(({ id }) => id))
  await expect.poll(() => readdir(join(a.directory, 'blobs')), soon).toEqual([])
})

test('copied files arrive as files, with what was left out told', async () => {
  await using a = await openClipDevice({ seed: 1 })
  await using b = await openClipDevice({ seed: 2 })
  link(a, b)
  const place = await mkdtemp(join(tmpdir(), 'skein-clip-files-'))
  try {
    const files = { 'ä b.txt': bytesOf('first'), 'two.bin': new Uint8Array(2_500_000).fill(4) }
    for (const [name, content] of Object.entries(files)) await writeFile(join(place, name), content)
    await mkdir(join(place, 'directory'))
    const urls = [...Object.keys(files), 'directory', 'missing'].map(
      (name) => pathToFileURL(join(place, name)).href,
    )
    a.desktop().desk.copyAs([
      {
        mime: 'text/uri-list',
        content: bytesOf(`# a comment\r\n${urls.join('\r\n')}\r\nhttps://skein.example/\r\n`),
      },
      { mime: 'x-special/gnome-copied-files', content: bytesOf(['cut', ...urls].join('\n')) },
    ])
    await expect.poll(() => b.desktop().desk.mimes, soon).toHaveLength(2)
    const payload = await b.clipboard.read(b.clipboard.entries[0]?.id ?? '')
    expect(payload.leftOut).toEqual([
      { what: 'directory', reason: 'a directory' },
      { what: 'missing', reason: 'not there any more' },
    ])
    const list = (await pasted(b, 'text/uri-list')) ?? ''
    const [first = '', second = '', third, end] = list.split('\r\n')
    expect([third, end]).toEqual(['https://skein.example/', ''])
    expect(await readFile(fileURLToPath(first), 'utf8')).toBe('first')
    expect(Buffer.compare(await readFile(fileURLToPath(second)), files['two.bin'])).toBe(0)
    expect(fileURLToPath(first).startsWith(join(b.directory, 'pasted'))).toBe(true)
    expect((await pasted(b, 'x-special/gnome-copied-files'))?.split('\n').slice(0, 2)).toEqual([
      'copy',
      first,
    ])
    // On the device they were copied on the list stays what it was
    expect(await pasted(a, 'text/uri-list')).toContain('directory')
    await a.clipboard.remove(a.clipboard.entries.map(({ id }) => id))
    await expect.poll(() => readdir(join(b.directory, 'pasted')), soon).toEqual([])
  } finally {
    await rm(place, { recursive: true })
  }
}, 30_000)

test('names of files from elsewhere are one plain component each, and differ', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('..', '/etc/passwd', 'a', 'A', ''))),
      (names) => {
        const safe = distinctNames(names)
        expect(safe).toHaveLength(names.length)
        expect(new Set(safe.map((name) => name.toLowerCase())).size).toBe(names.length)
        for (const name of safe) {
          expect(name).not.toMatch(/[/\\\0]/)
          expect(['', '.', '..']).not.toContain(name)
        }
      },
    ),
  )
  expect(rewriteList('text/uri-list', 'file:///home/a/x\r\n', ['/tmp/y z'])).toBe('file:///tmp/y%20z\r\n')
})

test('what a password manager hides is in no document, no file, no message and no log', async () => {
  const canary = 'S3cr3t-canary-77af'
  const arbitrary = fc.array(
    fc.record({
      isConcealed: fc.boolean(),
      mime: fc.constantFrom('text/plain', 'text/html', 'image/png'),
      length: fc.constantFrom(0, 10, 20_000),
    }),
    { minLength: 1, maxLength: 6 },
  )
  await fc.assert(
    fc.asyncProperty(arbitrary, async (copies) => {
      await using a = await openClipDevice({ seed: 1 })
      await using b = await openClipDevice({ seed: 2 })
      const messages: Buffer[] = []
      link(a, b, (message) => messages.push(Buffer.from(message)))
      for (const [index, { isConcealed, mime, length }] of copies.entries()) {
        const { desk } = a.desktop()
        const padding = 'x'.repeat(length)
        if (isConcealed) desk.copyConcealedAs([{ mime, content: bytesOf(canary + padding) }])
        else desk.copyAs([{ mime, content: bytesOf(`open ${index} ${padding}`) }])
        await new Promise((resolve) => setImmediate(resolve))
      }
      const openCount = copies.filter(({ isConcealed }) => !isConcealed).length
      await expect.poll(() => b.clipboard.entries.length, soon).toBe(openCount)
      for (const device of [a, b]) {
        const names = device.rig.host.names()
        const documents = await device.rig.host.read(names, (document) =>
          Buffer.concat(names.map((name) => Y.encodeStateAsUpdate(document(name)))),
        )
        const searched = [
          documents,
          await allBytes(device.directory),
          Buffer.from(JSON.stringify(device.logged)),
        ]
        for (const bytes of searched) expect(bytes.includes(canary)).toBe(false)
        expect(device.clipboard.search(canary, 1)).toEqual([])
      }
      expect(Buffer.concat(messages).includes(canary)).toBe(false)
      // Nor does what is no secret stand anywhere open
      expect(Buffer.concat(messages).includes('open 0')).toBe(false)
      expect((await allBytes(b.directory)).includes('open 0')).toBe(false)
    }),
    { numRuns: 15 },
  )
}, 60_000)

test('a copy with too many or too long formats keeps what fits and says what is left out', async () => {
  await using a = await openClipDevice({ seed: 1 })
  const formats = Array.from({ length: limits.clipboardFormats + 2 }, (_, index) => ({
    mime: `text/x-${index}`,
    content: bytesOf(`format ${index} ${'y'.repeat(index === 3 ? 30_000 : 10)}`),
  }))
  a.desktop().desk.copyAs(
    [{ mime: 'no type', content: bytesOf('x') }, ...formats],
    [{ mime: 'image/tiff', reason: 'it came too late' }],
  )
  await expect.poll(() => a.clipboard.entries.length, soon).toBe(1)
  const payload = await a.clipboard.read(a.clipboard.entries[0]?.id ?? '')
  expect(payload.formats).toHaveLength(limits.clipboardFormats)
  expect(payload.leftOut.map(({ what }) => what)).toEqual(['image/tiff', 'no type', 'text/x-16', 'text/x-17'])
  expect(a.clipboard.search('FORMAT 0', 1)).toHaveLength(1)
})
