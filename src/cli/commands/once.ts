/** `skein pull` and `skein push`: one round for a shared folder that is not kept in sync here, with progress; then it rests. */
import { resolve } from 'node:path'
import type { SyncOnceParams } from '../../peer/api-part.ts'
import type { SyncReport } from '../../peer/api-spaces.ts'
import type { Client } from '../client.ts'
import type { Command, Invocation } from '../command.ts'
import { textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { createProgress } from '../progress.ts'
import { interruptible, withPeer } from '../running-peer.ts'
import { formatProblems, formatSpaces } from '../space-lines.ts'
import { safe } from '../terminal.ts'
import { parseSpan } from './token.ts'

const options = [{ notation: '--timeout <time>', about: 'how long to wait; then exit code 5' }] as const
const words = [
  { notation: '<space>', about: 'its name or id; one that is paused here, or not here yet' },
  { notation: '[dir]', about: 'where it lies; needed the first time, made when it does not exist' },
] as const

export const pull: Command = {
  summary: 'bring a shared folder up to date here once',
  examples: ['skein pull notes ~/notes', 'skein pull notes', 'skein pull notes --json | jq -c .spaces'],
  words,
  options,
  run: (call) => once(call, 'pull'),
}

export const push: Command = {
  summary: 'send what was changed in a folder here once',
  examples: ['skein push notes', 'skein push notes ~/notes --timeout 5m'],
  words,
  options,
  run: (call) => once(call, 'push'),
}

/** @param direction undefined: both ways. */
export async function once(call: Invocation, direction?: SyncOnceParams['direction']): Promise<number> {
  const [space = '', directory] = call.words
  const timeout = textOption(call, 'timeout')
  const params: SyncOnceParams = {
    space,
    ...(directory !== undefined && { directory: resolve(directory) }),
    ...(direction !== undefined && { direction }),
    ...(timeout !== undefined && { timeoutMs: parseSpan(timeout) }),
  }
  const report = await withPeer(call, (client) => follow(call, client, params))
  const { terminal } = call
  if (report.isInSync) terminal.print(done(report, direction))
  else {
    terminal.print(`Not done.\n${formatSpaces(report.spaces, terminal.columns)}`)
    const problems = formatProblems(report.spaces)
    if (problems !== '') terminal.print(problems)
  }
  if (report.isInSync) return exitCodes.ok
  return report.needsPerson === true ? exitCodes.failed : exitCodes.timedOut
}

function done({ spaces }: SyncReport, direction: SyncOnceParams['direction']): string {
  const [space] = spaces
  if (space === undefined) return 'Done.'
  const { name, fileCount, localChangeCount = 0 } = space
  const said = direction === 'push' ? 'has what is here' : `is up to date, ${fileCount} files`
  const unsent = localChangeCount === 0 ? '' : safe` ${localChangeCount} changes made here are not sent.`
  return safe`${name} ${said}. It is paused again; to keep it in sync: skein resume ${name}` + unsent
}

/** Every report as it comes with --json. @returns the last one. */
async function follow(call: Invocation, client: Client, params: SyncOnceParams): Promise<SyncReport> {
  const { terminal } = call
  const progress = createProgress(process.stderr, () => performance.now())
  let last: SyncReport = { isInSync: false, spaces: [] }
  try {
    await interruptible(async (signal) => {
      for await (const report of client.stream('syncOnce', params, signal)) {
        last = report
        terminal.json(report)
        if (!terminal.isJson && !report.isInSync) progress.show(report)
      }
    })
  } finally {
    if (!terminal.isJson) progress.end()
  }
  return last
}
