/** Devices with real documents and made-up contents, and storage devices on a disk in memory, joined by memory channels. */
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import type { Channel } from '../../src/base/channel.ts'
import { createRpc } from '../../src/base/rpc.ts'
import { createRpcMethods } from '../../src/base/rpc-methods.ts'
import { newDeviceId, type DeviceId } from '../../src/base/ids.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { type BlobHash, hashOf } from '../../src/blobs/hash.ts'
import { rootNodeId } from '../../src/crdt/node-id.ts'
import { createSealedFolder } from '../../src/peer/sealed-folder.ts'
import type { SealedSpace } from '../../src/vault/sealed-space.ts'
import { createGoneDays } from '../../src/vault/gone-days.ts'
import { createSealer } from '../../src/vault/seal.ts'
import { createVaultClient, type VaultClient } from '../../src/vault/vault-client.ts'
import { VaultReader } from '../../src/vault/vault-reader.ts'
import { openVaultServer, type VaultServer } from '../../src/vault/vault-server.ts'
import { uploadSpace, type UploadParts, type UploadResult } from '../../src/vault/vault-upload.ts'
import { createVaultLink, type VaultLink } from '../../src/vault/vault-link.ts'
import { openRig, type Rig, testEnv, testSpace } from '../crdt/rig.ts'
import { createCrashDisk, type CrashDisk } from './crash-disk.ts'

export const spaceKey = new Uint8Array(32).fill(42)
export const forever = new AbortController().signal

export interface Holder {
  readonly server: VaultServer
  readonly disks: Map<string, CrashDisk>
  readonly device: DeviceId
  /** Everything that came over the wire to it. */
  readonly received: Uint8Array[]
  quotaBytes: number | undefined
  freeBytes: number
}

let seeds = 100

export async function openHolder(disks: Map<string, CrashDisk> = new Map()): Promise<Holder> {
  const env = testEnv({ seed: seeds++ })
  const holder = {
    disks,
    received: [] as Uint8Array[],
    quotaBytes: 1e12 as number | undefined,
    freeBytes: 1e12,
  }
  const server = await openVaultServer(
    env,
    {
      list: async () => [...disks.keys()],
      async open(vault) {
        const disk = disks.get(vault) ?? createCrashDisk()
        disks.set(vault, disk)
        return disk
      },
      remove: async (vault) => void disks.delete(vault),
      free: async () => holder.freeBytes,
    },
    { quotaBytes: () => holder.quotaBytes, check: () => undefined },
  )
  return Object.assign(holder, { server, device: newDeviceId(env.random) })
}

export interface Device {
  readonly rig: Rig
  readonly contents: Map<BlobHash, Uint8Array>
  readonly space: SealedSpace
}

export async function openDevice(): Promise<Device> {
  const rig = await openRig({ seed: seeds++ })
  const contents = new Map<BlobHash, Uint8Array>()
  const info = { id: testSpace, name: 'Tax papers', createdBy: rig.device, createdAtMs: 5 }
  const openBlob = async (hash: BlobHash) => {
    const bytes = contents.get(hash)
    if (bytes === undefined) return undefined
    return {
      sizeBytes: bytes.byteLength,
      async read(into: Uint8Array, position: number) {
        const part = bytes.subarray(position, position + into.byteLength)
        into.set(part)
        return part.byteLength
      },
      [Symbol.asyncDispose]: async () => undefined,
    }
  }
  const parts = { host: rig.host, space: rig.space, info, device: rig.device, folder: () => ({ openBlob }) }
  return { rig, contents, space: createSealedFolder(rig.env, parts) }
}

/** A file with these bytes. */
export async function write({ rig, contents }: Device, name: string, bytes: Uint8Array): Promise<BlobHash> {
  const hash = hashOf(bytes)
  contents.set(hash, bytes)
  const [nodeId] = rig.space.newIds(1)
  if (nodeId === undefined) throw new Error('no id')
  const data = { kind: 'file', hash, sizeBytes: bytes.byteLength, mtimeNs: 1n, mode: 0o644 } as const
  await rig.space.commit([{ kind: 'create', nodeId, parent: rootNodeId, name, data }])
  return hash
}

