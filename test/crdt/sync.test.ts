/** Sync over memory channels: two and three peers, partitions, equal peers, hostile frames, slow peers. */
import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import type { Channel } from '../../src/base/channel.ts'
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { limits } from '../../src/base/limits.ts'
import { equalBytes } from '../../src/crdt/digest.ts'
import { rootNodeId } from '../../src/crdt/node-id.ts'
import { createSync, type Sync } from '../../src/crdt/sync.ts'
import type { SyncAccess } from '../../src/crdt/sync-peer.ts'
import { encodeDocument, encodeUpdates } from '../../src/crdt/sync-frames.ts'
import { fileData, listing, openRig, type Rig } from './rig.ts'

const all: SyncAccess = { visible: () => true, mayWrite: () => true }

interface Node extends AsyncDisposable {
  readonly rig: Rig
  readonly sync: Sync
}

async function openNode(seed: number): Promise<Node> {
  const rig = await openRig({ seed })
  const sync = createSync(rig.env, rig.host)
  return {
    rig,
    sync,
    async [Symbol.asyncDispose]() {
      sync[Symbol.dispose]()
      await rig[Symbol.asyncDispose]()
    },
  }
}

interface Wire {
  bytes: number
  frames: number
  cut(): Promise<void>
}

function connect(a: Node, b: Node, access: readonly [SyncAccess, SyncAccess] = [all, all]): Wire {
  const [left, right] = createMemoryChannelPair()
  const wire: Wire = { bytes: 0, frames: 0, cut: () => left.close() }
  a.sync.connect('b', counted(left, wire), access[0])
  b.sync.connect('a', counted(right, wire), access[1])
  return wire
}

function counted(channel: Channel, wire: Wire): Channel {
  return {
    label: channel.label,
    closed: channel.closed,
    send(...parts) {
      wire.frames++
      for (const part of parts) wire.bytes += part.byteLength
      return channel.send(...parts)
    },
    drained: (signal) => channel.drained(signal),
    receive: (receiver) => channel.receive(receiver),
    close: () => channel.close(),
    abort: (error) => channel.abort(error),
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  }
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 5))
}

const inSync = (a: Node, b: Node) =>
  until(
    () =>
      a.sync.peers().every((one) => a.sync.inSync(one)) && b.sync.peers().every((one) => b.sync.inSync(one)),
  )

async function create(node: Node, name: string, content: string): Promise<void> {
  const [nodeId = rootNodeId] = node.rig.space.newIds(1)
  await node.rig.space.commit([{ kind: 'create', nodeId, parent: rootNodeId, name, data: fileData(content) }])
}

