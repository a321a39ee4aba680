/** Finds the peer of a home, or starts it: a process of its own that outlives the command. */
import { spawn } from 'node:child_process'
import { closeSync, fstatSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { asSkeinError, fromWireError, hasCode, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { parseStartMessage } from '../program/control-protocol.ts'
import { findHomeOwner } from '../program/home-check.ts'
import { compileCachePath, daemonNodeOptions } from '../program/program.ts'
import type { Client } from './client.ts'
import { connectClient } from './client.ts'
import type { Invocation } from './command.ts'

/** What of a call is needed to find its peer. */
export type PeerPlace = Pick<Invocation, 'home' | 'daemonEntry'>

const pollMs = 20

export interface StartedPeer extends Disposable {
  readonly client: Client
  readonly wasRunning: boolean
}

/** Runs work with the peer that is up. @throws `not.running`. */
export async function withPeer<T>(call: Invocation, work: (client: Client) => Promise<T>): Promise<T> {
  using client = await connectClient(call.home)
  return await work(client)
}

/**
 * The peer that is up, or a new one that has become ready.
 * @param daemonArgs further options for a new process.
 * @throws why it could not start, as it said itself.
 */
export async function ensurePeer(place: PeerPlace, daemonArgs: readonly string[] = []): Promise<StartedPeer> {
  const deadline = AbortSignal.timeout(limits.stopMs)
  for (;;) {
    const found = await findPeer(place.home)
    if (found !== undefined) return started(found, true)
    try {
      await startPeer(place, daemonArgs)
      return started(await connectClient(place.home), false)
    } catch (error) {
      if (!hasCode(error, 'home.locked')) throw error
      const other = await waitForOther(place.home, deadline)
      if (other === 'held') throw error
      if (other !== 'gone') return started(other, true)
    }
  }
}

/**
 * The process that holds the home may be starting (another `skein up` was faster: its peer is as good) or stopping
 * (then the home is free in a moment).
 */
async function waitForOther(home: string, deadline: AbortSignal): Promise<Client | 'gone' | 'held'> {
  while (!deadline.aborted) {
    const other = await findPeer(home)
    if (other !== undefined) return other
    if ((await findHomeOwner(home)) === undefined) return 'gone'
    await sleep(pollMs)
  }
  return 'held'
}

const started = (client: Client, wasRunning: boolean): StartedPeer => ({
  client,
  wasRunning,
  [Symbol.dispose]: () => client[Symbol.dispose](),
})

async function findPeer(home: string): Promise<Client | undefined> {
  try {
    return await connectClient(home)
  } catch (error) {
    if (hasCode(error, 'not.running')) return undefined
    throw error
  }
}

async function startPeer(place: PeerPlace, daemonArgs: readonly string[]): Promise<void> {
  const errors = openErrorOutput()
  const child = spawn(
    process.execPath,
    [...daemonNodeOptions, place.daemonEntry, '--home', place.home, ...daemonArgs],
    {
      // Not where the person stands: a background process must not keep a disk from being unmounted
      cwd: '/',
      detached: true,
      env: daemonVariables(),
      stdio: ['ignore', 'ignore', errors.handle, 'ipc'],
      windowsHide: true,
    },
  )
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(
          new SkeinError(
            'deadline.exceeded',
            `the new peer was not ready within ${limits.startMs / 1000} s`,
            { fix: 'skein logs' },
          ),
        )
      }, limits.startMs)
      const finish = (settle: () => void): void => {
        clearTimeout(timer)
        settle()
      }
      child.once('error', (error) => finish(() => reject(asSkeinError(error))))
      child.once('exit', (code, signal) => finish(() => reject(describeExit(code ?? signal, errors.read()))))
      child.once('message', (message) => {
        finish(() => {
          const said = parseStartMessage(message)
          if (said.kind === 'ready') resolve()
          else reject(fromWireError(said.error))
        })
      })
    })
  } finally {
    if (child.connected) child.disconnect()
    child.removeAllListeners()
    child.unref()
    errors.close()
  }
}

/** Compiled code is kept: without it a start from sources takes 0.5 s longer and holds 30 MB more for good. */
export const daemonVariables = (): NodeJS.ProcessEnv => ({
  NODE_COMPILE_CACHE: compileCachePath(),
  ...process.env,
})

function describeExit(code: number | string | null, output: string): SkeinError {
  const lines = output.trim().split('\n')
  const cause = lines.find((line) => /Error\b/.test(line)) ?? lines.at(-1) ?? ''
  return new SkeinError(
    'internal',
    `the new peer ended at once (${code ?? 'unknown'})${cause === '' ? '' : `: ${cause}`}`,
    {
      fix: 'skein up --foreground shows all it says',
    },
  )
}

interface ErrorOutput {
  readonly handle: number
  read(): string
  close(): void
}

/** A file without a name: a process that dies before it can speak leaves its words there, and nothing to clean up. */
function openErrorOutput(): ErrorOutput {
  const path = join(tmpdir(), `skein-start-${process.pid}-${process.hrtime.bigint()}`)
  const handle = openSync(path, 'wx+', 0o600)
  rmSync(path, { force: true })
  return {
    handle,
    read() {
      const buffer = Buffer.alloc(Math.min(fstatSync(handle).size, 16_384))
      return buffer.subarray(0, readSync(handle, buffer, 0, buffer.byteLength, 0)).toString('utf8')
    },
    close: () => closeSync(handle),
  }
}

/** Runs work that Ctrl-C ends in good order: its signal aborts, and a second Ctrl-C ends the process. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const onSignal = (): void => controller.abort(new SkeinError('cancelled', 'interrupted'))
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  try {
    return await work(controller.signal)
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}