export async function listing({ rig }: Device): Promise<readonly string[]> {
  const out: string[] = []
  for await (const { path, data } of rig.space.walk()) out.push(`${path} ${data.hash ?? ''}`)
  return out.sort()
}

export interface Connection {
  readonly client: VaultClient
  readonly reader: VaultReader
  readonly parts: UploadParts
  readonly channel: Channel
  /** Of the holder. */
  readonly device: DeviceId
}

/** @param key of the space; another one sees another vault. */
export function connect(device: Device, holder: Holder, key: Uint8Array = spaceKey): Connection {
  const [near, far] = createMemoryChannelPair()
  const { env } = device.rig
  const spied: Channel = {
    ...far,
    label: far.label,
    closed: far.closed,
    send: (...all) => far.send(...all),
    drained: (signal) => far.drained(signal),
    close: () => far.close(),
    abort: (error) => far.abort(error),
    receive: (receiver) =>
      far.receive((message) => {
        holder.received.push(message.slice())
        return receiver(message)
      }),
    [Symbol.asyncDispose]: () => far[Symbol.asyncDispose](),
  }
  holder.server.attach(device.rig.device, spied)
  const sealer = createSealer(key)
  const rpc = createRpc(env, near, createRpcMethods<string>(), 'holder')
  const client = createVaultClient(rpc, sealer.vault)
  const reader = new VaultReader(env, { device: holder.device, client, sealer })
  const parts = { client, sealer, reader, space: device.space, signal: forever, onProgress: () => undefined }
  return { client, reader, parts, channel: near, device: holder.device }
}

/** Reads, leads, writes, rests: one round of a device that has the vault for itself. */
export async function bringUp({ client, reader, parts }: Connection): Promise<UploadResult> {
  await reader.catchUp((updates) => parts.space.apply(updates), forever)
  if (!(await client.lead(true, forever))) throw new Error('another one writes')
  try {
    return await uploadSpace(testEnv().clock, parts)
  } finally {
    await client.lead(false, forever)
  }
}

export const readAll = ({ reader, parts }: Connection): Promise<boolean> =>
  reader.catchUp((updates) => parts.space.apply(updates), forever)

/** A content as a folder would fetch it. */
export async function fetchContent(
  { reader }: Connection,
  hash: BlobHash,
  sizeBytes: number,
): Promise<Uint8Array> {
  const out = new Uint8Array(sizeBytes)
  await reader.ask()({ hash, sizeBytes, offset: 0, write: (bytes, position) => out.set(bytes, position) })
  return out
}

/** A running link, until disposed. @param isDue what nobody wants counts as gone for long enough. */
export async function completed(
  device: Device,
  holder: Holder,
  isDue = false,
): Promise<VaultLink & AsyncDisposable> {
  const connection = connect(device, holder)
  const link = linkOf(device, connection, isDue)
  const stop = new AbortController()
  const running = link.run(stop.signal)
  while (link.status.state !== 'complete') {
    if (link.status.problem !== undefined) throw link.status.problem
    await new Promise((resolve) => setImmediate(resolve))
  }
  return Object.assign(link, {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
      await connection.channel.close()
    },
  })
}

function linkOf(device: Device, { client, parts, device: holder }: Connection, isDue: boolean): VaultLink {
  const { env } = device.rig
  return createVaultLink(env, {
    device: holder,
    client,
    sealer: parts.sealer,
    space: device.space,
    goneDays: isDue
      ? { due: (gone) => new Set(gone), encode: () => new Uint8Array(), isChanged: false }
      : createGoneDays(env.clock, undefined),
    mayWrite: () => true,
    onStatus: () => undefined,
    onRead: () => undefined,
    onCounted: async () => undefined,
  })
}

export const randomBytes = (seed: number, length: number): Uint8Array =>
  createSeededRandom(seed).bytes(length)

/** Takes a file out of the tree. */
export async function remove({ rig }: Device, name: string): Promise<void> {
  const entry = await rig.space.lookup(name)
  if (entry === undefined) throw new Error('no such file')
  await rig.space.commit([{ kind: 'remove', nodeId: entry.nodeId, observed: entry.data.versions }])
}
