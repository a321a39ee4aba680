/**
 * The process around one peer: lock, log, metrics, control socket, signals, and a word to whoever started it.
 * It knows nothing of the mesh; the peer is made by the function it is given. Crash-only: a programmer error is
 * logged and ends the process, whose next start recovers.
 */
import { dirname } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { createSystemEnv } from '../base/env.ts'
import { withDeadline } from '../base/clock.ts'
import { asSkeinError, SkeinError, toWireError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { LogRecord } from '../base/log.ts'
import { createLog, errorFields } from '../base/log.ts'
import type { Api, PeerApi } from './api.ts'
import type { ConsoleHost, ConsoleParts } from './api-calls.ts'
import type { StartMessage } from '../program/control-protocol.ts'
import type { ControlServer } from './control-server.ts'
import { createControlServer } from './control-server.ts'
import { codeOf, describeDiskError } from './durable-file.ts'
import type { Home } from './home.ts'
import { openHome } from './home.ts'
import { logPath, newControlAddress } from '../program/home-path.ts'
import type { LogFile } from './log-file.ts'
import { openLogFile } from './log-file.ts'
import { formatLogLine } from '../program/log-line.ts'
import { completeApi } from './process-api.ts'
import { trimMemoryWhenQuiet } from './memory-trim.ts'
import type { PrometheusMetrics } from './prometheus.ts'
import { createPrometheusMetrics } from './prometheus.ts'
import type { Settings } from './settings.ts'
import { readSettings } from './settings.ts'
import { createVerbCalls } from './verb-calls.ts'

/** What runs inside the process. */
export interface HostedPeer extends AsyncDisposable {
  readonly api: PeerApi
}

/** Makes the peer; resolves when it is ready to be asked. */
export type CreatePeer = (env: Env, home: Home, settings: Settings) => Promise<HostedPeer>

/** Makes the web console; a process without one answers its verbs with why. */
export type CreateConsole = (env: Env, parts: ConsoleParts) => Promise<ConsoleHost>

export interface PeerProcessOptions {
  /** Absolute path of the home. */
  readonly home: string
  /** Raw, from the command line; before those of settings.json. */
  readonly settings: unknown
}

/** What is open, in the order it was opened. */
interface Running {
  home?: Home
  peer?: HostedPeer
  console?: ConsoleHost
  control?: ControlServer
  trim?: Disposable | undefined
}

/** Exit code of a crash: systemd restarts on it, unlike on one that a person has to mend. */
const crashExitCode = 70
const failedStartExitCode = 1
const interruptedExitCode = 130

/** Runs until stopped, then exits the process. Never rejects. */
export async function runPeerProcess(
  options: PeerProcessOptions,
  createPeer: CreatePeer,
  createConsole?: CreateConsole,
): Promise<void> {
  const clock = createSystemEnv().clock
  const running: Running = {}
  const stopping = Promise.withResolvers<string>()
  onStopSignals(stopping.resolve)
  const lines = createLateSink()
  let env: Env = { ...createSystemEnv(), log: createLog(lines.write) }
  try {
    const address = newControlAddress(options.home)
    running.home = await openHome(env, options.home, address)
    const logFile = openProcessLog(clock, options.home)
    lines.open((record) => logFile.write(record))
    const settings = await readSettings(options.home, options.settings)
    const metrics = createPrometheusMetrics()
    env = { ...env, metrics, log: createLog(lines.write, settings.logLevel) }
    onCrash(env)
    const starting = { env, options, metrics, logFile, settings, stop: stopping.resolve }
    const api = await start(starting, running, createPeer)
    if (createConsole !== undefined) await startConsole(starting, running, { api, createConsole })
    await startControl(env, options, running, api)
    running.trim = trimMemoryWhenQuiet(env)
    tellStarter({ kind: 'ready', pid: process.pid })
  } catch (error) {
    const { fix } = asSkeinError(error)
    env.log.error('start failed', { ...errorFields(error), ...(fix !== undefined && { fix }) })
    tellStarter({ kind: 'failed', error: toWireError(error) })
    await stop(env, running, false)
    process.exit(failedStartExitCode)
  }
  const reason = await stopping.promise
  env.log.info('stopping', { reason })
  await stop(env, running, true)
  env.log.info('stopped')
  process.exit(0)
}

interface Starting {
  readonly env: Env
  readonly options: PeerProcessOptions
  readonly metrics: PrometheusMetrics
  readonly logFile: LogFile
  readonly settings: Settings
  readonly stop: (reason: string) => void
}

async function start(starting: Starting, running: Running, createPeer: CreatePeer): Promise<Api> {
  const { env, options } = starting
  const { home } = running
  if (home === undefined) throw new SkeinError('internal', 'the home is opened before the peer')
  env.log.info('starting', {
    pid: process.pid,
    node: process.versions.node,
    isFirstStart: home.isFirstStart,
    wasStoppedCleanly: home.wasStoppedCleanly,
  })
  const startedAtMs = env.clock.nowMs()
  const startedMonotonicMs = env.clock.monotonicMs()
  running.peer = await createPeer(env, home, starting.settings)
  env.log.info('peer started', { startMs: Math.round(env.clock.monotonicMs() - startedMonotonicMs) })
  return completeApi(running.peer.api, {
    ...starting,
    home: options.home,
    startedAtMs,
    startedMonotonicMs,
    console: () => running.console,
  })
}

/** Last: whoever can connect may ask at once. */
async function startControl(
  env: Env,
  options: PeerProcessOptions,
  running: Running,
  api: Api,
): Promise<void> {
  running.control = await createControlServer({ ...env, log: env.log.child('control') }, options.home, api)
  env.log.info('ready')
}

interface ConsoleStart {
  readonly api: Api
  readonly createConsole: CreateConsole
}

/** A console that cannot start costs the console, never the peer. */
async function startConsole(
  { env, settings }: Starting,
  running: Running,
  { api, createConsole }: ConsoleStart,
): Promise<void> {
  const { home } = running
  if (!settings.console || home === undefined) return
  const scoped = { ...env, log: env.log.child('console') }
  try {
    running.console = await createConsole(scoped, {
      calls: createVerbCalls(api),
      keep: home.keep,
      port: settings.consolePort,
    })
  } catch (error) {
    scoped.log.error('the console did not start', errorFields(error))
  }
}

/** Last opened, first closed; a part that hangs or fails costs the clean mark, never the stop. */
async function stop(env: Env, running: Running, isClean: boolean): Promise<void> {
  const { control, console, peer, home, trim } = running
  trim?.[Symbol.dispose]()
  try {
    await withDeadline(env.clock, { timeoutMs: limits.stopMs, what: 'stopping' }, async () => {
      await control?.[Symbol.asyncDispose]()
      await console?.[Symbol.asyncDispose]()
      await peer?.[Symbol.asyncDispose]()
      if (isClean) await home?.markCleanStop()
    })
  } catch (error) {
    env.log.error('stop was not clean', errorFields(error))
  }
  try {
    await home?.[Symbol.asyncDispose]()
  } catch (error) {
    env.log.error('the lock was not let go', errorFields(error))
  }
}

/** To the log file, and to standard error where somebody watches (`up --foreground`, systemd). */
function openProcessLog(clock: Clock, home: string): LogFile {
  try {
    const file = openLogFile(clock, logPath(home))
    const isWatched = process.channel === undefined && process.env['SKEIN_QUIET'] === undefined
    if (isWatched) file.onLine((line) => process.stderr.write(formatLogLine(line)))
    return file
  } catch (error) {
    if (codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOTDIR' || codeOf(error) === 'EISDIR') {
      const path = dirname(logPath(home))
      throw new SkeinError('home.unusable', `the log cannot be written to ${path}`, {
        cause: error,
        fix: `move it away: mv '${path}' '${path}.old'`,
      })
    }
    throw describeDiskError(error)
  }
}

type Sink = (record: LogRecord) => void

/** The log file may only be touched once the home is held; what is said before then waits for it. */
function createLateSink(): { readonly write: Sink; open(sink: Sink): void } {
  const waiting: LogRecord[] = []
  let sink: Sink = (record) => void waiting.push(record)
  return {
    write: (record) => sink(record),
    open(next) {
      sink = next
      for (const record of waiting.splice(0)) next(record)
    },
  }
}

/** With an IPC channel to `skein up`; without one the log on standard error says the same. */
function tellStarter(message: StartMessage): void {
  if (process.send === undefined) {
    if (message.kind === 'failed') {
      const { code, message: cause, fix } = message.error
      process.stderr.write(`skein: ${cause} [${code}]\n${fix === undefined ? '' : `  fix: ${fix}\n`}`)
    }
    return
  }
  process.send(message, () => {
    if (process.connected) process.disconnect()
  })
}

function onStopSignals(stop: (reason: string) => void): void {
  let count = 0
  const take = (signal: NodeJS.Signals): void => {
    if (++count > 1) process.exit(interruptedExitCode)
    stop(signal)
  }
  process.on('SIGTERM', take)
  process.on('SIGINT', take)
  process.on('SIGHUP', take)
}

function onCrash(env: Env): void {
  const crash = (kind: string) => (error: unknown) => {
    const stack = error instanceof Error ? error.stack : undefined
    env.log.error('crashed', { kind, ...errorFields(error), stack })
    tellStarter({ kind: 'failed', error: toWireError(asSkeinError(error)) })
    process.exit(crashExitCode)
  }
  process.on('uncaughtException', crash('uncaughtException'))
  process.on('unhandledRejection', crash('unhandledRejection'))
}
