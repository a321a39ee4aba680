/**
 * A peer under attack, with an honest friend that must notice nothing: three hosts of a lab, alice (attacked), bob
 * (paired with her, sharing a folder) and a host for the attacker, whose processes run `attacker.ts`.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { Device } from '../../src/peer/api.ts'
import type { PairEvent } from '../../src/peer/api-pairing.ts'
import type { AttackerOptions } from './attacker.ts'
import type { Lab } from './netns.ts'
import { createLab } from './netns.ts'
import type { RunningCommand, SkeinPeer } from './skein.ts'
import { createSkeinPeer, pairPeers, until } from './skein.ts'

const attackerPath = fileURLToPath(new URL('./attacker.ts', import.meta.url))
const attackerHost = 2
const mebibyte = 1024 * 1024

export interface Attack {
  /** Lines it prints, as they come. */
  lines(): AsyncGenerator<Record<string, unknown>>
  /** All it printed, once it has ended by itself. */
  readonly result: Promise<readonly Record<string, unknown>[]>
  kill(): void
}

export interface OpenWindow extends AsyncDisposable {
  readonly shortCode: string
  readonly longCode: string
  /** The next event of the kind; those before it are skipped. */
  next<K extends PairEvent['kind']>(kind: K): Promise<Extract<PairEvent, { kind: K }>>
}

export interface Siege extends AsyncDisposable {
  readonly lab: Lab
  readonly alice: SkeinPeer
  readonly bob: SkeinPeer
  /** Alice's bound ports. */
  readonly port: number
  readonly tlsPort: number
  readonly address: string
  attack(options: Omit<AttackerOptions, 'address' | 'port' | 'tlsPort' | 'peerId'>): Attack
  /** A peer of the attacker's own, on its host. */
  stranger(name: string): Promise<SkeinPeer>
  openWindow(...args: readonly string[]): Promise<OpenWindow>
  /**
   * Runs an attack and proves that it changed nothing for alice and bob: members, link, files; alice's memory bounded.
   * @returns by how much her memory grew at most, in bytes.
   */
  endure(what: string, attack: () => Promise<unknown>, maxGrowthBytes?: number): Promise<number>
}

