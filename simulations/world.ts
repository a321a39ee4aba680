/**
 * A simulated world: one seed decides clock, chance and network, so that a run can be repeated exactly. There are no
 * real timers and no I/O: between two timers all microtasks are run to the end, in the one order they have.
 */
import type { Env } from '../src/base/env.ts'
import { createLog, silentLog } from '../src/base/log.ts'
import type { MemoryNetwork } from '../src/base/memory-host.ts'
import { createMemoryNetwork } from '../src/base/memory-host.ts'
import { noMetrics } from '../src/base/metrics.ts'
import type { Random } from '../src/base/random.ts'
import { createSeededRandom } from '../src/base/random.ts'
import type { VirtualClock } from '../src/base/virtual-clock.ts'
import { createVirtualClock } from '../src/base/virtual-clock.ts'
import type { SimulatedProcess } from './process.ts'

export interface NetworkWeather {
  /** One-way delay without loss. */
  readonly latencyMs: number
  /** Added at random, up to. */
  readonly jitterMs: number
  /** Chance of each transmission to be lost; TCP sends it again after 200, 400, 800 ms. */
  readonly lossRate: number
}

export interface World {
  readonly seed: number
  readonly clock: VirtualClock
  /** For the scenario's own choices; each process and the network have their own stream. */
  readonly random: Random
  readonly network: MemoryNetwork
  weather: NetworkWeather
  /** The environment of one process. */
  envOf(name: string, process: SimulatedProcess): Env
  /** Adds to the trace; its hash is the identity of the run. */
  note(who: string, what: string): void
  /** Runs the world for so long. */
  advance(byMs: number): Promise<void>
  /** Runs until the promise has settled. @throws what it throws, or when `limitMs` of virtual time are over. */
  until<T>(promise: Promise<T>, limitMs: number): Promise<T>
  traceHash(): string
  /** The last notes, for a person who looks at a failure. */
  recentNotes(): readonly string[]
}

export interface WorldOptions {
  /** Keep notes and logs of everything: slow, for replaying one seed. */
  readonly isVerbose?: boolean
}

/** Transmissions of one segment lost in a row, at most: what a path that still counts as usable does. */
const lossesInARow = 3
const firstRetransmissionMs = 200

export function createWorld(seed: number, options: WorldOptions = {}): World {
  const clock = createVirtualClock()
  const random = createSeededRandom(seed)
  const networkRandom = createSeededRandom(random.uint32())
  const trace = createTrace(options.isVerbose === true ? 100_000 : 40)
  const delayMs = (): number => {
    const { latencyMs, jitterMs, lossRate } = world.weather
    let delay = latencyMs + networkRandom.float() * jitterMs
    let retransmissionMs = firstRetransmissionMs
    for (let losses = 0; losses < lossesInARow && networkRandom.float() < lossRate; losses++) {
      delay += retransmissionMs
      retransmissionMs *= 2
    }
    return delay
  }
  const note = (who: string, what: string): void =>
    trace.add(`${clock.monotonicMs().toFixed(3)} ${who} ${what}`)
  const world: World = {
    seed,
    clock,
    random,
    weather: { latencyMs: 1, jitterMs: 1, lossRate: 0 },
    network: createMemoryNetwork({ clock, delayMs }),
    envOf: (name, process) => ({
      clock: process.clock,
      random: createSeededRandom(random.uint32()),
      metrics: noMetrics,
      log:
        options.isVerbose === true
          ? createLog(({ message, fields }) => note(name, `${message} ${JSON.stringify(fields)}`), 'debug')
          : silentLog,
    }),
    note,
    async advance(byMs) {
      const untilMs = clock.monotonicMs() + byMs
      await settle()
      for (
        let dueMs = clock.nextDueMs();
        dueMs !== undefined && dueMs <= untilMs;
        dueMs = clock.nextDueMs()
      ) {
        clock.step()
        await settle()
      }
      clock.advance(untilMs - clock.monotonicMs())
    },
    async until(promise, limitMs) {
      let isSettled = false
      const mark = (): void => void (isSettled = true)
      promise.then(mark, mark)
      const untilMs = clock.monotonicMs() + limitMs
      await settle()
      while (!isSettled && (clock.nextDueMs() ?? Infinity) <= untilMs) {
        clock.step()
        await settle()
      }
      if (!isSettled) throw new Error(`not settled after ${limitMs} ms of virtual time`)
      return promise
    },
    traceHash: () => trace.hash(),
    recentNotes: () => trace.recent(),
  }
  return world
}

/**
 * Runs every microtask that waits, and those they start. A nextTick callback runs only once the microtask queue is
 * empty, and unlike setImmediate it needs no turn of the event loop.
 */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve)
  })
}

interface Trace {
  add(line: string): void
  hash(): string
  recent(): readonly string[]
}

function createTrace(keptLines: number): Trace {
  const lines: string[] = []
  let count = 0
  // Two 32-bit FNV-1a sums over different streams of the same text
  let a = 0x811c9dc5
  let b = 0xcbf29ce4
  return {
    add(line) {
      count++
      for (let index = 0; index < line.length; index++) {
        const code = line.charCodeAt(index)
        a = Math.imul(a ^ code, 0x01000193)
        b = Math.imul(b ^ (code + index), 0x01000193)
      }
      lines.push(line)
      if (lines.length > keptLines * 2) lines.splice(0, keptLines)
    },
    hash: () =>
      `${(a >>> 0).toString(16).padStart(8, '0')}${(b >>> 0).toString(16).padStart(8, '0')}-${count}`,
    recent: () => lines.slice(-keptLines),
  }
}