describe('two peers', () => {
  test('that meet with different documents become equal, by digest', async () => {
    await using a = await openNode(1)
    await using b = await openNode(2)
    await create(a, 'from-a', 'A')
    await create(b, 'from-b', 'B')
    connect(a, b)
    await inSync(a, b)
    expect(await listing(a.rig.space)).toEqual(['from-a file A', 'from-b file B'])
    expect(await listing(b.rig.space)).toEqual(await listing(a.rig.space))
  })

  test('see live changes, documents that appear later, and deletions', async () => {
    await using a = await openNode(1)
    await using b = await openNode(2)
    connect(a, b)
    await inSync(a, b)
    await create(a, 'later', 'L')
    await until(async () => (await listing(b.rig.space)).length === 1)
    const entry = await b.rig.space.lookup('later')
    if (entry === undefined) throw new Error('no entry')
    await b.rig.space.commit([{ kind: 'remove', nodeId: entry.nodeId, observed: entry.data.versions }])
    await until(async () => (await listing(a.rig.space)).length === 0)
    await inSync(a, b)
  })

  test('that are equal exchange digests only when they meet again', async () => {
    await using a = await openNode(1)
    await using b = await openNode(2)
    const first = connect(a, b)
    for (let index = 0; index < 300; index++) await create(a, `file-${index}`, String(index))
    await inSync(a, b)
    await first.cut()
    await until(() => a.sync.peers().length === 0 && b.sync.peers().length === 0)
    const again = connect(a, b)
    await inSync(a, b)
    expect(again.bytes).toBeLessThan(300)
    expect(first.bytes).toBeGreaterThan(30_000)
  })

  test('whose digests are equal but state vectors hide a deletion are not called in sync before it arrived', async () => {
    await using a = await openNode(1)
    await using b = await openNode(2)
    await create(a, 'x', 'X')
    const wire = connect(a, b)
    await inSync(a, b)
    await wire.cut()
    const entry = await a.rig.space.lookup('x')
    if (entry === undefined) throw new Error('no entry')
    await a.rig.space.commit([{ kind: 'remove', nodeId: entry.nodeId, observed: entry.data.versions }])
    const [name = ''] = a.rig.host.names()
    const vectors = await Promise.all(
      [a, b].map((one) => one.rig.host.read([name], (doc) => Y.encodeStateVector(doc(name)))),
    )
    expect(vectors[0]).toEqual(vectors[1])
    expect(equalBytes(await a.rig.host.digest(name), await b.rig.host.digest(name))).toBe(false)
    connect(a, b)
    await until(async () => (await listing(b.rig.space)).length === 0)
  })

  test('keep to what each may see and write', async () => {
    await using a = await openNode(1)
    await using b = await openNode(2)
    await a.rig.host.transact(['secret'], (doc) => void doc('secret').getMap('root').set('k', 1))
    await a.rig.host.transact(['shared'], (doc) => void doc('shared').getMap('root').set('k', 1))
    const refused: string[] = []
    a.sync.on('refused', ({ peer, error }) => refused.push(`${peer} ${error.code}`))
    const visible = (name: string): boolean => name !== 'secret'
    connect(a, b, [
      { visible, mayWrite: () => false },
      { visible: () => true, mayWrite: () => true },
    ])
    await until(() => b.rig.host.names().includes('shared'))
    await b.rig.host.transact(['shared'], (doc) => void doc('shared').getMap('root').set('k', 2))
    await until(() => refused.length > 0)
    expect(refused[0]).toBe('b auth.denied')
    expect(b.rig.host.names()).not.toContain('secret')
    expect(await a.rig.host.read(['shared'], (doc) => doc('shared').getMap('root').get('k'))).toBe(1)
  })

  test('tell who may not write only what no power cut takes: it could not give it back', async () => {
    await using a = await openNode(1)
    await using b = await openNode(2)
    connect(a, b, [{ visible: () => true, mayWrite: () => false }, all])
    await a.rig.host.transact(['shared'], (doc) => void doc('shared').getMap('root').set('k', 1))
    await until(() => b.rig.host.names().includes('shared'))
    await a.rig.host.transact(['shared'], (doc) => void doc('shared').getMap('root').set('k', 2))
    await until(
      async () => (await b.rig.host.read(['shared'], (doc) => doc('shared').getMap('root').get('k'))) === 2,
    )
    a.sync[Symbol.dispose]()
    a.rig.kill()
    a.rig.disk.losePower()
    await using after = await openRig({ disk: a.rig.disk, witness: a.rig.witness, device: a.rig.device })
    expect(equalBytes(await after.host.digest('shared'), await b.rig.host.digest('shared'))).toBe(true)
  })

  test('exchange a document larger than one message in parts', async () => {
    await using a = await openNode(1)
    await using b = await openNode(2)
    const text = 'x'.repeat(limits.messageBytes * 2 + 17)
    await a.rig.host.transact(['big'], (doc) => void doc('big').getMap('root').set('k', text))
    connect(a, b)
    await inSync(a, b)
    expect(await b.rig.host.read(['big'], (doc) => doc('big').getMap('root').get('k'))).toBe(text)
  })
})

describe('three peers', () => {
  test('agree after a partition, though one of them was never connected to another', async () => {
    await using a = await openNode(1)
    await using b = await openNode(2)
    await using c = await openNode(3)
    const [left, right] = createMemoryChannelPair()
    connect(a, b)
    b.sync.connect('c', left, all)
    c.sync.connect('b', right, all)
    await create(a, 'one', '1')
    await until(async () => (await listing(c.rig.space)).length === 1)
    await left.close()
    await create(a, 'two', '2')
    await create(c, 'three', '3')
    await until(async () => (await listing(b.rig.space)).length === 2)
    const [left2, right2] = createMemoryChannelPair()
    b.sync.connect('c', left2, all)
    c.sync.connect('b', right2, all)
    await until(
      async () => (await listing(a.rig.space)).length === 3 && (await listing(c.rig.space)).length === 3,
    )
    expect(await listing(a.rig.space)).toEqual(await listing(c.rig.space))
  })
})

const billion = [0x80, 0x94, 0xeb, 0xdc, 3]