export async function createSiege(): Promise<Siege> {
  const lab = await createLab({ hosts: 3, withDefaultRoute: true })
  const folders = await mkdtemp(join(tmpdir(), 'skein-siege-'))
  const owned: AsyncDisposable[] = [lab]
  const dispose = async (): Promise<void> => {
    for (const one of owned.toReversed()) await one[Symbol.asyncDispose]()
    await rm(folders, { recursive: true, force: true })
  }
  const peerOn = async (host: number, name: string): Promise<SkeinPeer> => {
    const launch = (file: string, args: readonly string[]): ReturnType<Lab['spawn']> =>
      lab.spawn(host, file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const peer = await createSkeinPeer({ name, launch, upArgs: [] })
    owned.push(peer)
    return peer
  }
  try {
    const [alice, bob] = [await peerOn(0, 'alice'), await peerOn(1, 'bob')]
    const { pid, peerId, addresses } = await alice.up()
    await bob.up()
    await pairPeers(alice, bob)
    const [a, b] = [join(folders, 'a'), join(folders, 'b')]
    await mkdir(a)
    await alice.json('share', a, '--name', 'work')
    await bob.json('join', 'work', b)
    const tcpPort = (isTls: boolean): number =>
      Number(
        addresses.find((one) => one.startsWith('/ip4/10.') && one.endsWith('/tls') === isTls)?.split('/')[4],
      )
    const place = { address: lab.addressOf(0), port: tcpPort(false), tlsPort: tcpPort(true), peerId }
    const siege: Siege = {
      lab,
      alice,
      bob,
      ...place,
      attack: (options) => startAttack(lab, { ...place, ...options }),
      stranger: (name) => peerOn(attackerHost, name),
      openWindow: (...args) => openWindow(alice, args),
      endure: (what, attack, maxGrowthBytes = 130 * mebibyte) =>
        endure({ alice, bob, pid, folders: [a, b] }, what, attack, maxGrowthBytes),
      [Symbol.asyncDispose]: dispose,
    }
    await siege.endure('peace', () => Promise.resolve())
    return siege
  } catch (error) {
    await dispose()
    throw error
  }
}

function startAttack(lab: Lab, options: AttackerOptions): Attack {
  const child = lab.spawn(attackerHost, process.execPath, [attackerPath, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (child.stdout === null) throw new Error('the attacker must have a pipe')
  const seen: Record<string, unknown>[] = []
  let wake: (() => void) | undefined
  const reader = createInterface({ input: child.stdout })
  reader.on('line', (line) => {
    seen.push(JSON.parse(line) as Record<string, unknown>) // because: the attacker prints objects
    wake?.()
  })
  let isOver = false
  const result = new Promise<readonly Record<string, unknown>[]>((resolve) =>
    child.once('close', () => {
      isOver = true
      wake?.()
      resolve(seen)
    }),
  )
  return {
    result,
    kill: () => void child.kill('SIGKILL'),
    async *lines() {
      for (let index = 0; ;) {
        const line = seen[index]
        if (line !== undefined) {
          index++
          yield line
        } else if (isOver) return
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    },
  }
}

async function openWindow(alice: SkeinPeer, args: readonly string[]): Promise<OpenWindow> {
  const command: RunningCommand = alice.start('pair', ...args, '--json')
  const items = command.items()
  const next: OpenWindow['next'] = async (kind) => {
    for (;;) {
      const { value, done } = await items.next()
      if (done === true) throw new Error(`the window ended before "${kind}": ${(await command.done).stderr}`)
      if (value['kind'] === kind) return value as never // because: the tag was just compared
    }
  }
  const { shortCode, longCode } = await next('opened')
  return {
    shortCode,
    longCode,
    next,
    async [Symbol.asyncDispose]() {
      command.kill()
      await command.done
    },
  }
}

interface Honest {
  readonly alice: SkeinPeer
  readonly bob: SkeinPeer
  readonly pid: number
  readonly folders: readonly [string, string]
}

let round = 0

async function endure(
  { alice, bob, pid, folders: [a, b] }: Honest,
  what: string,
  attack: () => Promise<unknown>,
  maxGrowthBytes: number,
): Promise<number> {
  const isLinked = async (peer: SkeinPeer, name: string): Promise<boolean> =>
    (await peer.status()).links.some((link) => link.name === name && link.state === 'up')
  await until('linked', async () => (await isLinked(alice, 'bob')) && (await isLinked(bob, 'alice')))
  const before = await rssBytes(pid)
  const members = await memberIds(alice)
  const events = bob.start('events', '--json')
  let mostBytes = before
  const timer = setInterval(
    () => void rssBytes(pid).then((now) => (mostBytes = Math.max(mostBytes, now))),
    50,
  )
  try {
    await attack()
    const name = `file-${++round}`
    await writeFile(join(a, name), what)
    const there = await until(`${what}: a file arrives`, async () => (await textOf(join(b, name))) === what)
    await writeFile(join(b, name), `${what} back`)
    const back = await until(
      `${what}: and back`,
      async () => (await textOf(join(a, name))) === `${what} back`,
    )
    const growthBytes = mostBytes - before
    console.log('siege', what, {
      growthMiB: Math.round(growthBytes / mebibyte),
      thereMs: Math.round(there.elapsedMs),
      backMs: Math.round(back.elapsedMs),
    })
    expect(growthBytes).toBeLessThan(maxGrowthBytes)
    expect(await memberIds(alice)).toEqual(members)
    expect((await alice.status()).pid).toBe(pid)
    return growthBytes
  } finally {
    clearInterval(timer)
    events.kill()
    await events.done
    const down: unknown[] = []
    for await (const event of events.items()) if (event['name'] === 'link.down') down.push(event)
    expect(down).toEqual([])
  }
}

const memberIds = async (peer: SkeinPeer): Promise<readonly string[]> =>
  (await peer.json<Device[]>('devices'))
    .map(({ deviceId, state }) => `${deviceId} ${state === 'revoked'}`)
    .sort()
const textOf = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '')

async function rssBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}
