/**
 * A mesh of real peers, one in each host of a network lab, paired once: what the tests and benches of the mesh stand
 * on. It says when everybody is connected with everybody, from the peers' own word and from the kernel's.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import type { EventItem } from '../../src/peer/api.ts'
import type { MeshPeer } from './mesh-peer.ts'
import { createMeshPeer } from './mesh-peer.ts'
import type { Lab, LabOptions } from './netns.ts'
import { createLab } from './netns.ts'

export interface MeshLab extends AsyncDisposable {
  readonly lab: Lab
  readonly peers: readonly MeshPeer[]
  /** One more device on a host without one, not started and in no mesh. Disposing stops it. */
  stranger(host: number): Promise<{ readonly peer: MeshPeer } & AsyncDisposable>
  peer(host: number): MeshPeer
  /** Starts all at once. */
  startAll(): Promise<StartTimes>
  stopAll(): Promise<void>
  /**
   * Waits until these (all by default) are connected with each other as both sides say.
   * @returns the moment at which the last link came up, by the wall clock.
   */
  whole(among?: readonly MeshPeer[], timeoutMs?: number): Promise<number>
  /** Waits until there are exactly two connections a pair, as the peers and the kernel say. */
  settled(among?: readonly MeshPeer[], timeoutMs?: number): Promise<void>
}

export interface StartTimes {
  readonly spawnMs: number
  /** The last one was ready. */
  readonly readyMs: number
}

export interface MeshOptions extends LabOptions {
  /** How many of the hosts get a peer that is a member, the first ones; all by default. */
  readonly members?: number
}

const patienceMs = 30_000
const lookAgainMs = 100

/** Builds the lab, starts the peers and pairs them. */
export async function createMeshLab({ members, ...options }: MeshOptions): Promise<MeshLab> {
  const directory = await mkdtemp(joinPath(tmpdir(), 'skein-mesh-'))
  const lab = await createLab(options)
  const peers = Array.from({ length: members ?? options.hosts }, (_, host) =>
    createMeshPeer(lab, { host, name: `device-${host}`, home: joinPath(directory, String(host)) }),
  )
  const mesh: MeshLab = {
    lab,
    peers,
    peer: (host) => peerAt(peers, host),
    async stranger(host) {
      const home = await mkdtemp(joinPath(directory, 'stranger-'))
      const peer = createMeshPeer(lab, { host, name: `device-${host}`, home })
      return { peer, [Symbol.asyncDispose]: () => peer.stop() }
    },
    async startAll() {
      const spawnMs = Date.now()
      const ready = await Promise.all(peers.map((peer) => peer.start()))
      return { spawnMs, readyMs: Math.max(...ready) }
    },
    stopAll: async () => void (await Promise.all(peers.map((peer) => peer.stop()))),
    whole: (among = peers, timeoutMs = patienceMs) => becomeWhole(among, timeoutMs),
    settled: (among = peers, timeoutMs = patienceMs) => becomeSettled(lab, among, timeoutMs),
    async [Symbol.asyncDispose]() {
      await lab[Symbol.asyncDispose]()
      await Promise.all(peers.map((peer) => peer.exited()))
      await rm(directory, { recursive: true, force: true, maxRetries: 3 })
    },
  }
  try {
    await mesh.startAll()
    const [first, ...others] = peers
    for (const other of others) await pair(peerAt(peers, first?.host ?? 0), other)
    await mesh.whole()
    return mesh
  } catch (error) {
    await mesh[Symbol.asyncDispose]()
    throw error
  }
}

function peerAt(peers: readonly MeshPeer[], host: number): MeshPeer {
  const peer = peers[host]
  if (peer === undefined) throw new RangeError(`there is no peer on host ${host}`)
  return peer
}

/** Brings `joiner` into the mesh of `host`, by the long code. */
export async function pair(host: MeshPeer, joiner: MeshPeer): Promise<void> {
  let joined = Promise.resolve()
  for await (const event of host.client.stream('pair', { role: 'full' })) {
    if (event.kind === 'opened') joined = join(joiner, event.longCode)
    if (event.kind === 'confirm')
      await host.client.call('pairConfirm', { requestId: event.requestId, accept: true })
    if (event.kind === 'failed') throw new Error(`pairing failed: ${JSON.stringify(event.error)}`)
    if (event.kind === 'joined') break
  }
  await joined
}

async function join(joiner: MeshPeer, code: string): Promise<void> {
  for await (const event of joiner.client.stream('pairJoin', { code })) if (event.kind === 'joined') return
}