describe('hostile input', () => {
  const garbage: readonly (readonly [string, Uint8Array])[] = [
    ['an empty frame', new Uint8Array()],
    ['an unknown frame', Uint8Array.of(99, 1, 2)],
    ['an endless count', Uint8Array.of(1, 0, 255, 255, 255, 255, 15)],
    ['an update with a wrong checksum', flip(encodeUpdates([{ name: 'x', update: Uint8Array.of(0, 0) }]), 3)],
    ['a truncated update', encodeUpdates([{ name: 'x', update: validUpdate().slice(0, -2) }])],
    ['a poisoned clock', encodeUpdates([{ name: 'x', update: poisonedUpdate() }])],
    [
      'a count of a billion operations',
      encodeUpdates([{ name: 'x', update: bomb(0x80, 0x94, 0xeb, 0xdc, 3, 5, 0) }]),
    ],
    [
      'a list of a billion values',
      encodeUpdates([{ name: 'x', update: bomb(1, 5, 0, 8, 1, 1, 108, ...billion) }]),
    ],
    ['a value nested 500,000 deep', encodeUpdates([{ name: 'x', update: nestedUpdate() }])],
    ['a document name that is none', encodeUpdates([{ name: '../x', update: validUpdate() }])],
    ['a sync message that is none', [...encodeDocument('x', Uint8Array.of(7, 0))][0] ?? new Uint8Array()],
  ]
  test.each(garbage)('%s ends the channel and is attributed', async (_name, frame) => {
    await using a = await openNode(1)
    await a.rig.host.transact(['x'], (doc) => void doc('x').getMap('root').set('k', 1))
    const before = await a.rig.host.digest('x')
    const [mine, theirs] = createMemoryChannelPair()
    const refused: string[] = []
    a.sync.on('refused', ({ peer, error }) => refused.push(`${peer} ${error.code}`))
    a.sync.connect('evil', mine, all)
    theirs.receive(() => undefined)
    theirs.send(frame)
    expect((await theirs.closed)?.code).toBe('channel.aborted')
    expect(refused).toEqual(['evil codec.invalid'])
    expect(await a.rig.host.digest('x')).toEqual(before)
    expect(a.sync.peers()).toEqual([])
  })

  test('an update that builds on something missing is not kept, but asked for', async () => {
    await using a = await openNode(1)
    const source = new Y.Doc()
    source.getArray('l:x').push(['first'])
    const updates: Uint8Array[] = []
    source.on('update', (update: Uint8Array) => updates.push(update))
    for (let index = 0; index < 300; index++) source.getArray('l:x').push([`more ${index}`])
    const missing = await a.rig.host.apply(
      updates.map((update) => ({ name: 'x', update })),
      'peer',
    )
    expect(new Set(missing)).toEqual(new Set(['x']))
    expect(await a.rig.host.read(['x'], (doc) => doc('x').store.pendingStructs)).toBeNull()
  })

  test('a peer that does not read does not make memory grow', async () => {
    await using a = await openNode(1)
    const [mine, theirs] = createMemoryChannelPair()
    theirs.receive(() => new Promise(() => undefined))
    a.sync.connect('slow', mine, all)
    const text = 'y'.repeat(200_000)
    for (let index = 0; index < 60; index++) {
      await a.rig.host.transact(
        ['doc'],
        (doc) =>
          void doc('doc')
            .getMap('root')
            .set(`k${index % 3}`, `${index}${text}`),
      )
    }
    expect(a.sync.peers()).toEqual(['slow'])
    theirs.abort(new (await import('../../src/base/errors.ts')).SkeinError('channel.aborted', 'test over'))
  })
})

function flip(bytes: Uint8Array, index: number): Uint8Array {
  const out = bytes.slice()
  out[index] = (out[index] ?? 0) ^ 1
  return out
}

function validUpdate(): Uint8Array {
  const document = new Y.Doc()
  document.getMap('root').set('k', 'value')
  return Y.encodeStateAsUpdate(document)
}

/** One garbage-collected run of 2^50 operations of client 5. */
function poisonedUpdate(): Uint8Array {
  return Uint8Array.of(1, 1, 5, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0)
}

/** One client, then these bytes: lengths that nothing follows. */
function bomb(...bytes: readonly number[]): Uint8Array {
  return Uint8Array.of(1, ...bytes)
}

/** A list in a list in a list. */
function nestedUpdate(): Uint8Array {
  const depth = 500_000
  const update = new Uint8Array(9 + depth * 2)
  update.set([1, 1, 5, 0, 8, 1, 1, 108, 1])
  for (let index = 0; index < depth; index++) update.set([117, 1], 9 + index * 2)
  return update
}
