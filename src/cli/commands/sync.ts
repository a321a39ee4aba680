/** `skein sync`: waits until this device and all reachable ones hold the same. For scripts: the exit code tells. */
import type { Command, Invocation } from '../command.ts'
import { textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatSpaces } from './status.ts'
import { parseSpan } from './token.ts'

const defaultWait = '60s'
/** The peer answers by itself when its time is over; this only catches one that does not. */
const graceMs = 10_000

export const sync: Command = {
  summary: 'wait until all folders are in sync',
  examples: ['skein sync', 'skein sync notes --timeout 10s && make deploy'],
  words: [{ notation: '[space]', about: 'only this one' }],
  options: [
    { notation: '--timeout <time>', about: `how long to wait (default ${defaultWait}); then exit code 5` },
  ],
  run: wait,
}

async function wait(call: Invocation): Promise<number> {
  const timeoutMs = parseSpan(textOption(call, 'timeout') ?? defaultWait)
  const [space] = call.words
  const params = space === undefined ? { timeoutMs } : { space, timeoutMs }
  const report = await withPeer(call, (client) => client.call('sync', params, timeoutMs + graceMs))
  call.terminal.json(report)
  call.terminal.print(report.isInSync ? 'All in sync.' : `Not in sync yet.\n${formatSpaces(report.spaces)}`)
  return report.isInSync ? exitCodes.ok : exitCodes.timedOut
}