async function becomeWhole(among: readonly MeshPeer[], timeoutMs: number): Promise<number> {
  const ids = among.map((peer) => peer.deviceId)
  return await retry(among, timeoutMs, async () => {
    const found = await Promise.all(among.map((peer) => peer.status()))
    let lastMs = 0
    for (const [index, { links, name }] of found.entries()) {
      for (const deviceId of ids) {
        if (deviceId === ids[index]) continue
        const link = links.find((one) => one.deviceId === deviceId)
        if (link?.state !== 'up') {
          return { missing: `${name} to ${link?.name ?? deviceId} is ${link?.state ?? 'unknown'}` }
        }
        lastMs = Math.max(lastMs, link.sinceMs ?? 0)
      }
    }
    return { value: lastMs }
  })
}

async function becomeSettled(lab: Lab, among: readonly MeshPeer[], timeoutMs: number): Promise<void> {
  await becomeWhole(among, timeoutMs)
  await retry(among, timeoutMs, async () => {
    for (const peer of among) {
      const { links } = await peer.status()
      const sockets = await establishedWith(lab, peer.host)
      for (const other of among) {
        if (other === peer) continue
        const link = links.find((one) => one.deviceId === other.deviceId)
        if (link?.connectionCount !== 2) {
          return { missing: `${peer.name} holds ${link?.connectionCount ?? 0} connections to ${other.name}` }
        }
        const count = sockets.get(lab.addressOf(other.host)) ?? 0
        if (count !== 2)
          return { missing: `the kernel of ${peer.name} has ${count} sockets to ${other.name}` }
      }
    }
    return { value: undefined }
  })
}

/** How many TCP connections a host has with each address that a process still holds; the rest are the kernel's. */
async function establishedWith(lab: Lab, host: number): Promise<ReadonlyMap<string, number>> {
  const { stdout } = await lab.exec(host, 'ss', ['-Htn', 'state', 'established', 'state', 'close-wait'])
  const counts = new Map<string, number>()
  for (const line of stdout.split('\n').filter((text) => text.trim() !== '')) {
    const address = (line.trim().split(/\s+/).at(-1) ?? '').replace(/^\[?(?:::ffff:)?([^\]]*)\]?:\d+$/, '$1')
    counts.set(address, (counts.get(address) ?? 0) + 1)
  }
  return counts
}

type Look<T> = { readonly value: T } | { readonly missing: string }

/** Looks after each event, and now and then. */
async function retry<T>(
  among: readonly MeshPeer[],
  timeoutMs: number,
  look: () => Promise<Look<T>>,
): Promise<T> {
  const untilMs = Date.now() + timeoutMs
  for (;;) {
    const seen = await look()
    if ('value' in seen) return seen.value
    if (Date.now() > untilMs) throw new Error(`not within ${timeoutMs} ms: ${seen.missing}`)
    await new Promise<void>((resolve) => {
      const timer = setTimeout(finish, lookAgainMs)
      const listening = among.map((peer) => peer.onEvent(finish))
      function finish(): void {
        clearTimeout(timer)
        for (const one of listening) one[Symbol.dispose]()
        resolve()
      }
    })
  }
}

const isAbout =
  (name: string, deviceId: string, addressStart = '') =>
  ({ name: said, data }: EventItem): boolean => {
    const fields = new Map<string, unknown>(Object.entries(data))
    if (said !== name || fields.get('deviceId') !== deviceId) return false
    return addressStart === '' || String(fields.get('address')).startsWith(addressStart)
  }

/** Until `observer` says that its link to `subject` went down. @returns ms from `sinceMs`. */
export async function downAfter(observer: MeshPeer, subject: MeshPeer, sinceMs: number): Promise<number> {
  const event = await observer.heard(isAbout('link.down', subject.deviceId), sinceMs)
  return event.atMs - sinceMs
}

/** Until `observer` says that its link to `subject` came up, at such an address. @returns ms from `sinceMs`. */
export async function upAfter(
  observer: MeshPeer,
  subject: MeshPeer,
  sinceMs: number,
  addressStart = '',
): Promise<number> {
  const event = await observer.heard(isAbout('link.up', subject.deviceId, addressStart), sinceMs)
  return event.atMs - sinceMs
}

/** How often a link among these was called suspect and down since then. */
export function alarmsSince(
  among: readonly MeshPeer[],
  sinceMs: number,
): { readonly suspects: number; readonly downs: number } {
  const events = among.flatMap((peer) => peer.events.filter((event) => event.atMs >= sinceMs))
  return {
    suspects: events.filter(({ name }) => name === 'link.suspect').length,
    downs: events.filter(({ name }) => name === 'link.down').length,
  }
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low = 0, high = 0] = [sorted[middle - 1] ?? sorted[middle], sorted[middle]]
  return sorted.length % 2 === 1 ? high : (low + high) / 2
}
