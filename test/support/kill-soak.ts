/**
 * Two real peers in a network lab share a folder, and one or both are killed (SIGKILL) at a random point of a transfer, round
 * after round: a large file and many small ones, new, changed, renamed and deleted, both ways. Somebody reads both trees
 * all the time: what stands under a name is always something that was written there as a whole. After each round both start
 * again and must end equal and complete; what came over the network says how much was sent twice.
 */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createSeededRandom, type Random, randomBelow } from '../../src/base/random.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import type { MeshLab } from './mesh-lab.ts'
import { createMeshLab } from './mesh-lab.ts'

export interface KillSoakOptions {
  readonly rounds: number
  readonly seed: number
  readonly bigBytes?: number
  readonly onRound?: (round: KillRound) => void
}

export interface KillRound {
  readonly round: number
  readonly victim: Victim
  readonly killedAfterMs: number
  /** From the kill to both sides equal and complete. */
  readonly healedMs: number
  /** Bytes of contents that were new to the receiving device. */
  readonly newBytes: number
  /** What came over its network, encryption, records and all. */
  readonly receivedBytes: number
}

type Victim = 'sender' | 'receiver' | 'both'

const mebibyte = 1024 * 1024
const victims: readonly Victim[] = ['sender', 'receiver', 'both']
/** Slow enough that a kill meets the transfer, and as fast as a good radio link. */
const linkMbit = 400
const smallFiles = 60
const patienceMs = 60_000
const lookMs = 25

/** @throws when a reader saw a torn file, or the two did not become equal. */
export async function soakKills(options: KillSoakOptions): Promise<readonly KillRound[]> {
  const { rounds, seed, bigBytes = 48 * mebibyte, onRound } = options
  const directory = await mkdtemp(join(tmpdir(), 'skein-kill-'))
  try {
    await using mesh = await createMeshLab({ hosts: 2, withDefaultRoute: true })
    const soak = new KillSoak(mesh, directory, { random: createSeededRandom(seed), bigBytes })
    await soak.share()
    const done: KillRound[] = []
    for (let round = 1; round <= rounds; round++) {
      const result = await soak.round(round)
      done.push(result)
      onRound?.(result)
    }
    return done
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 })
  }
}

interface SoakParts {
  readonly random: Random
  readonly bigBytes: number
}

class KillSoak {
  private readonly mesh: MeshLab
  private readonly directory: string
  private readonly roots: readonly [string, string]
  private readonly parts: SoakParts
  /** What is to stand there, and all that ever stood there, by path: hashes. */
  private readonly expected = new Map<string, string>()
  private readonly written = new Map<string, Set<string>>()
  private staged = 0

  constructor(mesh: MeshLab, directory: string, parts: SoakParts) {
    this.mesh = mesh
    this.directory = directory
    this.roots = [join(directory, '0'), join(directory, '1')]
    this.parts = parts
  }

  async share(): Promise<void> {
    const [first, second] = this.roots
    await mkdir(join(first, 'small'), { recursive: true })
    await mkdir(join(this.directory, 'staged'))
    await this.write(0, 'first.txt', 4_000)
    await this.mesh.peer(0).client.call('share', { directory: first, name: 'soak' })
    await this.mesh.peer(1).client.call('join', { space: 'soak', directory: second })
    for (const host of [0, 1]) await this.mesh.lab.squeeze(host, linkMbit)
    await this.becomeEqual()
  }

  async round(round: number): Promise<KillRound> {
    const { random, bigBytes } = this.parts
    const sender = round % 2
    const receiver = 1 - sender
    const victim = victims[randomBelow(random, victims.length)] ?? 'both'
    const beforeBytes = await this.receivedBy(receiver)
    const reading = this.startReading()
    const newBytes = await this.change(sender, receiver, round)
    // Anywhere from before the first byte to after the last one
    const killedAfterMs = Math.round(random.float() * ((bigBytes * 8) / (linkMbit * 1_000)) * 1.4)
    await delay(killedAfterMs)
    const hosts = victim === 'both' ? [0, 1] : [victim === 'sender' ? sender : receiver]
    const killed = hosts.map((host) => this.mesh.peer(host))
    const atMs = performance.now()
    for (const peer of killed) peer.signal('SIGKILL')
    await Promise.all(killed.map((peer) => peer.exited()))
    await delay(random.float() * 300)
    await Promise.all(killed.map((peer) => peer.start()))
    await this.becomeEqual()
    const healedMs = Math.round(performance.now() - atMs)
    await reading.end()
    const receivedBytes = (await this.receivedBy(receiver)) - beforeBytes
    return { round, victim, killedAfterMs, healedMs, newBytes, receivedBytes }
  }

  /** @returns bytes that are new to the receiver. */
  private async change(sender: number, receiver: number, round: number): Promise<number> {
    const { random, bigBytes } = this.parts
    let newBytes = bigBytes
    const small = [...this.expected.keys()].filter((path) => path.startsWith('small/'))
    const some = (): string | undefined => small.splice(randomBelow(random, small.length || 1), 1)[0]
    await this.write(sender, `big-${round % 3}.bin`, bigBytes)
    for (let index = 0; index < smallFiles; index++) {
      const path = index < smallFiles * 0.7 ? undefined : some()
      const sizeBytes = 1 + randomBelow(random, 16_384)
      newBytes += sizeBytes
      await this.write(sender, path ?? `small/${round}-${index}`, sizeBytes)
    }
    for (let index = 0; index < smallFiles / 3; index++) {
      const path = some()
      if (path !== undefined && index % 4 === 0)
        await this.rename(sender, path, `small/${round}-was-${index}`)
      else if (path !== undefined) await this.remove(sender, path)
    }
    // The other side is not idle
    for (let index = 0; index < 5; index++) await this.write(receiver, `small/${round}-back-${index}`, 2_000)
    return newBytes
  }

