/**
 * One peer process in a host of a lab, for tests that look at time: started as `skein up` starts it, and spoken to
 * over its control socket from this process, so that what is measured is the peer and not the start of a command.
 * It survives being killed and started again on the same home.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readlink } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { hasCode } from '../../src/base/errors.ts'
import type { DeviceId } from '../../src/base/ids.ts'
import type { Client } from '../../src/cli/client.ts'
import { connectClient } from '../../src/cli/client.ts'
import { daemonVariables } from '../../src/cli/running-peer.ts'
import type { EventItem, Status } from '../../src/peer/api.ts'
import { parseStartMessage } from '../../src/program/control-protocol.ts'
import type { Lab } from './netns.ts'

const daemonEntry = fileURLToPath(new URL('../../src/peer/daemon.ts', import.meta.url))

/** Times are of the wall clock, which all processes of the machine share. */
export interface MeshPeer {
  readonly host: number
  readonly name: string
  readonly home: string
  readonly deviceId: DeviceId
  readonly pid: number
  readonly client: Client
  /** Everything this process said since it was ready. */
  readonly events: readonly EventItem[]
  /** Starts the process. @returns when it said that it is ready. */
  start(): Promise<number>
  /** Ends it in good order. */
  stop(): Promise<void>
  /** SIGKILL takes the peer down for good, SIGSTOP and SIGCONT freeze and thaw it. @returns when the signal was sent. */
  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): number
  /** Resolves once the process is gone. */
  exited(): Promise<void>
  status(): Promise<Status>
  /** The first event from `sinceMs` on that fits. @throws with the last events when it does not come in time. */
  heard(fits: (event: EventItem) => boolean, sinceMs: number, timeoutMs?: number): Promise<EventItem>
  /** Calls back on each event. */
  onEvent(listener: () => void): Disposable
  /** What the process holds: a leak is what grows. */
  held(): Promise<Held>
}

export interface Held {
  readonly sockets: number
  readonly files: number
  readonly streams: number
  readonly connections: number
}

export interface MeshPeerOptions {
  readonly host: number
  readonly name: string
  readonly home: string
  /** Further options of the daemon. */
  readonly args?: readonly string[]
}

interface Running {
  readonly child: ChildProcess
  readonly client: Client
  readonly following: Promise<void>
  readonly ending: AbortController
}

export function createMeshPeer(lab: Lab, options: MeshPeerOptions): MeshPeer {
  return new MeshPeerProcess(lab, options)
}

class MeshPeerProcess implements MeshPeer {
  readonly host: number
  readonly name: string
  readonly home: string
  events: EventItem[] = []
  #deviceId: DeviceId | undefined
  #running: Running | undefined
  readonly #lab: Lab
  readonly #args: readonly string[]
  readonly #listeners = new Set<() => void>()

  constructor(lab: Lab, { host, name, home, args = [] }: MeshPeerOptions) {
    this.#lab = lab
    this.host = host
    this.name = name
    this.home = home
    this.#args = args
  }

  get deviceId(): DeviceId {
    if (this.#deviceId === undefined) throw new Error(`${this.name} was never started`)
    return this.#deviceId
  }

  get pid(): number {
    const { pid } = this.#process().child
    if (pid === undefined) throw new Error(`${this.name} has no process`)
    return pid
  }

  get client(): Client {
    return this.#process().client
  }

  async start(): Promise<number> {
    const child = this.#lab.spawn(
      this.host,
      process.execPath,
      [daemonEntry, '--home', this.home, '--name', this.name, ...this.#args],
      { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env: daemonVariables() },
    )
    const [message] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => {
        throw new Error(`${this.name} ended with ${String(code)} instead of starting`)
      }),
    ])
    const readyMs = Date.now()
    const said = parseStartMessage(message)
    if (said.kind === 'failed') throw new Error(`${this.name} did not start: ${said.error.message}`)
    const client = await connectClient(this.home)
    const ending = new AbortController()
    this.events = []
    this.#running = { child, client, ending, following: this.#follow(client, ending.signal) }
    this.#deviceId = (await client.call('status', {})).deviceId
    return readyMs
  }

  async stop(): Promise<void> {
    if (this.#running === undefined) return
    await this.client.call('down', {})
    await this.exited()
  }

  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): number {
    this.#process().child.kill(name)
    return Date.now()
  }

  async exited(): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    if (running.child.exitCode === null && running.child.signalCode === null)
      await once(running.child, 'exit')
    this.#running = undefined
    running.ending.abort()
    running.client[Symbol.dispose]()
    await running.following
  }

  status(): Promise<Status> {
    return this.client.call('status', {})
  }

  heard(fits: (event: EventItem) => boolean, sinceMs: number, timeoutMs = 30_000): Promise<EventItem> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const event = this.events.find((one) => one.atMs >= sinceMs && fits(one))
        if (event === undefined) return
        end()
        resolve(event)
      }
      const end = (): void => {
        clearTimeout(timer)
        this.#listeners.delete(look)
      }
      const timer = setTimeout(() => {
        end()
        const last = JSON.stringify(this.events.slice(-6))
        reject(new Error(`${this.name} did not say it within ${timeoutMs} ms; its last events: ${last}`))
      }, timeoutMs)
      this.#listeners.add(look)
      look()
    })
  }

  onEvent(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  async held(): Promise<Held> {
    const directory = `/proc/${this.pid}/fd`
    const links = await Promise.all(
      (await readdir(directory)).map((name) => readlink(`${directory}/${name}`).catch(() => '')),
    )
    const sockets = links.filter((link) => link.startsWith('socket:')).length
    const { text } = await this.client.call('metrics', {})
    const open = (what: string): number =>
      readMetric(text, `skein_${what}_opened_total`) - readMetric(text, `skein_${what}_closed_total`)
    return {
      sockets,
      files: links.length - sockets,
      streams: open('streams'),
      connections: open('connections'),
    }
  }

  #process(): Running {
    if (this.#running === undefined) throw new Error(`${this.name} does not run`)
    return this.#running
  }

  async #follow(client: Client, signal: AbortSignal): Promise<void> {
    try {
      for await (const event of client.stream('events', {}, signal)) {
        this.events.push(event)
        for (const listener of this.#listeners) listener()
      }
    } catch (error) {
      // The stream ends with its peer, which tests do on purpose
      if (!hasCode(error, 'not.running', 'cancelled')) throw error
    }
  }
}

function readMetric(text: string, name: string): number {
  const found = new RegExp(`^${name} (\\d+)$`, 'm').exec(text)
  return Number(found?.[1] ?? 0)
}
