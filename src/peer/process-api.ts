/**
 * Completes the peer's api with the verbs that only the process around it can answer: its own numbers, its log, its
 * metrics, its end, and the home it stands on.
 */
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import { createQueue } from '../base/queue.ts'
import { limits } from '../base/limits.ts'
import type { Api, ApiCall, DoctorCheck, LogLine, LogsParams, PeerApi } from './api.ts'
import type { ConsoleHost } from './api-calls.ts'
import { inspectHome } from '../program/home-check.ts'
import type { LogFile } from './log-file.ts'
import { readLogTail } from '../program/log-line.ts'
import { readVersion } from '../program/program.ts'
import type { PrometheusMetrics } from './prometheus.ts'
import { setStatusGauges } from './status-gauges.ts'

export interface ProcessFacts {
  readonly env: Env
  readonly home: string
  readonly metrics: PrometheusMetrics
  readonly logFile: LogFile
  readonly startedAtMs: number
  readonly startedMonotonicMs: number
  /** Begins the stop; the caller's reply still goes out. */
  readonly stop: (reason: string) => void
  /** Undefined while it does not run. */
  readonly console: () => ConsoleHost | undefined
}

const defaultLogLines = 100

export function completeApi(peer: PeerApi, facts: ProcessFacts): Api {
  const version = readVersion()
  // because: a promise is what a verb gives, also for what goes wrong
  const withConsole = async <T>(work: (host: ConsoleHost) => T | Promise<T>): Promise<T> => {
    const host = facts.console()
    if (host !== undefined) return await work(host)
    throw new SkeinError('not.running', 'the web console of this peer is off', {
      fix: 'take "console": false out of settings.json, or look why with skein logs; then skein down, skein up',
    })
  }
  return {
    ...peer,
    status: async (params, call) => ({
      ...(await peer.status(params, call)),
      pid: process.pid,
      version,
      home: facts.home,
      startedAtMs: facts.startedAtMs,
      uptimeMs: Math.round(facts.env.clock.monotonicMs() - facts.startedMonotonicMs),
      rssBytes: process.memoryUsage.rss(),
    }),
    metrics: async (_params, call) => {
      setStatusGauges(facts.metrics, await peer.status({}, call), process.memoryUsage.rss())
      return { text: await facts.metrics.text() }
    },
    logs: (params, call) => readLogs(facts, params, call),
    doctor: async (params, call) => [
      ...inspectHome(facts.home),
      checkLostLines(facts.logFile),
      ...(await peer.doctor(params, call)),
    ],
    consoleOpen: ({ isForOwnUser }) => withConsole((host) => host.open(isForOwnUser)),
    consoleSessions: () => withConsole((host) => host.sessions()),
    consoleEnd: ({ id }) =>
      withConsole(async (host) => {
        if (await host.endSession(id)) return {}
        throw new SkeinError('not.found', 'no such session', { fix: 'skein console list shows the ids' })
      }),
    down: () => {
      // After the reply of this call was written
      facts.env.clock.setTimer(0, () => facts.stop('skein down'))
      return Promise.resolve({ pid: process.pid })
    },
  }
}

function checkLostLines(logFile: LogFile): DoctorCheck {
  const name = 'log lines'
  if (logFile.lostCount === 0) return { name, ok: true }
  const cause = `${logFile.lostCount} log lines could not be written`
  return { name, ok: false, cause, fix: 'free some space on the disk of the home' }
}

/** The lines written so far, then, when following, each new one; a slow reader loses the newest. */
async function* readLogs(facts: ProcessFacts, params: LogsParams, call: ApiCall): AsyncGenerator<LogLine> {
  const fresh = createQueue<LogLine>(limits.eventBacklog)
  using _listening = params.follow === true ? facts.logFile.onLine((line) => fresh.offer(line)) : undefined
  yield* readLogTail(facts.home, params.lines ?? defaultLogLines)
  if (params.follow !== true) return
  for (let line = await fresh.take(call.signal); line !== undefined; line = await fresh.take(call.signal))
    yield line
}