  /** As a careful program saves: whole, under its name at once. */
  private async write(host: number, path: string, sizeBytes: number): Promise<void> {
    const bytes = this.parts.random.bytes(sizeBytes)
    const staged = join(this.directory, 'staged', String(++this.staged))
    await writeFile(staged, bytes)
    this.note(path, hashOf(bytes))
    await rename(staged, this.at(host, path))
  }

  private note(path: string, hash: string): void {
    this.expected.set(path, hash)
    this.written.set(path, (this.written.get(path) ?? new Set()).add(hash))
  }

  private async rename(host: number, from: string, to: string): Promise<void> {
    this.note(to, this.expected.get(from) ?? '')
    this.expected.delete(from)
    await rename(this.at(host, from), this.at(host, to))
  }

  private async remove(host: number, path: string): Promise<void> {
    this.expected.delete(path)
    await unlink(this.at(host, path))
  }

  private at(host: number, path: string): string {
    return join(this.roots[host === 0 ? 0 : 1], path)
  }

  /** Reads whatever is new under a name, in both trees, until told to end. @returns throws at `end` what it saw. */
  private startReading(): { end(): Promise<void> } {
    let isOver = false
    const seen = new Map<string, string>()
    const running = (async () => {
      for (let isLast = false; !isLast; await delay(lookMs)) {
        // Once more after the end
        isLast = isOver
        for (const root of this.roots) {
          for (const path of await listFiles(root)) await this.readWhole(root, path, seen)
        }
      }
    })()
    const caught = running.then(
      () => undefined,
      (error: unknown) => error,
    )
    return {
      async end() {
        isOver = true
        const error = await caught
        if (error !== undefined) throw error
      },
    }
  }

  private async readWhole(root: string, path: string, seen: Map<string, string>): Promise<void> {
    const absolute = join(root, path)
    try {
      const { ino, size, mtimeMs } = await stat(absolute)
      const signature = `${ino} ${size} ${mtimeMs}`
      if (seen.get(absolute) === signature) return
      const hash = hashOf(await readFile(absolute))
      seen.set(absolute, signature)
      if (this.written.get(path)?.has(hash) !== true)
        throw new Error(`${absolute} (${size} bytes) is nothing that anybody wrote there`)
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }

  private async becomeEqual(): Promise<void> {
    const untilMs = performance.now() + patienceMs
    for (;;) {
      const differences = await this.differences()
      if (differences.length === 0) return
      if (performance.now() > untilMs)
        throw new Error(`not equal after ${patienceMs} ms: ${differences.slice(0, 5).join('; ')}`)
      await delay(100)
    }
  }

  private async differences(): Promise<readonly string[]> {
    const found: string[] = []
    for (const host of [0, 1]) {
      const [space] = await this.mesh.peer(host).client.call('spaces', {})
      if (space?.state !== 'in-sync') found.push(`${host} is ${space?.state}: ${space?.reason ?? ''}`)
    }
    if (found.length > 0) return found
    for (const root of this.roots) {
      const paths = await listFiles(root)
      for (const path of paths) if (!this.expected.has(path)) found.push(`${root} has ${path} still`)
      for (const [path, hash] of this.expected) {
        const bytes = await readFile(join(root, path)).catch(() => undefined)
        if (bytes === undefined || hashOf(bytes) !== hash) found.push(`${root} lacks ${path}`)
      }
    }
    return found
  }

  private async receivedBy(host: number): Promise<number> {
    const { stdout } = await this.mesh.lab.exec(host, 'cat', ['/proc/net/dev'])
    const counts = stdout.split('\n').flatMap((line) => {
      const [name = '', bytes = ''] = line.trim().split(/[:\s]+/)
      return /^\d+$/.test(bytes) && name !== 'lo' ? [Number(bytes)] : []
    })
    return counts.reduce((sum, bytes) => sum + bytes, 0)
  }
}

async function listFiles(root: string): Promise<readonly string[]> {
  const files: string[] = []
  const walk = async (below: string): Promise<void> => {
    for (const entry of await readdir(join(root, below), { withFileTypes: true }).catch(() => [])) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`
      if (path === '.skein') continue
      if (entry.isDirectory()) await walk(path)
      else files.push(path)
    }
  }
  await walk('')
  return files
}

const isGone = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')

export interface KillSummary {
  readonly rounds: number
  readonly killed: Readonly<Record<Victim, number>>
  readonly healedP50Ms: number
  readonly healedMaxMs: number
  /** Bytes over the network beyond 1.03 of the new contents: what was sent twice. */
  readonly resentP50MB: number
  readonly resentMaxMB: number
}

export function summarise(rounds: readonly KillRound[]): KillSummary {
  const sorted = (values: readonly number[]): readonly number[] => values.toSorted((a, b) => a - b)
  const healed = sorted(rounds.map(({ healedMs }) => healedMs))
  const resent = sorted(
    rounds.map(({ receivedBytes, newBytes }) => Math.max(0, receivedBytes - newBytes * 1.03) / mebibyte),
  )
  const middle = Math.floor(rounds.length / 2)
  const count = (victim: Victim): number => rounds.filter((round) => round.victim === victim).length
  return {
    rounds: rounds.length,
    killed: { sender: count('sender'), receiver: count('receiver'), both: count('both') },
    healedP50Ms: healed[middle] ?? 0,
    healedMaxMs: healed.at(-1) ?? 0,
    resentP50MB: Number((resent[middle] ?? 0).toFixed(2)),
    resentMaxMB: Number((resent.at(-1) ?? 0).toFixed(2)),
  }
}
