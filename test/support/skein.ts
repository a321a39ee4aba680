/**
 * Real peers for tests: each with its own home under the temporary directory, driven through the command line as a
 * person would, optionally inside a network namespace of the lab. Disposing stops the peer and removes the home.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Status } from '../../src/peer/api.ts'
import type { Lab } from './netns.ts'

const entry = fileURLToPath(new URL('../../bin/skein.js', import.meta.url))

/** Starts a program, in a namespace or here. */
export type Launch = (file: string, args: readonly string[]) => ChildProcess

export interface CommandOutcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunningCommand {
  /** Objects printed by `--json`, as they come. */
  items(): AsyncGenerator<Record<string, unknown>>
  readonly done: Promise<CommandOutcome>
  kill(): void
}

export interface SkeinPeer extends AsyncDisposable {
  readonly home: string
  /** Runs a command to its end, 30 s at most. Exit codes are returned, not thrown. */
  run(...args: readonly string[]): Promise<CommandOutcome>
  /** As `run` with --json: the one object it prints. @throws with what it said when it fails. */
  json<T>(...args: readonly string[]): Promise<T>
  /** Starts a command that goes on. */
  start(...args: readonly string[]): RunningCommand
  up(...args: readonly string[]): Promise<Status>
  status(): Promise<Status>
  pid(): Promise<number>
}

/** Starts programs on a host of the lab. */
export const launchIn =
  (lab: Pick<Lab, 'spawn'>, host: number): Launch =>
  (file, args) =>
    lab.spawn(host, file, args, { stdio: ['ignore', 'pipe', 'pipe'] })

const here: Launch = (file, args) => spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })

export interface PeerOptions {
  readonly name: string
  readonly launch?: Launch
  /** Further options of every `up`. Default: loopback only. */
  readonly upArgs?: readonly string[]
}

export async function createSkeinPeer(options: PeerOptions): Promise<SkeinPeer> {
  const home = await mkdtemp(join(tmpdir(), `skein-${options.name}-`))
  const launch = options.launch ?? here
  const upArgs = options.upArgs ?? ['--interface', 'lo', '--listen', '127.0.0.1:0']
  const start = (...args: readonly string[]): RunningCommand =>
    follow(launch(process.execPath, [entry, ...args, '--home', home]))
  const run = async (...args: readonly string[]): Promise<CommandOutcome> => {
    const command = start(...args)
    const timer = setTimeout(() => command.kill(), 30_000)
    try {
      return await command.done
    } finally {
      clearTimeout(timer)
    }
  }
  const json = async <T>(...args: readonly string[]): Promise<T> => {
    const outcome = await run(...args, '--json')
    if (outcome.code !== 0) {
      throw new Error(`skein ${args.join(' ')} gave ${outcome.code}: ${outcome.stderr}${outcome.stdout}`)
    }
    return JSON.parse(outcome.stdout) as T // because: the caller names what this verb prints
  }
  return {
    home,
    run,
    json,
    start,
    up: (...args) => json<Status>('up', '--name', options.name, ...upArgs, ...args),
    status: () => json<Status>('status'),
    pid: async () => (await json<Status>('status')).pid,
    async [Symbol.asyncDispose]() {
      await run('down')
      await rm(home, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

function follow(child: ChildProcess): RunningCommand {
  const { stdout, stderr } = child
  if (stdout === null || stderr === null) throw new Error('the launcher must give pipes')
  const lines: string[] = []
  let wake: (() => void) | undefined
  let isOver = false
  let errors = ''
  stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const reader = createInterface({ input: stdout })
  reader.on('line', (line) => {
    lines.push(line)
    wake?.()
  })
  const read = new Promise<void>((resolve) => reader.once('close', () => resolve()))
  const done = new Promise<CommandOutcome>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      void read.then(() => {
        isOver = true
        wake?.()
        resolve({ code: code ?? -1, stdout: lines.join('\n'), stderr: errors })
      })
    })
  })
  return {
    done,
    kill: () => void child.kill('SIGTERM'),
    async *items() {
      for (let index = 0; ;) {
        const line = lines[index]
        if (line !== undefined) {
          index++
          yield JSON.parse(line) as Record<string, unknown> // because: --json prints objects
        } else if (isOver) return
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    },
  }
}

/** Pairs `joiner` into the mesh of `host` by the short code. @param options of `skein pair` on the host. */
export async function pairPeers(host: SkeinPeer, joiner: SkeinPeer, ...options: string[]): Promise<void> {
  const window = host.start('pair', '--yes', '--json', ...options)
  try {
    for await (const event of window.items()) {
      if (event['kind'] === 'opened') {
        const joined = await joiner.run('pair', String(event['shortCode']), '--json')
        if (joined.code !== 0) throw new Error(`pairing failed: ${joined.stderr}${joined.stdout}`)
      }
      if (event['kind'] === 'joined') break
      if (event['kind'] === 'failed') throw new Error(`pairing failed: ${JSON.stringify(event)}`)
    }
  } finally {
    window.kill()
    await window.done
  }
}

/** Polls until `check` gives something true-ish. @returns it and the time it took. */
export async function until<T>(
  what: string,
  check: () => Promise<T | false | undefined>,
  timeoutMs = 20_000,
): Promise<{ readonly value: T; readonly elapsedMs: number }> {
  const start = performance.now()
  for (;;) {
    const value = await check()
    if (value !== false && value !== undefined) return { value, elapsedMs: performance.now() - start }
    if (performance.now() - start > timeoutMs) throw new Error(`waited ${timeoutMs} ms for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
