/** A device with everything of the clipboard but the network, and links in memory: documents, blobs, a desktop in memory. */
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Env } from '../../src/base/env.ts'
import { createMemoryKeep } from '../../src/base/keep.ts'
import type { LogRecord } from '../../src/base/log.ts'
import { createLog } from '../../src/base/log.ts'
import type { Channel } from '../../src/base/channel.ts'
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { createScope } from '../../src/base/scope.ts'
import { createBlobExchange, type BlobExchange } from '../../src/blobs/exchange.ts'
import { openClipboard, type Clipboard } from '../../src/crdt/clipboard.ts'
import { openClipboardAges } from '../../src/crdt/clipboard-ages.ts'
import { createSync, type Sync } from '../../src/crdt/sync.ts'
import { createMemoryClipboard, type MemoryClipboard } from '../../src/media/clipboard/memory-clipboard.ts'
import { openClipboardBlobs, type ClipboardBlobs } from '../../src/peer/clipboard-blobs.ts'
import { createClipboardContents, type ClipboardContents } from '../../src/peer/clipboard-contents.ts'
import { startClipboardDesk } from '../../src/peer/clipboard-desk.ts'
import { createPastedFiles } from '../../src/peer/clipboard-files.ts'
import { openClipboardPause, type ClipboardPause } from '../../src/peer/clipboard-pause.ts'
import { startClipboardUpkeep } from '../../src/peer/clipboard-upkeep.ts'
import { openRig, type Rig } from '../crdt/rig.ts'
import { createTestSealer } from '../support/clipboard-sealer.ts'

export interface ClipDevice extends AsyncDisposable {
  readonly rig: Rig
  readonly clipboard: Clipboard
  readonly contents: ClipboardContents
  readonly blobs: ClipboardBlobs
  readonly pause: ClipboardPause
  readonly sync: Sync
  readonly exchange: BlobExchange
  /** All of it that is on a disk, except keys. */
  readonly directory: string
  readonly logged: readonly LogRecord[]
  /** The desktop that is open now. */
  desktop(): MemoryClipboard
  /** How many times one was opened. */
  openedCount(): number
  texts(): Promise<readonly string[]>
}

export interface ClipDeviceParts {
  readonly seed: number
  readonly blobBytesMax?: number
}

export async function openClipDevice({ seed, blobBytesMax }: ClipDeviceParts): Promise<ClipDevice> {
  const rig = await openRig({ seed })
  const logged: LogRecord[] = []
  const env: Env = { ...rig.env, log: createLog((record) => logged.push(record), 'debug') }
  const scope = createScope(env, 'clipboard device')
  const directory = await mkdtemp(join(tmpdir(), 'skein-clip-'))
  for (const name of ['blobs', 'pasted']) await mkdir(join(directory, name))
  const exchange = scope.own(createBlobExchange(env))
  const blobs = await openClipboardBlobs(env, scope, {
    directory: join(directory, 'blobs'),
    exchange,
    mayRead: () => true,
    ...(blobBytesMax !== undefined && { bytesMax: blobBytesMax }),
  })
  const pasted = createPastedFiles(join(directory, 'pasted'))
  const contents = createClipboardContents(env, { self: rig.device, blobs, pasted })
  const clipboard = scope.own(
    openClipboard(env, rig.host, { device: rig.device, sealer: createTestSealer() }),
  )
  const pause = scope.own(await openClipboardPause(env, createMemoryKeep()))
  const ages = await openClipboardAges(env, rig.store)
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work, work)
    last = turn.catch(() => undefined)
    return turn
  }
  const opened: MemoryClipboard[] = []
  const shared = { self: rig.device, clipboard, contents, blobs, pasted, ages, pause, inTurn }
  startClipboardUpkeep(env, scope, { ...shared, askForKeys: () => undefined })
  await clipboard.ready
  startClipboardDesk(env, scope, {
    ...shared,
    openDesktop: () => {
      const desktop = createMemoryClipboard(env)
      opened.push(desktop)
      return desktop
    },
    onState: () => undefined,
  })
  const sync = scope.own(createSync(env, rig.host))
  return {
    rig,
    clipboard,
    contents,
    blobs,
    pause,
    sync,
    exchange,
    directory,
    logged,
    desktop() {
      const desktop = opened.at(-1)
      if (desktop === undefined) throw new Error('no desktop was opened')
      return desktop
    },
    openedCount: () => opened.length,
    async texts() {
      const payloads = await Promise.all(clipboard.entries.map((entry) => clipboard.read(entry.id)))
      return payloads.map((payload) => new TextDecoder().decode(payload.formats[0]?.content))
    },
    async [Symbol.asyncDispose]() {
      await scope.close()
      await rig[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

export interface Link {
  cut(): void
}

/** @param tap sees each message that crosses. */
export function link(a: ClipDevice, b: ClipDevice, tap?: (message: Uint8Array) => void): Link {
  const channels: Channel[] = []
  const pair = (): readonly [Channel, Channel] => {
    const [left, right] = createMemoryChannelPair()
    const ends = [tapped(left, tap), tapped(right, tap)] as const
    channels.push(...ends)
    return ends
  }
  const access = { visible: () => true, mayWrite: () => true }
  const [syncA, syncB] = pair()
  a.sync.connect(b.rig.device, syncA, access)
  b.sync.connect(a.rig.device, syncB, access)
  const [blobA, blobB] = pair()
  a.exchange.attach(b.rig.device, blobA)
  b.exchange.attach(a.rig.device, blobB)
  return {
    cut: () => {
      for (const channel of channels) void channel.close()
    },
  }
}

function tapped(channel: Channel, tap: ((message: Uint8Array) => void) | undefined): Channel {
  if (tap === undefined) return channel
  return {
    label: channel.label,
    closed: channel.closed,
    send(...parts) {
      tap(Buffer.concat(parts))
      return channel.send(...parts)
    },
    drained: (signal) => channel.drained(signal),
    receive: (receiver) => channel.receive(receiver),
    close: () => channel.close(),
    abort: (error) => channel.abort(error),
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  }
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

export const textCopy = (text: string) => [{ mime: 'text/plain', content: bytesOf(text) }]

/** Every byte of every file below a directory. */
export async function allBytes(directory: string): Promise<Buffer> {
  const found: Buffer[] = []
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const bytes = await readFile(join(entry.parentPath, entry.name)).catch(() => undefined)
    // Renamed while we looked: from the start
    if (bytes === undefined) return await allBytes(directory)
    found.push(bytes)
  }
  return Buffer.concat(found)
}
