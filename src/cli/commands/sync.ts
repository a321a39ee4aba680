/** `skein sync`: waits until this device and all reachable ones hold the same. For scripts: the exit code tells. */
import { hasCode, SkeinError } from '../../base/errors.ts'
import type { SyncParams, SyncReport } from '../../peer/api-spaces.ts'
import type { Client } from '../client.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet, textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { createProgress, formatBusy } from '../progress.ts'
import { interruptible, withPeer } from '../running-peer.ts'
import { formatProblems, formatSpaces } from '../space-lines.ts'
import { safe } from '../terminal.ts'
import { once } from './once.ts'
import { parseSpan } from './token.ts'

const defaultWait = '60s'
/** The peer answers by itself when its time is over; this only catches one that does not. */
const graceMs = 10_000

export const sync: Command = {
  summary: 'wait until all folders are in sync',
  examples: [
    'skein sync',
    'skein sync notes --timeout 10s && make deploy',
    'skein sync --wait --json | jq -c .spaces[].transfer',
    'skein sync notes --once',
  ],
  words: [
    { notation: '[space]', about: 'only this one' },
    { notation: '[dir]', about: 'with --once: where it lies, the first time' },
  ],
  options: [
    { notation: '--wait', about: 'however long it takes; with --json an object for every step on the way' },
    { notation: '--once', about: 'one round, both ways, for a folder that is paused or not here yet' },
    { notation: '--timeout <time>', about: `how long to wait (default ${defaultWait}); then exit code 5` },
  ],
  run: wait,
}

async function wait(call: Invocation): Promise<number> {
  const [space, directory] = call.words
  const isOnce = isSet(call, 'once')
  if (isOnce && space !== undefined) return await once(call)
  if (isOnce || directory !== undefined)
    throw new SkeinError('usage', '--once goes with a folder', { fix: 'skein sync SPACE [DIR] --once' })
  const isPatient = isSet(call, 'wait')
  const given = textOption(call, 'timeout') ?? (isPatient ? undefined : defaultWait)
  const params: SyncParams = {
    ...(space !== undefined && { space }),
    ...(given !== undefined && { timeoutMs: parseSpan(given) }),
  }
  const { terminal } = call
  const report = await withPeer(call, (client) =>
    terminal.isJson && !isPatient ? ask(client, params) : follow(call, client, params),
  )
  if (!terminal.isJson || !isPatient) terminal.json(report)
  if (report.isInSync) terminal.print(`All in sync.${formatPaused(report)}`)
  else {
    const head = report.needsPerson === true ? 'In sync, but for what waits for you:' : 'Not in sync yet.'
    terminal.print(`${head}\n${formatSpaces(report.spaces, terminal.columns)}`)
    for (const line of formatBusy(report.busyDevices ?? [])) terminal.print(line)
    const problems = formatProblems(report.spaces)
    if (problems !== '') terminal.print(problems)
  }
  if (report.isInSync) return exitCodes.ok
  return report.needsPerson === true ? exitCodes.failed : exitCodes.timedOut
}

function formatPaused({ spaces }: SyncReport): string {
  const paused = spaces.filter(({ state }) => state === 'paused').map(({ name }) => name)
  return paused.length === 0 ? '' : safe` Paused, so not waited for: ${paused.join(', ')}`
}

const ask = (client: Client, params: SyncParams): Promise<SyncReport> =>
  client.call('sync', params, (params.timeoutMs ?? 0) + graceMs)

async function follow(call: Invocation, client: Client, params: SyncParams): Promise<SyncReport> {
  const { terminal } = call
  const progress = createProgress(process.stderr, () => performance.now())
  let last: SyncReport = { isInSync: false, spaces: [] }
  try {
    await interruptible(async (signal) => {
      for await (const report of client.stream('syncProgress', params, signal)) {
        last = report
        terminal.json(report)
        if (!terminal.isJson && !report.isInSync) progress.show(report)
      }
    })
  } catch (error) {
    if (!hasCode(error, 'rpc.unknown')) throw error
    // because: a peer that is older than this command has no such stream
    return await ask(client, params)
  } finally {
    if (!terminal.isJson) progress.end()
  }
  return last
}
